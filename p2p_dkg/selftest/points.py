"""x(j)*G of this node's shares: all that ever leaves of a share for a self-test, and to fellow members only."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from authnet_core.crypto.secp256k1 import pub
from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.selftest import MAX_SAMPLE
from authnet_core.protocol.views import KeyView
from authnet_runtime.logs import get_logger
from p2p_dkg.keystore.shares import Queries, ShareShelf
from p2p_dkg.network.directory import Peer
from p2p_dkg.runner.committees import Committees

_log = get_logger("selftest")


class PointDesk:
    """Answers for this node's place in a committee that is in charge, or was and is in its grace."""

    def __init__(self, chain: Queries, shares: ShareShelf, committees: Callable[[], Committees]) -> None:
        self._chain, self._shares, self._committees = chain, shares, committees

    async def give(self, sender: Peer, epoch: int, indexes: Sequence[int]) -> tuple[bytes, ...] | None:
        """For another node: what `own` says; None if it is no member of that epoch, as this one knows it."""
        if sender.index_in(epoch) is None:
            return None
        try:
            return await self.own(epoch, indexes)
        except AuthnetError as refusal:
            _log.info("selftest.not_answered", epoch=epoch, code=refusal.code.value)
            return None

    async def own(self, epoch: int, indexes: Sequence[int]) -> tuple[bytes, ...]:
        """33 bytes a key in the order asked, b"" where none is held.

        Raises AuthnetError: NOT_A_MEMBER, WRONG_EPOCH of one that has not taken over or is erased, BAD_PARAMS above 16
        keys, UNAVAILABLE, KEYSTORE_DAMAGED.
        """
        if len(indexes) > MAX_SAMPLE:
            raise AuthnetError(Code.BAD_PARAMS, f"points of at most {MAX_SAMPLE} keys")
        self.require_place(epoch)
        return tuple([await self._point(epoch, index) for index in indexes])

    def require_place(self, epoch: int) -> int:
        """This node's index in an epoch that has taken over. Raises NOT_A_MEMBER or WRONG_EPOCH."""
        committees = self._committees()
        index = committees.index_in(epoch)
        if index is None:
            raise AuthnetError(Code.NOT_A_MEMBER, f"this node is not in the committee of epoch {epoch}")
        # Before that a hand-over may still come to nothing, and nobody has use for the points.
        if not committees.took_over(epoch):
            raise AuthnetError(Code.WRONG_EPOCH, f"epoch {epoch} has not taken over")
        if self._shares.is_erased(epoch):  # not the same as to hold nothing: that would be a lost key
            raise AuthnetError(Code.WRONG_EPOCH, f"the shares of epoch {epoch} are erased")
        return index

    async def _point(self, epoch: int, index: int) -> bytes:
        key = await self._chain.query(f"/key/{index}", KeyView)
        if key is None or key.mask:
            return b""
        share = await self._shares.share_of(epoch, key)
        # No share is zero but with negligible probability, or by the doing of k liars; zero has no point to show.
        return pub(share.x) if share is not None and share.x else b""
