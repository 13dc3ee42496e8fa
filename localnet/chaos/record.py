"""What a run has seen, second by second: the load's outcomes, the faults, the returns. In memory only."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from dataclasses import dataclass, field

from localnet.chaos.lights import Light, Lights, Violation
from localnet.chaos.schedule import Step

GAP_S = 3.0
"""A pause between successful logins worth showing."""
LOGINS = ("one-round login", "two-round login")


@dataclass(frozen=True, slots=True)
class Sample:
    """One call of the load: when it began, how long it took, and the code it ended with, empty when it was fine."""

    at_s: float
    what: str
    ms: float
    code: str = ""
    step: int = 0

    @property
    def end_s(self) -> float:
        return self.at_s + self.ms / 1000


@dataclass(slots=True)
class Episode:
    """One step as it went."""

    step: Step
    begun_s: float
    healed_s: float = 0.0
    over_s: float = 0.0
    service_s: float | None = None
    """From the heal to a login."""
    nodes_s: float | None = None
    """From the heal to all nodes answering and holding everything."""


@dataclass(frozen=True, slots=True)
class Account:
    """What the network has said about a user once, and must say for ever."""

    user: str
    address: str
    Y: str


@dataclass
class Record:
    """One run. Used from one event loop."""

    lights: Lights = field(default_factory=Lights)
    samples: list[Sample] = field(default_factory=list)
    episodes: list[Episode] = field(default_factory=list)
    accounts: dict[str, Account] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    """Y -> user."""
    step: int = 0
    halted_s: float | None = None
    """Since when more than t nodes are out, so that no block can be made."""
    silent_s: float | None = None
    """Since when more than t nodes answer nobody, so that there can not be n - t receipts."""
    stall_s: float = 0.0
    """Longest time that this program itself was kept from running: what the machine, not the network, did."""
    stalled_s: float = 0.0
    """All such times together."""
    begun: float = field(default_factory=time.monotonic)

    def now(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self.begun

    def check(self, light: Light, holds: bool, text: str) -> bool:
        """Look at one promise now."""
        return self.lights.check(light, holds, None if holds else Violation(self.now(), self.step, light, text))

    def sample(self, what: str, at_s: float, code: str = "") -> Sample:
        """Keep the outcome of a call that began at `at_s`."""
        made = Sample(at_s, what, (self.now() - at_s) * 1000, code, self.step)
        self.samples.append(made)
        return made

    def note_stall(self, late_s: float) -> None:
        """A pause of this program took so much longer than it should have."""
        self.stall_s = max(self.stall_s, late_s)
        self.stalled_s += late_s

    def learn(self, account: Account) -> None:
        """Compare with what was said before; a new account's key must be nobody else's."""
        known = self.accounts.setdefault(account.user, account)
        same = known.address == account.address
        self.check(Light.ADDRESS, same, f"{account.user} had {known.address}, now {account.address}")
        self.check(Light.KEYS, known.Y == account.Y, f"{account.user} had key {known.Y[:12]}, now {account.Y[:12]}")
        owner = self.owners.setdefault(account.Y, account.user)
        self.check(Light.OWNERS, owner == account.user, f"key {account.Y[:12]} is {owner}'s and {account.user}'s")

    def outcomes(self) -> dict[str, Counter[str]]:
        """For each kind of call, how often each code; "ok" when it was fine."""
        found: dict[str, Counter[str]] = {}
        for sample in self.samples:
            found.setdefault(sample.what, Counter())[sample.code or "ok"] += 1
        return found

    def gaps(self, until_s: float, *, least_s: float = GAP_S) -> list[tuple[float, float]]:
        """(from, to) in which no login of any kind succeeded."""
        good = sorted(s.end_s for s in self.samples if s.what in LOGINS and not s.code)
        marks = [0.0, *(at for at in good if at < until_s), until_s]
        return [(a, b) for a, b in itertools.pairwise(marks) if b - a >= least_s]
