"""After a hand-over the new committee's keepers open sampled keys in the exponent, whoever of them lies."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import trio

from authnet_core.crypto.secp256k1 import pub
from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.selftest import SAMPLE
from p2p_dkg.keystore.epochs import EpochFiles
from p2p_dkg.selftest.points import PointDesk
from tests.component.keeper.test_sessions import run
from tests.component.keeper.two_committees import DISJOINT, OLD, TwoCommittees
from tests.component.keeper.world import until

LONG = 300.0
LIAR, DOWN = 7, 10
pytestmark = [pytest.mark.timeout(900), pytest.mark.usefixtures("quick_disk")]
NOBODY: Any = None


def handed_over(tmp_path: Path, then: Callable[[TwoCommittees], Awaitable[None]]) -> None:
    """Epoch 2 of nodes 6 to 10 in charge, all of whom know it and hold all keys."""
    world = TwoCommittees(tmp_path, grace_ms=3_600_000)

    async def check(nursery: trio.Nursery) -> None:
        await world.rotate(nursery)
        await until(lambda: world.epoch == 2, LONG)
        await until(lambda: all(world.nodes[j].runner.membership.body_epoch == 2 for j in (*OLD, *DISJOINT)), LONG)
        await until(lambda: all(len(batch.holders) == 5 for batch in world.batches(2)), LONG)
        await then(world)

    run(world, check)


async def self_test(world: TwoCommittees, number: int, **params: int) -> Any:
    return await world.nodes[number].self_test.run(dict(params), NOBODY)


def lie(world: TwoCommittees, monkeypatch: pytest.MonkeyPatch) -> None:
    """Node 7 says another point of every second key."""
    real = PointDesk.own

    async def own(desk: PointDesk, epoch: int, indexes: Sequence[int]) -> tuple[bytes, ...]:
        points = await real(desk, epoch, indexes)
        if desk is not world.nodes[LIAR].points:
            return points
        return tuple(pub(at + 1) if at % 2 else point for at, point in enumerate(points))

    monkeypatch.setattr(PointDesk, "own", own)


def test_the_new_committee_s_keys_open_and_a_liar_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def then(world: TwoCommittees) -> None:
        good = await self_test(world, 6)
        assert (good["epoch"], good["keys"], len(good["subsets"])) == (2, SAMPLE, SAMPLE)
        assert [good[what] for what in ("wrong", "off", "silent", "lacking", "untested")] == [[]] * 5
        former = await self_test(world, 1, epoch=1)  # through its grace
        assert (former["epoch"], former["keys"], former["wrong"], former["silent"]) == (1, SAMPLE, [], [])
        with pytest.raises(AuthnetError) as caught:
            await self_test(world, 1, epoch=2)
        assert caught.value.code is Code.NOT_A_MEMBER

        lie(world, monkeypatch)
        world.nodes[DOWN].scope.cancel()
        await until(lambda: DOWN not in world.hub.meshes)
        liar, down = 2, 5
        for number in (6, 8):
            found = await self_test(world, number)
            assert (found["wrong"], found["off"], found["silent"]) == ([], [liar], [down])
            assert all(down not in subset for subset in found["subsets"])
        named_by_itself = await self_test(world, LIAR)
        assert (named_by_itself["wrong"], named_by_itself["off"]) == ([], [liar])

    handed_over(tmp_path, then)


def test_shares_of_another_polynomial_are_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the test is for: had the hand-over left shares that do not open the keys, it says so."""
    spoilt = EpochFiles.share

    def share(files: EpochFiles, sid: bytes, position: int) -> Any:
        found = spoilt(files, sid, position)
        other = spoilt(files, sid, position ^ 1)
        return found if files.epoch == 1 or other is None else other

    async def then(world: TwoCommittees) -> None:
        monkeypatch.setattr(EpochFiles, "share", share)
        found = await self_test(world, 6)
        assert len(found["wrong"]) >= SAMPLE - 1
        assert found["off"] == []

    handed_over(tmp_path, then)
