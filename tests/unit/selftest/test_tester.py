"""A keeper's self-test: which keys it draws, whom it asks, and what it says at its door."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import trio
import trio.testing

from authnet_core.crypto import shamir
from authnet_core.crypto.secp256k1 import pub
from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.selftest import SAMPLE
from authnet_core.protocol.views import BatchView, KeyView, PoolView
from p2p_dkg.doors.selftest import SelfTestDoor
from p2p_dkg.keystore.shares import BatchIndex
from p2p_dkg.runner.committees import Committees
from p2p_dkg.selftest.tester import PAUSE_S, SelfTester
from tests.unit.keeper.test_committees import OWN, epoch, retired

ME, SILENT = 1, 5
MASKS = range(40, 50)
LATER = range(50, 60)
"""Made by the next committee: epoch 1 has none of them."""
MISSING = range(60, 70)
"""Of a session whose keys come on chain chunk by chunk."""


def point(index: int, party: int) -> bytes:
    return pub(shamir.evaluate([index + 1, 2, 3], party))


class Network:
    """Committee 2 of five: node 1 is this one, node 5 says nothing, the others hold all keys."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, Sequence[int]]] = []
        self.lies: dict[int, bytes] = {}
        self.made = 70
        two = epoch(2, OWN, "b", "c", "d", "e")
        self.committees = Committees(OWN, two, None, (retired(1, OWN, "b", "c", "d", "x"),))

    async def query(self, path: str, kind: type) -> Any:
        await trio.lowlevel.checkpoint()
        index = path.rsplit("/", 1)[-1]
        if kind is PoolView:
            return PoolView(
                curve="secp256k1", free=self.made - len(MASKS), assigned=0, short=0, under_way=9, low=1, high=1,
                reserved=0, masks=len(MASKS),
            )  # fmt: skip
        if kind is BatchView:
            return None if path.startswith("/batch/1/") and int(index) in LATER else _batch(path)
        assert kind is KeyView
        if int(index) in MISSING:
            return None
        return KeyView(
            index=int(index), curve="secp256k1", Y=pub(int(index) + 1).hex(), N="", sid="", position=0, epoch=0,
            free=True, mask=int(index) in MASKS,
        )  # fmt: skip

    def require_place(self, number: int) -> int:
        return ME

    async def own(self, number: int, indexes: Sequence[int]) -> tuple[bytes, ...]:
        return tuple(point(index, ME) for index in indexes)

    async def ask_points(self, number: int, indexes: Sequence[int]) -> dict[int, tuple[bytes, ...]]:
        self.asked.append((number, tuple(indexes)))
        return {j: tuple(self.lies.get(j, point(i, j)) for i in indexes) for j in (2, 3, 4)}

    @property
    def door(self) -> SelfTestDoor:
        itself: Any = self
        membership: Any = SimpleNamespace(committees=self.committees)
        return SelfTestDoor(SelfTester(itself, itself, BatchIndex(itself), itself), membership)

    def run(self, times: int = 1, **params: int) -> dict[str, Any]:
        async def call() -> Any:
            door, nobody = self.door, None
            for _ in range(times):
                found = await door.run(dict(params), nobody)  # type: ignore[arg-type]
            return found, trio.current_time()

        found, self.took_s = trio.run(call, clock=trio.testing.MockClock(autojump_threshold=0.01))
        return dict(found)

    def refused(self, **params: int) -> Code:
        with pytest.raises(AuthnetError) as caught:
            self.run(**params)
        return caught.value.code


def _batch(path: str) -> BatchView:
    return BatchView(id="aa", epoch=int(path.split("/")[2]), first_index=0, count=50, root="", holders=())


def test_sampled_keys_open_and_the_silent_one_is_named() -> None:
    network = Network()
    found = network.run()
    ((number, indexes),) = network.asked  # all keys in one question
    assert (number, len(set(indexes))) == (2, SAMPLE)
    assert list(indexes) == sorted(indexes)
    assert {key: found[key] for key in ("epoch", "keys", "wrong", "off", "silent")} == {
        "epoch": 2, "keys": SAMPLE, "wrong": [], "off": [], "silent": [SILENT],
    }  # fmt: skip
    assert all(len(subset) == 3 and SILENT not in subset for subset in found["subsets"])
    assert len({tuple(subset) for subset in found["subsets"]}) > 1


def test_a_liar_is_named_and_the_keys_still_open() -> None:
    network = Network()
    network.lies[3] = pub(12345)
    found = network.run()
    assert (found["wrong"], found["off"]) == ([], [3])
    assert not any(3 in subset for subset in found["subsets"])


def test_every_key_may_be_drawn_but_masks_and_missing_ones() -> None:
    network = Network()
    for _ in range(60):
        network.run(sample=16)
    drawn = {index for _, indexes in network.asked for index in indexes}
    assert not drawn & {*MASKS, *MISSING}
    assert len(drawn) > 45  # of 50; one is left out of all draws with probability 10^-5


def test_keys_that_came_after_a_former_epoch_are_not_its() -> None:
    network = Network()
    for _ in range(20):
        network.run(epoch=1, sample=16)
    assert {number for number, _ in network.asked} == {1}
    assert not {index for _, indexes in network.asked for index in indexes} & set(LATER)


def test_without_keys_nobody_is_asked() -> None:
    network = Network()
    network.made = 0
    found = network.run()
    assert (found["keys"], network.asked) == (0, [])


def test_one_test_follows_another_no_faster_than_fellows_answer() -> None:
    network = Network()
    network.run(times=4)
    assert network.took_s >= 3 * PAUSE_S


def test_what_the_door_refuses() -> None:
    network = Network()
    assert network.refused(sample=0) is network.refused(sample=17) is Code.BAD_PARAMS
    assert network.refused(sampel=1) is Code.BAD_PARAMS
    assert network.refused(epoch=7) is Code.NOT_A_MEMBER
    network.committees = Committees(OWN)
    assert network.refused() is Code.UNAVAILABLE
    assert network.asked == []
