"""What goes wrong when: drawn once from a seed, so that a failing run can be run again. Pure.

At most t nodes are faulty at a time, and none until those before it are back; `beyond` makes t+1 to k-1 faulty at once.
The same arguments give the same schedule.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from random import Random

from authnet_core.protocol.committee import Committee

PROCESSES = ("p2p_dkg", "abci_app", "cometbft", "node_api", "epoch_manager")
RECOVERY_S = 1.0
"""The least that a step needs after its heal; a slow machine needs longer and comes less far."""


class Faulty(StrEnum):
    """How many nodes may be faulty at a time."""

    T = "t"
    BEYOND = "beyond"


class Kind(StrEnum):
    """What can happen."""

    KILL_PROCESS = "kill process"
    KILL_NODE = "kill node"
    STOP_PROCESS = "stop process"
    STOP_NODE = "stop node"
    SLOW_DISK = "slow disk"
    DISK_FULL = "disk full"
    CLOCK = "clock skew"
    ISOLATE = "partition"
    DELAY = "delay"
    LIAR = "liar"
    JWKS_ROTATION = "JWKS rotation"
    JWKS_OUTAGE = "JWKS outage"
    ETH_REORG = "Ethereum re-org"
    ETH_RESTART = "Ethereum restart"
    HAND_OVER = "hand-over"


OUTSIDE = (Kind.JWKS_ROTATION, Kind.JWKS_OUTAGE, Kind.ETH_REORG, Kind.ETH_RESTART, Kind.HAND_OVER)
"""Happens to no node."""
PROXIED = (Kind.ISOLATE, Kind.DELAY, Kind.CLOCK)
"""Needs the network's proxies, or the launcher that comes with them."""
AT_ONCE = (Kind.KILL_PROCESS, Kind.JWKS_ROTATION, Kind.ETH_REORG, Kind.ETH_RESTART)
"""Over in a moment: what follows is the return."""
TOGETHER = (Kind.KILL_NODE, Kind.STOP_NODE, Kind.ISOLATE)
"""What more than t nodes may suffer at once."""
MOVING = "moving/"
"""Strategies with this prefix lie while keys move only."""
SILENT = (Kind.KILL_NODE, Kind.STOP_NODE)
"""These nodes answer nobody; those that are cut off still answer clients."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that happens to one node, or to none (node 0)."""

    kind: Kind
    node: int = 0
    what: str = ""
    """A process, a liar's strategy, seconds of skew, milliseconds of delay."""

    def __str__(self) -> str:
        words = [self.kind.value, self.what and f"({self.what})", self.node and f"at node {self.node}"]
        return " ".join(str(word) for word in words if word)


@dataclass(frozen=True, slots=True)
class Step:
    """Faults that begin together and are healed together. Numbers start with 1."""

    number: int
    pause_s: float
    faults: tuple[Fault, ...]
    hold_s: float

    @property
    def nodes(self) -> tuple[int, ...]:
        """Who is faulty."""
        return tuple(sorted({fault.node for fault in self.faults if fault.node}))

    def __str__(self) -> str:
        what = ", ".join(str(fault) for fault in self.faults)
        hold = f" for {self.hold_s:.1f} s" if self.hold_s else ""
        return f"step {self.number:2d}: after {self.pause_s:.1f} s {what}{hold}"


@dataclass(frozen=True, slots=True)
class Wish:
    """What to draw, and what the network at hand can do."""

    seed: int
    minutes: float
    nodes: int
    faulty: Faulty = Faulty.T
    proxied: bool = False
    strategies: tuple[str, ...] = ()
    """Of the liar's program; empty when there is none."""
    kinds: tuple[Kind, ...] = tuple(Kind)


def possible(wish: Wish) -> tuple[Kind, ...]:
    """The kinds that can be drawn."""
    lacking = set() if wish.proxied else set(PROXIED)
    lacking |= set() if wish.strategies else {Kind.LIAR}
    allowed = TOGETHER if wish.faulty is Faulty.BEYOND else tuple(Kind)
    return tuple(kind for kind in allowed if kind in wish.kinds and kind not in lacking)


def draw(wish: Wish) -> tuple[Step, ...]:
    """Steps for about so many minutes. Raises ValueError when nothing is possible."""
    if not possible(wish):
        raise ValueError("no fault of the asked kinds is possible on this network")
    return tuple(_Hand(wish).steps())


