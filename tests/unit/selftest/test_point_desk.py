"""Who is given points of a keeper's shares, of which epoch and which keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import trio

from authnet_core.crypto.secp256k1 import pub
from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.views import BatchView, KeyView
from p2p_dkg.keystore.shares import ShareShelf
from p2p_dkg.keystore.store import Keystore
from p2p_dkg.network.directory import Peer
from p2p_dkg.runner.committees import Committees
from p2p_dkg.selftest import points as module
from p2p_dkg.selftest.points import PointDesk
from tests.unit.keeper.test_committees import OWN, epoch, handover, retired

OLD, NEW = b"o" * 32, b"n" * 32
KEYS = 6
MASK, LATER, ZERO = 3, 4, 5
"""A mask; a key that only epoch 2 has; one whose share is zero."""


class Chain:
    """Six keys of epoch 1, all but the mask and one moved to epoch 2."""

    async def query(self, path: str, kind: type) -> Any:
        await trio.lowlevel.checkpoint()
        _, what, *rest = path.split("/")
        index = int(rest[-1])
        if kind is BatchView:
            made = BatchView(id=OLD.hex(), epoch=1, first_index=0, count=KEYS, root="", holders=(1,), source="")
            return made if index < KEYS and rest[0] == "1" else None
        assert (what, kind) == ("key", KeyView)
        if index >= KEYS:
            return None
        home, sid = (2, NEW) if index == LATER else (1, OLD)
        return KeyView(
            index=index, curve="secp256k1", Y="", N="", sid=sid.hex(), position=index, epoch=home, free=True,
            mask=index == MASK,
        )  # fmt: skip


def rows(first: int) -> bytes:
    xs = [0 if index == ZERO else first + index for index in range(KEYS)]
    return b"".join(x.to_bytes(32, "big") + bytes(32) for x in xs)


@pytest.fixture
def keystore(keystore: Keystore) -> Keystore:
    """With shares of two epochs."""
    keystore.epoch(1).put_batch(OLD, rows(1000))
    keystore.epoch(2).put_batch(NEW, rows(2000))
    return keystore


def desk_of(keystore: Keystore, committees: Committees) -> PointDesk:
    chain = Chain()
    return PointDesk(chain, ShareShelf(keystore, chain), lambda: committees)


HERE = Committees(OWN, epoch(2, OWN, "a"), handover("joining", epoch(3, "a", OWN)), (retired(1, OWN, "b"),))
FELLOW = Peer("a", "", "a", ((2, 2), (3, 1)))
FORMER = Peer("b", "", "b", ((1, 2),))
Given = tuple[bytes, ...] | None


def give(desk: PointDesk, sender: Peer, number: int, indexes: Sequence[int]) -> Given:
    async def ask() -> Given:
        return await desk.give(sender, number, indexes)

    return trio.run(ask)


def own(desk: PointDesk, number: int, indexes: Sequence[int]) -> tuple[bytes, ...]:
    async def ask() -> tuple[bytes, ...]:
        return await desk.own(number, indexes)

    return trio.run(ask)


def refused(desk: PointDesk, number: int, count: int = 1) -> Code:
    with pytest.raises(AuthnetError) as caught:
        own(desk, number, range(count))
    return caught.value.code


def test_a_fellow_member_gets_points_of_that_epoch_s_shares(keystore: Keystore) -> None:
    desk = desk_of(keystore, HERE)
    assert give(desk, FORMER, 1, [0, 2]) == (pub(1000), pub(1002))
    assert give(desk, FELLOW, 2, [LATER]) == (pub(2000 + LATER),)
    assert own(desk, 1, [2, 0]) == (pub(1002), pub(1000))


def test_a_member_of_another_epoch_gets_none(keystore: Keystore) -> None:
    desk = desk_of(keystore, HERE)
    assert give(desk, FELLOW, 1, [0]) is None
    assert give(desk, FORMER, 2, [LATER]) is None


def test_none_of_an_epoch_that_this_node_is_not_in(keystore: Keystore) -> None:
    """A row that it holds nevertheless, as after a restore, is no business of theirs."""
    desk = desk_of(keystore, Committees(OWN, epoch(2, "a", "b"), None, (retired(1, OWN, "b"),)))
    assert give(desk, FELLOW, 2, [LATER]) is None
    assert refused(desk, 2) is Code.NOT_A_MEMBER
    assert refused(desk, 9) is Code.NOT_A_MEMBER


def test_none_before_an_epoch_has_taken_over(keystore: Keystore) -> None:
    keystore.epoch(3).put_batch(NEW, rows(3000))
    desk = desk_of(keystore, HERE)
    assert give(desk, FELLOW, 3, [0]) is None
    assert refused(desk, 3) is Code.WRONG_EPOCH


def test_none_of_an_erased_epoch_and_that_is_not_to_hold_nothing(keystore: Keystore) -> None:
    desk = desk_of(keystore, HERE)
    keystore.epoch(1).erase()
    assert give(desk, FORMER, 1, [0]) is None
    assert refused(desk, 1) is Code.WRONG_EPOCH


def test_unknown_keys_masks_and_keys_that_are_not_held_have_no_point(keystore: Keystore) -> None:
    desk = desk_of(keystore, HERE)
    assert give(desk, FORMER, 1, [KEYS, MASK, 1]) == (b"", b"", pub(1001))
    assert give(desk, FELLOW, 2, [0, LATER]) == (b"", pub(2000 + LATER))  # not moved yet


def test_a_share_of_zero_has_no_point(keystore: Keystore) -> None:
    assert give(desk_of(keystore, HERE), FORMER, 1, [ZERO, 1]) == (b"", pub(1001))


def test_no_more_than_sixteen_keys_at_once(keystore: Keystore) -> None:
    desk = desk_of(keystore, HERE)
    assert len(own(desk, 1, [0] * 16)) == 16
    assert refused(desk, 1, 17) is Code.BAD_PARAMS
    assert give(desk, FORMER, 1, [0] * 17) is None


def test_a_share_meets_the_constant_time_multiplication_only(
    keystore: Keystore, monkeypatch: pytest.MonkeyPatch
) -> None:
    met: list[int] = []
    monkeypatch.setattr(module, "pub", lambda secret: met.append(secret) or b"\x02" * 33)
    assert give(desk_of(keystore, HERE), FORMER, 1, [1]) == (b"\x02" * 33,)
    assert met == [1001]


def test_a_chain_that_is_away_is_no_answer(keystore: Keystore, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: object) -> None:
        raise AuthnetError(Code.UNAVAILABLE, "away")

    monkeypatch.setattr(Chain, "query", away)
    assert give(desk_of(keystore, HERE), FORMER, 1, [0]) is None
