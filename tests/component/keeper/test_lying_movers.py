"""Keepers of two committees, some of which lie while the keys move: every key is the next committee's all the same, and
who can be named is named. Those of `tests/liars`, in one process over the real state machine."""

from __future__ import annotations

from itertools import zip_longest
from pathlib import Path

import pytest
import trio

from authnet_core.protocol.reshare import check, stage_deal
from authnet_core.protocol.reshare.state import State
from authnet_core.protocol.views import BlameView
from p2p_dkg.runner import reshares
from tests.component.keeper.test_sessions import run
from tests.component.keeper.two_committees import DISJOINT, OLD, TwoCommittees
from tests.component.keeper.world import until
from tests.liars.resharing import COMPANY, LATE_COMPLAINT, NAMED, NEW_LIES, NONCES, OLD_LIES, lie_in_resharings

LONG = 300.0
pytestmark = [pytest.mark.timeout(900), pytest.mark.usefixtures("quick_disk")]
Place = tuple[str, int]
LIAR, CHEAT = 2, 5
"""Old index, new index."""
JUNK = "junk-recovery"
PAIRS = list(zip_longest([lie for lie in OLD_LIES if lie not in NONCES], [lie for lie in NEW_LIES if lie != JUNK]))


class Lies:
    """Who lies how, and what was told."""

    def __init__(self, patch: pytest.MonkeyPatch, lies: dict[Place, str]) -> None:
        self.lies = lies
        self.told: list[str] = []
        for module, name in ((stage_deal, "deal_once"), (check, "refuse_own"), (reshares, "ReshareDriver")):
            patch.setattr(module, name, getattr(module, name))  # put back after the test
        lie_in_resharings(self.of, self.told.append)

    def of(self, state: State) -> str:
        old = self.lies.get(("old", state.old.me), "") if state.old is not None else ""
        return old or (self.lies.get(("new", state.new.me), "") if state.new is not None else "")


def convicts(world: TwoCommittees) -> set[tuple[int, int]]:
    views: list[BlameView] = world.chain.query("/blame", list[BlameView])
    return {(view.epoch, view.convict) for view in views}


def moved(world: TwoCommittees) -> None:
    """All keys there were are the next committee's, whose every member holds them."""

    async def check_all(nursery: trio.Nursery) -> None:
        world.start(nursery)
        await until(lambda: world.pool.free >= 20, LONG)
        before = {key.index: (key.Y, key.N) for key in world.key_views()}
        record = world.record(2, world.new, previous=1)
        await world.show(record, OLD)
        world.announce(record)
        await until(lambda: world.epoch == 2, LONG)
        assert {key.index: (key.Y, key.N) for key in world.key_views() if key.index in before} == before
        await until(lambda: all(len(batch.holders) >= 4 for batch in world.batches(2)), LONG)
        assert world.check_keys(2, world.new, at_least=4) >= 20

    run(world, check_all)


@pytest.mark.parametrize(
    ("old", "new"),
    [pytest.param(old, new, marks=() if (old, new) == PAIRS[0] else pytest.mark.soak) for old, new in PAIRS],
)
def test_one_liar_of_each_committee(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str) -> None:
    lies = Lies(monkeypatch, {("old", LIAR): old or "", ("new", CHEAT): new or ""})
    world = TwoCommittees(tmp_path, DISJOINT)
    moved(world)
    for lie in filter(None, (old, new)):
        assert any(told.startswith(lie) for told in lies.told), lies.told
    right = {(1, LIAR)} if old in NAMED else set()
    assert convicts(world) == right | ({(2, CHEAT)} if new in NAMED else set())


@pytest.mark.soak
def test_nonces_come_though_three_old_members_keep_them_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lies = Lies(monkeypatch, {("old", at): lie for at, lie in enumerate(NONCES, start=1)})
    world = TwoCommittees(tmp_path, DISJOINT)
    moved(world)
    assert {told.split()[0] for told in lies.told} == set(NONCES)
    assert convicts(world) == set()


@pytest.mark.soak
def test_a_cheated_member_that_complains_late_is_helped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The dealer that cheated it is in Q' of some batch; of those that help one sends junk."""
    places = {("old", LIAR): "one-bad-share", ("new", LIAR + 1): LATE_COMPLAINT, ("new", CHEAT): JUNK}
    lies = Lies(monkeypatch, places)
    world = TwoCommittees(tmp_path, DISJOINT, pool_low=100, pool_high=101)
    moved(world)
    assert any(told.startswith(JUNK) for told in lies.told), "the liar was in no Q' of all batches: 2^-n"
    assert convicts(world) == {(1, LIAR)}


@pytest.mark.soak
def test_all_old_members_together_change_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lies = Lies(monkeypatch, {("old", j): COMPANY for j in OLD})
    world = TwoCommittees(tmp_path, DISJOINT, reshare_attempts=2)

    async def check_all(nursery: trio.Nursery) -> None:
        world.start(nursery)
        await until(lambda: world.pool.free >= 20, LONG)
        before = {key.index: (key.Y, key.N) for key in world.key_views()}
        record = world.record(2, world.new, previous=1)
        await world.show(record, OLD)
        world.announce(record)
        await until(lambda: bool(world.ended), LONG)
        assert (world.ended[0].outcome, world.epoch) == ("timed-out", 1)
        assert {key.index: (key.Y, key.N) for key in world.key_views() if key.index in before} == before
        world.check_keys(1, OLD)

    run(world, check_all)
    assert lies.told
    assert convicts(world) == set()
