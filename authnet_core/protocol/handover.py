"""Reading a hand-over: who is holding it up, and how far each resharing is. Pure, over the chain's views.

For operators: `authnet epoch status`, the epoch manager's status. Nothing decides by it.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass

from authnet_core.protocol.views import HandoverView, ReshareView

OLD, NEW = "old", "new"


@dataclass(frozen=True, slots=True)
class Holdup:
    """A member whose word is missing."""

    side: str
    """old or new: which committee `index` is of."""
    index: int
    what: str
    """The transaction that is awaited."""

    def __str__(self) -> str:
        return f"{self.side} node {self.index}: no {self.what} yet"


@dataclass(frozen=True, slots=True)
class Cell:
    """Dealer x receiver of one resharing: `dealt` by the dealer, `acked` by the receiver, in Q' or not."""

    dealt: bool
    tested: bool
    acked: bool
    convicted: bool
    chosen: bool

    @property
    def mark(self) -> str:
        """One letter for a table: . nothing, d dealt, t tested, a acknowledged, Q used, X convicted."""
        if self.convicted:
            return "X"
        if self.acked:
            return "Q" if self.chosen else "a"
        return "t" if self.tested else "d" if self.dealt else "."


def members(bitmap: int) -> set[int]:
    """Party indexes of a bitmap with bit (j - 1) for party j."""
    return {j for j in range(1, bitmap.bit_length() + 1) if bitmap >> (j - 1) & 1}


def matrix(view: ReshareView, old_n: int, new_n: int) -> list[list[Cell]]:
    """Row j - 1 for old dealer j, column m - 1 for new receiver m."""
    convicted = {c.dealer for c in view.complaints if c.upheld} | set(view.blamed)
    acked = {m: members(bitmap) for m, bitmap in view.acks.items()}
    return [
        [
            Cell(j in view.deals, j in view.tests, j in acked.get(m, ()), j in convicted, j in view.q)
            for m in range(1, new_n + 1)
        ]
        for j in range(1, old_n + 1)
    ]


def awaited(view: ReshareView, old_n: int, new_n: int) -> list[Holdup]:
    """Who has not yet done its part of this phase of a resharing."""
    old, new = range(1, old_n + 1), range(1, new_n + 1)
    match view.phase:
        case "deal":
            return [Holdup(OLD, j, "RDEAL") for j in old if j not in view.deals]
        case "test":
            return [Holdup(OLD, j, "RTEST") for j in view.dealers or old if j not in view.tests]
        case "ack":
            tested = set(view.tests)
            lacking = [m for m in new if not tested <= members(view.acks.get(m, 0))]
            return [Holdup(NEW, m, "RACK") for m in lacking]
        case "ready":
            return [Holdup(NEW, m, "READY") for m in new if m not in view.readies]
        case _:
            return []


def holdups(
    handover: HandoverView,
    open_reshares: Iterable[ReshareView],
    old_n: int,
    posted: Container[int] | None = None,
) -> list[Holdup]:
    """Members whose word the hand-over's present phase waits for, each named once per thing.

    `posted`: next members with encryption keys waiting, where that is known.
    """
    new_n = handover.committee.n
    found: dict[Holdup, None] = {}
    ready = {node.index for node in handover.ready_nodes}
    if handover.phase in ("joining", "switching"):
        found |= {Holdup(NEW, m, "READY_NODE"): None for m in range(1, new_n + 1) if m not in ready}
    if handover.phase == "joining" and posted is not None:
        found |= {Holdup(NEW, m, "ENCKEY"): None for m in range(1, new_n + 1) if m not in posted}
    for view in open_reshares:
        found |= dict.fromkeys(awaited(view, old_n, new_n))
    return list(found)


def eta_ms(handover: HandoverView, samples: Sequence[tuple[int, int]]) -> int | None:
    """Time left at the pace of `samples` [(time_ms, keys_done)], oldest first; None while there is no pace."""
    if len(samples) < 2:
        return None
    (then, before), (now, done) = samples[0], samples[-1]
    if now <= then or done <= before:
        return None
    return (handover.keys - done) * (now - then) // (done - before)
