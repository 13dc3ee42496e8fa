"""A defence, the edit that takes it out, the plans that must notice, and what they say then."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.sim.mutation import Edit
from tests.sim.plan import Absence, Lie, Plan, Slow, Weather

MODEL = "tests.sim.model_chain:ModelChain"
FALLBACK = "tests.sim.model_fallback:ModelFallback"
STORMY = Weather(0.4, 0.0, (1, 300))


@dataclass(frozen=True)
class Defence:
    name: str
    edits: tuple[Edit, ...]
    plan: Callable[[int], Plan]
    """By seed: several are tried."""
    says: str
    """Part of the failure that shows it, as a pattern."""
    seeds: int = 6


def against(*strategies: str, **circumstances: object) -> Callable[[int], Plan]:
    """Party 2 of 5 follows these strategies."""
    lies = tuple(Lie(2, strategy) for strategy in strategies)
    return lambda seed: Plan(seed, 5, 1, lies, **circumstances)  # type: ignore[arg-type]


def two_of_nine(strategy: str, **circumstances: object) -> Callable[[int], Plan]:
    lies = (Lie(1, strategy), Lie(2, strategy))
    return lambda seed: Plan(seed, 9, 1, lies, **circumstances)  # type: ignore[arg-type]


def beyond_t(seed: int) -> Plan:
    """Three of nine cheat the same receiver, that is away until Q is fixed, and no root gets its n-t signatures."""
    lies = [Lie(party, strategy) for party in (1, 2, 3) for strategy in ("one bad share", "withholds FINAL")]
    return Plan(seed, 9, 1, tuple(lies), (Absence(4, 150, 6_000),))


def one(name: str, target: str, old: str, new: str, plan: Callable[[int], Plan], says: str) -> Defence:
    return Defence(name, (Edit(target, old, new),), plan, says)


LATE_VICTIM = {"slow": (Slow(3, 0, 5_000),)}
SPREAD = (Slow(1, 0, 600), Slow(4, 0, 1_000), Slow(5, 0, 300))
"""Their transactions come in different blocks."""
ALL_LATE = {"slow": tuple(Slow(party, 0, 2_000) for party in (1, 3, 4, 5))}


LATE_VICTIM = {"slow": (Slow(3, 0, 5_000),)}
ALL_LATE = {"slow": tuple(Slow(party, 0, 2_000) for party in (1, 3, 4, 5))}
