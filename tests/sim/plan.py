"""What one seed decides: committee, who lies and how, who is away or slow, where who crashes, and the weather.

Even seeds walk through all pairs (t-subset, strategy) of n = 5, 6, 9 in a fixed shuffled order, so that coverage is no
matter of luck: any 10,000 seeds in a row have each pair at least once. Odd seeds mix everything. A plan is plain
values, so that a failing one can be shrunk, printed and replayed.
"""

from collections.abc import Sequence
from functools import cache
from itertools import combinations
from random import Random

import msgspec

from authnet_core.protocol.committee import SUPPORTED_SIZES, Committee
from tests.sim.strategies import RECOVERED, STRATEGIES

NEVER = 1 << 60
Pair = tuple[int, tuple[int, ...], str]
"""Committee size, faulty set, strategy."""


class Lie(msgspec.Struct, frozen=True):
    """A party's strategy and the time from which it follows it; dealings are bad from the start or never."""

    party: int
    strategy: str
    since_ms: int = 0


class Absence(msgspec.Struct, frozen=True):
    """Away in virtual time; until NEVER means for good."""

    party: int
    start_ms: int
    end_ms: int


class Crash(msgspec.Struct, frozen=True):
    """At its `store`-th Store, before or after it is durable."""

    party: int
    store: int
    after: bool


class Slow(msgspec.Struct, frozen=True):
    """An honest party to whom everything comes late, and whose transactions do."""

    party: int
    message_ms: int
    tx_ms: int


class Weather(msgspec.Struct, frozen=True):
    """What the network does to a message in flight."""

    loss: float = 0.0
    double: float = 0.0
    delay_ms: tuple[int, int] = (1, 5)


class Plan(msgspec.Struct, frozen=True):
    """One schedule."""

    seed: int
    n: int
    rows: int = 2
    lies: tuple[Lie, ...] = ()
    absences: tuple[Absence, ...] = ()
    crashes: tuple[Crash, ...] = ()
    slow: tuple[Slow, ...] = ()
    without_ek: tuple[int, ...] = ()
    left_out: tuple[int, ...] = ()
    weather: Weather = Weather()

    @property
    def committee(self) -> Committee:
        return Committee.of(self.n)

    @property
    def liars(self) -> tuple[int, ...]:
        return tuple(sorted({lie.party for lie in self.lies}))

    @property
    def faulty(self) -> set[int]:
        return {*self.liars, *(absence.party for absence in self.absences)}

    @property
    def is_within_t(self) -> bool:
        """Beyond t only secrecy and blame are promised, up to k-1."""
        return len(self.faulty) <= self.committee.t

    @property
    def gone(self) -> set[int]:
        return {absence.party for absence in self.absences if absence.end_ms == NEVER}


@cache
def all_pairs() -> tuple[Pair, ...]:
    """Every t-subset with every strategy, in an order that mixes sizes and strategies."""
    pairs = [
        (n, subset, strategy)
        for n in SUPPORTED_SIZES
        for subset in combinations(range(1, n + 1), Committee.of(n).t)
        for strategy in STRATEGIES
    ]
    Random("pairs").shuffle(pairs)
    return tuple(pairs)


def plan_of(seed: int) -> Plan:
    """The schedule of a seed."""
    rng = Random(seed)
    if seed % 2 == 0:
        n, subset, strategy = all_pairs()[seed // 2 % len(all_pairs())]
        lies = tuple(Lie(party, strategy) for party in subset)
        return _circumstances(rng, Plan(seed, n, rng.choice((1, 2, 2)), lies))
    n = rng.choice((5, 5, 6, 9))
    plan = Plan(seed, n, rng.choice((1, 2, 2, 3)), _draw_lies(rng, Committee.of(n)))
    absences = () if not plan.is_within_t else _draw_absences(rng, plan)
    return _circumstances(rng, msgspec.structs.replace(plan, absences=absences))


def _draw_lies(rng: Random, committee: Committee) -> tuple[Lie, ...]:
    """Up to t liars with one or two strategies; now and then more, up to k-1."""
    greedy = rng.random() < 0.06
    count = rng.randint(committee.t + 1, committee.k - 1) if greedy else rng.choice((0, rng.randint(1, committee.t)))
    lies = []
    for party in rng.sample(range(1, committee.n + 1), count):
        for strategy in rng.sample(list(STRATEGIES), rng.choice((1, 1, 2))):
            lies.append(Lie(party, strategy, rng.choice((0, 0, rng.randint(0, 4_000)))))
    return tuple(lies)


def _draw_absences(rng: Random, plan: Plan) -> tuple[Absence, ...]:
    absences = []
    honest = [party for party in range(1, plan.n + 1) if party not in plan.liars]
    for party in rng.sample(honest, rng.randint(0, plan.committee.t - len(plan.liars))):
        start = rng.choice((0, rng.randint(0, 5_000)))
        absences.append(Absence(party, start, rng.choice((NEVER, start + rng.randint(100, 20_000)))))
    return tuple(absences)


def _circumstances(rng: Random, plan: Plan) -> Plan:
    """Weather, crashes and slowness of the honest; who has no key and who is left out, among the faulty."""
    honest = [party for party in range(1, plan.n + 1) if party not in plan.liars]
    crashing = [party for party in honest if rng.random() < 0.25]
    away = [absence.party for absence in plan.absences if absence.start_ms == 0]
    return msgspec.structs.replace(
        plan,
        crashes=tuple(
            Crash(party, rng.randint(1, 3 * plan.n), rng.random() < 0.5)
            for party in crashing
            for _ in range(rng.choice((1, 1, 2)))
        ),
        slow=_draw_slow(rng, plan, honest),
        without_ek=tuple(party for party in away if rng.random() < 0.3),
        left_out=tuple(party for party in sorted(plan.faulty) if plan.seed % 2 and rng.random() < 0.05),
        weather=Weather(
            loss=rng.choice((0.0, 0.0, 0.1, 0.3)),
            double=rng.choice((0.0, 0.1)),
            delay_ms=rng.choice(((1, 5), (1, 400), (50, 900))),
        ),
    )


def _draw_slow(rng: Random, plan: Plan, honest: Sequence[int]) -> tuple[Slow, ...]:
    """Often whom a liar's bad dealing hits: a late complaint meets a fixed Q, and only then is there a recovery."""
    near = {(lie.party + step) % plan.n + 1 for lie in plan.lies for step in range(plan.committee.t)}
    victims = [party for party in honest if party in near]
    if any(lie.strategy in RECOVERED for lie in plan.lies):
        return tuple(Slow(party, 0, 5_000) for party in victims)
    chosen = victims if victims and rng.random() < 0.5 else rng.sample(honest, rng.choice((0, 0, 1)))
    return tuple(Slow(party, rng.choice((0, 3_000)), rng.choice((0, 4_000))) for party in chosen)
