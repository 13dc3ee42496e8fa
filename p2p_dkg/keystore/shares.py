"""One key's share as a member of one committee: (epoch, batch, position) name the file and the row.

In the epoch that made a key its batch is the session; in each later one it is the resharing that brought it.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from dataclasses import dataclass
from typing import Protocol, TypeVar

from authnet_core.protocol.views import BatchView, KeyView
from p2p_dkg.keystore.store import Keystore
from p2p_dkg.ports import KeyShare

T = TypeVar("T")


class Queries(Protocol):
    """The part of ChainReader that is used here."""

    async def query(self, path: str, type: type[T]) -> T | None:
        """The decoded value, None if absent. Raises AuthnetError."""


@dataclass(frozen=True, slots=True, order=True)
class _Range:
    """Keys [first, first + count) of one epoch, and the batch they are in."""

    first: int
    count: int
    batch: bytes


class BatchIndex:
    """Key index -> (batch id, position) in an epoch. A batch's range and id never change, so each is asked for once;
    who holds it does, and is not remembered."""

    def __init__(self, chain: Queries) -> None:
        self._chain = chain
        self._known: dict[int, list[_Range]] = {}

    async def place_of(self, epoch: int, key: KeyView) -> tuple[bytes, int] | None:
        """Where the key lies among the shares of an epoch, None if that committee has not got it (yet)."""
        if epoch == key.epoch:
            return bytes.fromhex(key.sid), key.position
        found = self._find(epoch, key.index)
        if found is None:
            batch = await self._chain.query(f"/batch/{epoch}/{key.index}", BatchView)
            if batch is None:
                return None
            found = _Range(batch.first_index, batch.count, bytes.fromhex(batch.id))
            if self._find(epoch, key.index) is None:  # somebody else may have asked meanwhile
                insort(self._known.setdefault(epoch, []), found)
        return found.batch, key.index - found.first

    def forget(self, epoch: int) -> None:
        """An epoch is over."""
        self._known.pop(epoch, None)

    def _find(self, epoch: int, index: int) -> _Range | None:
        known = self._known.get(epoch, [])
        at = bisect_right(known, index, key=lambda entry: entry.first)
        found = known[at - 1] if at else None
        return found if found is not None and index < found.first + found.count else None


class ShareShelf:
    """Read access to this node's key shares."""

    def __init__(self, keystore: Keystore, chain: Queries) -> None:
        self._keystore = keystore
        self.batches = BatchIndex(chain)

    def is_erased(self, epoch: int) -> bool:
        """Whether the shares of an epoch that this node is a member of are gone for good."""
        return self._keystore.epoch(epoch).is_erased

    async def share_of(self, epoch: int, key: KeyView) -> KeyShare | None:
        """This node's share of `key` in an epoch, None if it does not hold its batch; no nonce once upgraded.

        Only for an epoch that this node is a member of. Raises AuthnetError(UNAVAILABLE or KEYSTORE_DAMAGED).
        """
        place = await self.batches.place_of(epoch, key)
        if place is None:
            return None
        share = self._keystore.epoch(epoch).share(*place)
        if share is not None and key.upgraded:
            return KeyShare(share.x, None)
        return share
