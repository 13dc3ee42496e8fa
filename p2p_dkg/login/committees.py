"""Which committee a login belongs to (epochs.md "One committee per token"). Pure: the time is an argument.

Two rounds: a token belongs to the one committee in whose time it was issued, and that one alone releases for it. A
committee gives receipts only in its own time, else a token that was shown to the wrong committee, and refused there,
could be bound to a thief's key at the right one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.views import EpochView
from p2p_dkg.login.receipt_quorum import Expected

GAP_MS = 1_000
"""How long before its end a committee gives its last receipt: what was bound by then was issued before the end, and
no two committees give receipts at once, for clocks that are less than this apart (providers' and nodes')."""


@dataclass(frozen=True, slots=True)
class Committee:
    """One committee as a login sees it. Times are block times in milliseconds."""

    view: EpochView
    quorum: int
    identities: dict[int, bytes]

    @staticmethod
    def of(view: EpochView) -> Committee:
        keys = {member.index: bytes.fromhex(member.identity) for member in view.members}
        return Committee(view, view.n - view.t, keys)

    @property
    def epoch(self) -> int:
        return self.view.epoch

    def index_of(self, identity: bytes) -> int | None:
        """Party index of an identity key, None outside of the committee."""
        return next((index for index, key in self.identities.items() if key == identity), None)

    def owns(self, time_ms: float) -> bool:
        """Whether a time is this committee's: A_e <= time < A_{e+1}."""
        until_ms = self.view.serving_until_ms
        return self.view.serving_from_ms <= time_ms and (not until_ms or time_ms < until_ms)

    def is_over(self, now_ms: float) -> bool:
        """Whether its grace is over: its shares are erased, or should be."""
        return bool(self.view.grace_ends_ms) and now_ms >= self.view.grace_ends_ms

    def expect(self, token_hash: bytes, verifier: str, network_id: str) -> Expected:
        """What this committee's receipts for one token must say."""
        return Expected(token_hash, verifier, network_id, self.epoch, self.identities, self.quorum)

    def moved(self, text: str) -> NoReturn:
        """Refuse with EPOCH_MOVED: this is the committee to ask. All of the detail is public."""
        view = self.view
        members = [{"index": m.index, "endpoint": m.endpoint, "identity": m.identity} for m in view.members]
        raise AuthnetError(
            Code.EPOCH_MOVED,
            text,
            epoch=view.epoch,
            k=view.k,
            t=view.t,
            serving_from_ms=view.serving_from_ms,
            serving_until_ms=view.serving_until_ms,
            members=members,
        )


@dataclass(frozen=True, slots=True)
class Committees:
    """The current committee and former ones, newest first; never empty."""

    all: tuple[Committee, ...]

    @staticmethod
    def of(current: EpochView, former: Sequence[EpochView]) -> Committees:
        newest_first = sorted(former, key=lambda view: -view.epoch)
        return Committees(tuple(Committee.of(view) for view in (current, *newest_first)))

    def find(self, epoch: int, now_ms: float) -> Committee | None:
        """The committee of an epoch, None if it is unknown or its grace is over."""
        return next((c for c in self.all if c.epoch == epoch and not c.is_over(now_ms)), None)

    def serving(self, now_ms: float) -> Committee:
        """The committee whose time it is."""
        return next((c for c in self.all if c.owns(now_ms)), self.all[0])

    def for_receipt(self, asked: int, clock_ms: float, now_ms: float) -> Committee:
        """The committee that gives receipts now. `asked`: the epoch of the request, 0 for the serving one.

        It begins by this node's clock and ends by `now_ms`, which may be ahead of that: between the two nobody gives
        any. Raises EPOCH_MOVED then, and for another epoch.
        """
        serving, last_ms = self.serving(clock_ms), max(clock_ms, now_ms) + GAP_MS
        if not serving.owns(last_ms):
            self.serving(last_ms).moved("the next committee takes over in a moment: log in there")
        if asked not in (0, serving.epoch):
            serving.moved("another committee gives receipts now")
        return serving

    def for_token(self, asked: int, iat_s: float, now_ms: float) -> Committee:
        """The committee that a two-round token issued at `iat_s` belongs to. Raises EPOCH_MOVED."""
        owner = next((c for c in self.all if c.owns(iat_s * 1000) and not c.is_over(now_ms)), None)
        if owner is None:
            self.serving(now_ms).moved("the token belongs to a committee that serves no more")
        if asked not in (0, owner.epoch):
            owner.moved("the token belongs to another committee")
        return owner

    def for_bound(self, asked: int, now_ms: float) -> Committee:
        """The committee that serves a bound token: the current one, or a former one through its grace."""
        found = self.find(asked, now_ms) if asked else self.serving(now_ms)
        if found is None:
            self.serving(now_ms).moved("the committee of this request serves no more, or not yet")
        return found
