"""The next committee takes over: two batches move, every key stays, and what is left behind is erased."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio

from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.views import SessionsView
from tests.component.keeper.test_assign import ask
from tests.component.keeper.test_sessions import run
from tests.component.keeper.two_committees import DISJOINT, OLD, TwoCommittees, opens
from tests.component.keeper.world import until

LONG = 300.0
pytestmark = [pytest.mark.timeout(900), pytest.mark.usefixtures("quick_disk")]


def handed_over(world: TwoCommittees, then: Callable[[trio.Nursery], Awaitable[None]], **rotate: object) -> None:
    async def check(nursery: trio.Nursery) -> None:
        await world.rotate(nursery, **rotate)  # type: ignore[arg-type]
        await then(nursery)

    run(world, check)


@pytest.mark.parametrize(
    "new",
    [DISJOINT, (3, 4, 5, 6, 7), (2, 1, 5, 4, 3), (1, 2, 3, 4, 5, 6)],
    ids=["disjoint", "overlap", "refresh", "larger"],
)
def test_every_key_is_the_new_committees_and_stays(tmp_path: Path, new: tuple[int, ...]) -> None:
    world = TwoCommittees(tmp_path, new)

    async def check(nursery: trio.Nursery) -> None:
        world.start(nursery)
        await until(lambda: world.pool.free >= 20, LONG)
        given = (await world.nodes[1].assign(ask("alice"))).key
        before = {key.index: (key.Y, key.N) for key in world.key_views()}
        record = world.record(2, new, previous=1)
        await world.show(record, OLD)
        world.announce(record)
        await until(lambda: world.epoch == 2, LONG)
        assert {key.index: (key.Y, key.N) for key in world.key_views() if key.index in before} == before
        moved = world.batches(2)
        assert sum(batch.count for batch in moved) >= 24
        assert len(moved) >= 2
        await until(lambda: all(len(batch.holders) == len(new) for batch in world.batches(2)))
        assert world.check_keys(2, new) >= 24
        world.check_keys(1, OLD)
        _check_no_mix(world, new)
        await until(lambda: world.nodes[new[0]].runner.membership.body_epoch == 2)
        assert (await world.nodes[new[0]].assign(ask("alice"))).key.index == given.index
        # all hold: nothing of any resharing is left
        await until(lambda: not any(_reshare_files(world, number) for number in world.nodes), LONG)

    run(world, check)


def _check_no_mix(world: TwoCommittees, new: tuple[int, ...]) -> None:
    """Shares of both committees at distinct indexes do not combine."""
    keys = {key.index: key for key in world.key_views()}
    for old_batch, new_batch in zip(world.batches(1), world.batches(2), strict=True):
        old = world.shares(1, OLD, old_batch, 0)
        moved = world.shares(2, new, new_batch, 0)
        mixed = {1: old[1].x, 2: old[2].x, **{index: share.x for index, share in moved.items() if index > 2}}
        assert not opens(keys[old_batch.first_index], dict(list(mixed.items())[:3]))


def _reshare_files(world: TwoCommittees, number: int) -> list[bytes]:
    keystore = world.nodes[number].keystore
    rids = {bytes.fromhex(batch.id) for batch in world.batches(2)}
    return [name for name in keystore.sessions() if name in rids]


def test_generation_goes_on_with_the_new_committee(tmp_path: Path) -> None:
    world = TwoCommittees(tmp_path)

    async def then(_: trio.Nursery) -> None:
        await until(lambda: world.nodes[6].is_bound and world.nodes[6].runner.membership.index == 1, LONG)
        for name in range(5):
            await world.nodes[6].assign(ask(f"user{name}"))
        made = len(world.key_views())
        await until(lambda: len(world.key_views()) > made, LONG)
        await until(lambda: all(len(batch.holders) == 5 for batch in world.batches(2)), LONG)
        assert world.check_keys(2, DISJOINT) > made
        view = world.chain.query("/sessions", SessionsView)
        assert any(session.epoch == 2 and session.phase == "final" for session in view.recent)
        # counters go on behind those that the resharings took
        moved = len(world.batches(1))
        assert min(session.counter for session in view.recent if session.epoch == 2) >= moved

    handed_over(world, then)


def test_the_former_committee_assigns_keys_until_it_has_left(tmp_path: Path) -> None:
    world = TwoCommittees(tmp_path, serve_delay_ms=600_000)

    async def then(_: trio.Nursery) -> None:
        await until(lambda: world.epoch == 2, LONG)
        former = world.nodes[1]
        await until(lambda: former.runner.membership.body_epoch == 2, LONG)
        assert former.runner.membership.index is None
        given = await former.assign(ask("alice"))
        assert given.is_new
        assert {body.epoch for body in world.sent("assign", 1)} == {1}
        world.chain.block(step_ms=610_000)
        await until(lambda: former.watch.newest.time_ms >= world.chain.time_ms, LONG)
        assert (await former.assign(ask("alice"))).key == given.key
        with pytest.raises(AuthnetError) as caught:
            await former.assign(ask("bob"))
        assert caught.value.code is Code.EPOCH_MOVED
        assert (await world.nodes[6].assign(ask("bob"))).is_new

    handed_over(world, then)
