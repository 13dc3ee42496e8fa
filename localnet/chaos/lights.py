"""What must hold throughout, as lights that are green until something breaks: one red light fails the run."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum

SERVICE_S = 30.0
"""Service is back so many seconds after a heal, or the light goes red."""
NODE_S = 120.0
"""A node that was healed holds all shares again within this time."""
EXAMPLES = 20


class Light(StrEnum):
    """One promise each."""

    KEYS = "no key is lost"
    OWNERS = "no key has two owners"
    ADDRESS = "an account keeps its address"
    TOKENS = "no share without a valid token"
    HASHES = "equal app hashes at equal heights"
    SERVICE = f"service is back within {SERVICE_S:g} s"
    NODES = "nodes come back by themselves"
    CODES = "every refusal has a code"
    BLAME = "no honest node is convicted"
    HAND_OVER = "a hand-over that meets faults comes to its end"
    STOPS = "stops cleanly when too few nodes are left"


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that must not happen."""

    at_s: float
    step: int
    light: Light
    text: str


class Lights:
    """Counts what was looked at, keeps what broke."""

    def __init__(self) -> None:
        self.checks: Counter[Light] = Counter()
        self.broken: Counter[Light] = Counter()
        self.violations: list[Violation] = []

    def check(self, light: Light, holds: bool, found: Violation | None = None) -> bool:
        """Count one look; with a violation at hand keep it if it does not hold."""
        self.checks[light] += 1
        if not holds:
            self.broken[light] += 1
            if found is not None and self.broken[light] <= EXAMPLES:
                self.violations.append(found)
        return holds

    @property
    def green(self) -> bool:
        return not self.broken
