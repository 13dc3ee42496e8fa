"""Hand-overs that are called off, time out, lack a member, or lead to a committee that a keeper never saw."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from authnet_core.protocol.views import EncKeysView
from tests.component.keeper.test_assign import ask
from tests.component.keeper.test_handover_crashes import PATIENT, Broadcasts
from tests.component.keeper.test_sessions import run
from tests.component.keeper.two_committees import DISJOINT, OLD, TwoCommittees
from tests.component.keeper.world import Node, until

LONG = 300.0
pytestmark = [pytest.mark.timeout(900), pytest.mark.usefixtures("quick_disk")]


def has_nothing_of(node: Node, epoch: int) -> bool:
    """No share, service key, encryption key or resharing of an epoch is on the disk."""
    files = node.keystore.epoch(epoch)
    secrets = [*files.held, *files.waiting.secrets]
    return not secrets and files.service() is None and not node.keystore.sessions()


def test_nothing_is_dealt_to_a_committee_that_the_own_watcher_has_not_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = TwoCommittees(tmp_path)
    sent = Broadcasts(monkeypatch)

    async def check(nursery: trio.Nursery) -> None:
        world.start(nursery)
        await until(lambda: world.pool.free >= 20, LONG)
        record = world.record(2, DISJOINT, previous=1)
        other = world.record(2, DISJOINT, previous=1)
        other.members[0].peer_id = "somebody-else"
        await world.show(record, (2, 3, 4, 5))
        await world.show(other, (1,))
        world.announce(record)
        await until(lambda: world.epoch == 2, LONG)
        assert sent.of(world.signers[1].pub, "rdeal") == {}
        assert sent.of(world.signers[1].pub, "rtest") == {}
        assert sent.of(world.signers[2].pub, "rdeal")
        await until(lambda: all(len(batch.holders) == 5 for batch in world.batches(2)), LONG)
        world.check_keys(2, DISJOINT)

    run(world, check)


def test_a_sighting_in_the_midst_of_a_hand_over_lets_the_keys_go(tmp_path: Path) -> None:
    """With two of five the chain can not go on; a third one's epoch_manager catches up."""
    world = TwoCommittees(tmp_path, **PATIENT)

    async def check(nursery: trio.Nursery) -> None:
        world.start(nursery)
        await until(lambda: world.pool.free >= 20, LONG)
        record = world.record(2, DISJOINT, previous=1)
        await world.show(record, (4, 5))
        world.announce(record)
        await until(lambda: any(len(view.deals) == 2 for view in world.open_reshares()), LONG)
        await world.show(record, OLD)
        await until(lambda: world.epoch == 2, LONG)
        await until(lambda: all(len(batch.holders) == 5 for batch in world.batches(2)), LONG)
        world.check_keys(2, DISJOINT)

    run(world, check)


def test_a_hand_over_that_is_called_off_leaves_the_old_committee_as_it_was(tmp_path: Path) -> None:
    world = TwoCommittees(tmp_path, (2, 6, 7, 8, 9), **PATIENT)

    async def check(nursery: trio.Nursery) -> None:
        world.start(nursery)
        await until(lambda: world.pool.free >= 20, LONG)
        before = world.check_keys(1, OLD)
        record = world.record(2, world.new, previous=1)
        await world.show(record, (2, 3, 4, 5))  # no full D: the first resharing stays open
        world.announce(record)
        await until(lambda: any(len(view.deals) == 4 for view in world.open_reshares()), LONG)
        off = world.record(2, world.new, previous=1, aborted=True)
        await world.show(off, OLD)
        world.announce(off)
        await until(lambda: world.phase == "", LONG)
        assert world.ended[0].outcome == "aborted"
        await until(lambda: all(has_nothing_of(world.nodes[number], 2) for number in world.nodes), LONG)
        assert world.check_keys(1, OLD) >= before
        assert (await world.nodes[1].assign(ask("alice"))).is_new
        again = world.record(3, world.new, previous=1)
        await world.show(again, world.nodes)
        world.announce(again)
        await until(lambda: world.epoch == 3, LONG)
        await until(lambda: all(len(batch.holders) == 5 for batch in world.batches(3)), LONG)
        world.check_keys(3, world.new)

    run(world, check)


def test_a_hand_over_that_takes_too_long_is_forgotten(tmp_path: Path) -> None:
    world = TwoCommittees(tmp_path, handover_max_ms=20_000)

    async def check(nursery: trio.Nursery) -> None:
        await world.rotate(nursery, absent=(8, 9, 10))
        joining = [world.nodes[6], world.nodes[7]]
        await until(lambda: all(node.keystore.epoch(2).service() is not None for node in joining), LONG)
        await until(lambda: bool(world.ended), LONG)
        assert world.ended[0].outcome == "timed-out"
        await until(lambda: all(has_nothing_of(node, 2) for node in joining), LONG)
        assert (await world.nodes[1].assign(ask("alice"))).is_new

    run(world, check)


@pytest.mark.parametrize("is_old_gone", [pytest.param(False, id="old-there"), pytest.param(True, id="old-gone")])
def test_a_new_member_that_was_away_catches_up(tmp_path: Path, *, is_old_gone: bool) -> None:
    """Also when the old committee has erased and is gone: the other new members have all that it needs."""
    world = TwoCommittees(tmp_path, join_wait_ms=2_000, grace_ms=600_000, t_ack_ms=2_000, t_ready_ms=2_000)
    for node in world.nodes.values():
        node.erases = True

    async def check(nursery: trio.Nursery) -> None:
        absent = world.nodes[10]
        await world.rotate(nursery)

        def has_announced() -> bool:
            view = world.chain.query("/enckeys/2", EncKeysView)
            return view is not None and view.members[4].last >= 8

        await until(has_announced, LONG)
        absent.scope.cancel()
        await until(lambda: world.epoch == 2, LONG)
        missed = [batch.id for batch in world.batches(2) if 5 not in batch.holders]
        assert missed
        if is_old_gone:
            world.chain.block(800_000)
            await until(lambda: len(world.view(1).erased) == 5, LONG)
            for number in OLD:
                world.nodes[number].scope.cancel()
        nursery.start_soon(absent.run)
        await until(lambda: all(5 in batch.holders for batch in world.batches(2)), LONG)
        world.check_keys(2, DISJOINT)
        await until(lambda: absent.runner.upkeep.short == [])
        rids = {bytes.fromhex(batch.id) for batch in world.batches(2)}
        there = [world.nodes[number] for number in (DISJOINT if is_old_gone else (*OLD, *DISJOINT))]
        await until(lambda: not any(rids & set(node.keystore.sessions()) for node in there), LONG)

    run(world, check)


def test_lost_messages_of_a_resharing_are_asked_for_again(tmp_path: Path) -> None:
    world = TwoCommittees(tmp_path)
    seen: set[tuple[int, int, str, int]] = set()

    def drop_first(sender: int, to: int, message: object) -> bool:
        mark = (sender, to, type(message).__name__, getattr(message, "dealer", 0))
        is_first = hasattr(message, "rid") and mark not in seen
        seen.add(mark)
        return is_first

    world.hub.drop = drop_first

    async def check(nursery: trio.Nursery) -> None:
        await world.rotate(nursery)
        await until(lambda: world.epoch == 2, LONG)
        await until(lambda: all(len(batch.holders) == 5 for batch in world.batches(2)), LONG)
        world.check_keys(2, DISJOINT)

    run(world, check)
