"""A key's share by epoch: in the session that made it, and in the resharings that brought it to later committees."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import trio

from authnet_core.protocol.views import BatchView, KeyView
from p2p_dkg.keystore.shares import ShareShelf
from p2p_dkg.keystore.store import Keystore

SID, RID = b"s" * 32, b"r" * 32


class Chain:
    """Answers `/batch/{epoch}/{index}`."""

    def __init__(self) -> None:
        self.batches: dict[int, list[BatchView]] = {}
        self.asked: list[str] = []

    def move(self, epoch: int, batch: bytes, first: int, count: int) -> None:
        view = BatchView(
            id=batch.hex(), epoch=epoch, first_index=first, count=count, root="", holders=(1,), source=SID.hex()
        )
        self.batches.setdefault(epoch, []).append(view)

    async def query(self, path: str, type: Any) -> Any:
        assert type is BatchView
        self.asked.append(path)
        await trio.lowlevel.checkpoint()
        _, _, epoch, index = path.split("/")
        found = self.batches.get(int(epoch), [])
        return next((b for b in found if b.first_index <= int(index) < b.first_index + b.count), None)


def key(index: int, *, epoch: int = 1, sid: bytes = SID, position: int = 0, upgraded: bool = False) -> KeyView:
    return KeyView(
        index=index, curve="secp256k1", Y="", N="", sid=sid.hex(), position=position, epoch=epoch, free=False,
        upgraded=upgraded,
    )  # fmt: skip


def rows(first: int, count: int) -> bytes:
    return b"".join(n.to_bytes(32, "big") + (n + 500).to_bytes(32, "big") for n in range(first, first + count))


def run(test: Callable[[], Awaitable[None]]) -> None:
    trio.run(test)


def test_the_session_of_a_key_needs_no_question(keystore: Keystore) -> None:
    async def check() -> None:
        chain = Chain()
        shelf = ShareShelf(keystore, chain)
        keystore.epoch(1).put_batch(SID, rows(1000, 4))
        share = await shelf.share_of(1, key(12, position=2))
        assert share is not None
        assert (share.x, share.nonce) == (1002, 1502)
        assert chain.asked == []
        upgraded = await shelf.share_of(1, key(12, position=2, upgraded=True))
        assert upgraded is not None
        assert upgraded.nonce is None

    run(check)


def test_each_epoch_has_its_own_share(keystore: Keystore) -> None:
    async def check() -> None:
        chain = Chain()
        shelf = ShareShelf(keystore, chain)
        keystore.epoch(1).put_batch(SID, rows(1000, 4))
        keystore.epoch(2).put_batch(RID, rows(2000, 4))
        chain.move(2, RID, 10, 4)
        for _ in range(2):
            shares = [await shelf.share_of(epoch, key(12, position=2)) for epoch in (1, 2)]
            assert [share.x for share in shares if share is not None] == [1002, 2002]
        assert chain.asked == ["/batch/2/12"]  # the range does not change: once is enough
        assert await shelf.share_of(2, key(13, position=3)) is not None
        assert chain.asked == ["/batch/2/12"]

    run(check)


def test_a_key_that_a_resharing_brought_is_at_home_there(keystore: Keystore) -> None:
    """Assigned in epoch 2: its record names the batch of that epoch."""

    async def check() -> None:
        chain = Chain()
        keystore.epoch(2).put_batch(RID, rows(2000, 4))
        share = await ShareShelf(keystore, chain).share_of(2, key(12, epoch=2, sid=RID, position=2))
        assert share is not None
        assert share.x == 2002
        assert chain.asked == []

    run(check)


def test_a_batch_that_is_not_there_yet_is_asked_for_again(keystore: Keystore) -> None:
    async def check() -> None:
        chain = Chain()
        shelf = ShareShelf(keystore, chain)
        assert await shelf.share_of(2, key(12)) is None
        chain.move(2, RID, 10, 4)
        assert await shelf.share_of(2, key(12)) is None  # moved, but not to this node
        keystore.epoch(2).put_batch(RID, rows(2000, 4))
        assert await shelf.share_of(2, key(12)) is not None
        assert chain.asked == ["/batch/2/12"] * 2

    run(check)


def test_neighbouring_batches_are_told_apart(keystore: Keystore) -> None:
    async def check() -> None:
        chain = Chain()
        shelf = ShareShelf(keystore, chain)
        for number, first in enumerate((20, 0, 10, 40)):
            chain.move(2, bytes([number + 1]) * 32, first, 10)
            keystore.epoch(2).put_batch(bytes([number + 1]) * 32, rows(first, 10))
        async with trio.open_nursery() as nursery:
            for index in (25, 5, 15, 45, 9, 10, 19, 20, 29, 40, 49, 0) * 2:
                nursery.start_soon(_check, shelf, index)
        for index in (30, 39, 50):
            assert await shelf.share_of(2, key(index)) is None
        asked = len(chain.asked)
        for index in range(30):
            await _check(shelf, index)
        assert len(chain.asked) == asked

    async def _check(shelf: ShareShelf, index: int) -> None:
        share = await shelf.share_of(2, key(index))
        assert share is not None
        assert share.x == index

    run(check)


def test_an_erased_epoch_gives_no_share(keystore: Keystore) -> None:
    async def check() -> None:
        shelf = ShareShelf(keystore, Chain())
        keystore.epoch(1).put_batch(SID, rows(1000, 4))
        assert await shelf.share_of(1, key(12)) is not None
        keystore.epoch(1).erase()
        assert await shelf.share_of(1, key(12)) is None

    run(check)
