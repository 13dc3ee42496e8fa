"""The committees a keeper deals with, and this node's index in each: the one in charge, the one that is taking over,
and former ones through their grace. Pure, over the chain's views.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from authnet_core.protocol.views import EpochView, HandoverView

LEAVING_MS = 10_000
"""The last assignments of a former committee reach a block at most this long after it serves no more."""


@dataclass(frozen=True)
class Committees:
    """`own` is this node's identity key in hex. `former` is newest first."""

    own: str
    current: EpochView | None = None
    handover: HandoverView | None = None
    former: tuple[EpochView, ...] = ()

    @property
    def next(self) -> EpochView | None:
        """The committee that takes over, from when its members may join."""
        handover = self.handover
        return handover.committee if handover is not None and handover.phase != "announced" else None

    @property
    def all(self) -> list[EpochView]:
        """The one in charge first."""
        found = [view for view in (self.current, self.next) if view is not None]
        return [*found, *self.former]

    def view(self, epoch: int) -> EpochView | None:
        """The committee of an epoch, None if it is none of these."""
        return next((view for view in self.all if view.epoch == epoch), None)

    def took_over(self, epoch: int) -> bool:
        """Whether it is in charge, or was and is in its grace."""
        return any(view.epoch == epoch for view in (self.current, *self.former) if view is not None)

    def index_in(self, epoch: int) -> int | None:
        """This node's index in an epoch's committee, None outside of it."""
        view = self.view(epoch)
        return None if view is None else index_of(view, self.own)

    @property
    def is_member(self) -> bool:
        """Whether this node is in any of them."""
        return any(index_of(view, self.own) is not None for view in self.all)

    def assigning_epoch(self, time_ms: int) -> int:
        """In whose name this node assigns keys: the committee in charge, else the former one until it has left.

        0 when it is in neither at block time `time_ms`.
        """
        if self.current is not None and index_of(self.current, self.own) is not None:
            return self.current.epoch
        for view in self.former[:1]:
            if index_of(view, self.own) is not None and time_ms < view.serving_until_ms + LEAVING_MS:
                return view.epoch
        return 0


def index_of(view: EpochView, identity: str) -> int | None:
    """Index of an identity key (hex) in a committee."""
    return next((member.index for member in view.members if member.identity == identity), None)


def in_grace(views: Sequence[EpochView], time_ms: int) -> tuple[EpochView, ...]:
    """Retired committees whose grace is not over at `time_ms`, newest first."""
    found = [view for view in views if view.status == "retired" and time_ms < view.grace_ends_ms]
    return tuple(sorted(found, key=lambda view: -view.epoch))