class _Hand:
    """Draws the steps. Every kind comes up once before any comes again."""

    def __init__(self, wish: Wish) -> None:
        self._wish = wish
        self._size = Committee.of(wish.nodes)
        self._random = Random(wish.seed)  # noqa: S311 - to be drawn again, not to be secret
        self._decks: dict[str, deque[object]] = {}
        # A liar may be convicted and left out until the next epoch, so the same nodes lie all through a run.
        self._liars = self._random.sample(range(1, wish.nodes + 1), self._size.t)

    def steps(self) -> Iterator[Step]:
        left, number = self._wish.minutes * 60, 0
        while left > 0:
            number += 1
            step = self._beyond(number) if self._wish.faulty is Faulty.BEYOND else self._within(number)
            left -= step.pause_s + step.hold_s + RECOVERY_S
            yield step

    def _next(self, name: str, cards: tuple[object, ...]) -> object:
        """The next card of a deck that is shuffled anew when it is used up."""
        deck = self._decks.setdefault(name, deque())
        if not deck:
            deck.extend(self._random.sample(cards, len(cards)))
        return deck.popleft()

    def _beyond(self, number: int) -> Step:
        kind = Kind(str(self._next("together", possible(self._wish))))
        count = self._random.randint(self._size.t + 1, self._size.k - 1)
        nodes = sorted(self._random.sample(range(1, self._size.n + 1), count))
        faults = tuple(Fault(kind, node) for node in nodes)
        return Step(number, self._seconds(3, 6), faults, self._seconds(20, 30))

    def _within(self, number: int) -> Step:
        faults: list[Fault] = []
        moves = False
        for _ in range(self._random.randint(1, self._size.t)):
            kind = Kind(str(self._next("kinds", possible(self._wish))))
            if kind is Kind.HAND_OVER:
                moves, kind = True, self._beside()
            if node := self._node(kind, {fault.node for fault in faults}):
                faults.append(Fault(kind, node, self._what(kind, moves)))
            elif kind in OUTSIDE and kind is not Kind.HAND_OVER:
                faults.append(Fault(kind))
        if not faults and not moves:
            return self._within(number)
        if moves:
            faults.append(Fault(Kind.HAND_OVER))
        return Step(number, self._seconds(1, 4), tuple(faults), self._hold(faults))

    def _beside(self) -> Kind:
        """What a hand-over meets; nothing when no node can be harmed."""
        harm = tuple(kind for kind in possible(self._wish) if kind not in OUTSIDE)
        harm = tuple(kind for kind in harm if kind is not Kind.LIAR or self._lies(moving=True))
        return Kind(str(self._next("beside", harm))) if harm else Kind.HAND_OVER

    def _lies(self, *, moving: bool) -> tuple[str, ...]:
        return tuple(lie for lie in self._wish.strategies if lie.startswith(MOVING) == moving)

    def _hold(self, faults: list[Fault]) -> float:
        """A liar starts first, and must then meet a session or a hand-over."""
        if all(fault.kind in AT_ONCE for fault in faults):
            return 0.0
        lies = any(fault.kind is Kind.LIAR for fault in faults)
        return self._seconds(12, 18) if lies else self._seconds(4, 10)

    def _node(self, kind: Kind, taken: set[int]) -> int:
        """Whose turn it is; 0 when it is nobody's."""
        if kind in OUTSIDE:
            return 0
        among = self._liars if kind is Kind.LIAR else range(1, self._size.n + 1)
        free = [node for node in among if node not in taken]
        return self._random.choice(free) if free else 0

    def _what(self, kind: Kind, moves: bool) -> str:
        draws: dict[Kind, Callable[[], str]] = {
            Kind.KILL_PROCESS: lambda: str(self._next("killed", PROCESSES)),
            Kind.STOP_PROCESS: lambda: str(self._next("stopped", PROCESSES)),
            Kind.LIAR: lambda: str(self._next(f"strategies {moves}", self._lies(moving=moves))),
            Kind.CLOCK: lambda: str(self._random.choice((-900, -45, 30, 600))),
            Kind.DELAY: lambda: str(self._random.choice((100, 300, 800))),
        }
        return draws[kind]() if kind in draws else ""

    def _seconds(self, low: float, high: float) -> float:
        return round(self._random.uniform(low, high), 1)
