"""t old and t' new members against a resharing: it comes to its end in one attempt, with the same keys."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import pytest
from msgspec.structs import replace

from abci_app.queries.present import blame_view
from abci_app.state import tables
from abci_app.state.state import Block, State
from authnet_core.crypto.secp256k1 import pub
from authnet_core.errors import Code
from authnet_core.wire import authnet_pb2 as wire
from tests.unit.abci.handover_world import NEW, phase
from tests.unit.abci.reshare_world import SMALL, KeyedWorld, Move, batches_made, begin, first_move, next_attempt, opened
from tests.unit.abci.world import World, account, secret


@pytest.fixture
def moving(tmp_path: Path) -> Iterator[KeyedWorld]:
    world = KeyedWorld(tmp_path / "app", params=SMALL)
    batches_made(world)
    begin(world)
    yield world
    world.app.close()


@pytest.mark.parametrize("lie", ["constant", "shares", "silence"])
def test_t_old_and_t_new_liars_stop_nothing(moving: KeyedWorld, lie: str) -> None:
    """Old 2 and new 4 work together, new 4 says whatever it may."""
    move = first_move(moving, lies={2: 7} if lie == "constant" else {})
    assert set(move.deal()) == {None}
    if lie == "silence":
        move.test([1, 3, 4, 5])
        for step in (100, 2_000, 100):
            moving.block(step_ms=step)
    else:
        u = list(move.rtest(2).u)
        if lie == "shares":
            u[1] = secret("other")
        move.test([1, 3, 4, 5])
        assert moving.send(move.tx_old(2, rtest=move.rtest(2, u=u))) == [None]
    assert move.phase == "ack"
    everything = sum(1 << (j - 1) for j in move.view.tests)
    assert move.ack(everything, [4], pub(9)) == [None], "a forged M"
    assert moving.send(move.complain(4, 1)) == [None], "a lie about an honest dealer"
    if lie == "shares":
        assert moving.send(move.complain(1, 2)) == [None]
    good = everything & ~2 if lie == "shares" else everything
    assert set(move.ack(good, [1, 2, 3, 5])) == {None}
    assert move.phase == "ready"
    assert 2 not in move.view.q
    assert move.ready([4], bytes(32)) == [Code.ROOT_MISMATCH]
    assert set(move.ready([1, 2, 3, 5])) == {None}
    for step in (100, 10_000, 100):
        moving.block(step_ms=step)
    assert (move.phase, move.view.attempt, move.view.holders) == ("final", 0, (1, 2, 3, 5))
    assert all(move.opens(members) for members in combinations((1, 2, 3, 5), 3))
    assert reasons_elsewhere(moving) == [blame.reason for blame in moving.query("/blame")]
    convicts = {(blame.epoch, blame.convict) for blame in moving.query("/blame")}
    assert convicts == {(2, 4), (1, 2)} if lie != "silence" else {(2, 4)}


def reasons_elsewhere(world: World) -> list[str]:
    """Of the convictions, on a chain of another name that began from this one's state."""
    state = State(world.app.store, Block(world.height, world.time_ms))
    state.put(tables.GENESIS, replace(state.need(tables.GENESIS), chain_id="testnet-2"))
    count = state.need(tables.BLAME_COUNT).count
    return [blame_view(state, state.need(tables.blame(number)), True).reason for number in range(count)]


def test_nothing_of_one_attempt_counts_in_another(moving: KeyedWorld) -> None:
    move = first_move(moving, lies={1: 1, 2: 2, 3: 5, 4: 9, 5: 27})
    said = []
    deals = [move.tx_old(j, rdeal=move.rdeal(j)) for j in range(1, 6)]
    moving.send(*deals)
    tests = [move.tx_old(j, rtest=move.rtest(j)) for j in range(1, 6)]
    moving.send(*tests)
    acks = [move.tx_new(m, rack=wire.ReshareAck(rid=move.rid, dealers=31, sum=move.total)) for m in range(1, 6)]
    moving.send(*acks)
    assert move.phase == "failed"
    second = next_attempt(move)
    for raw in (*deals, *tests, *acks):
        said += moving.send(raw)
    assert set(said) == {Code.SEEN_BEFORE}
    later = [move.tx_old(1, rdeal=move.rdeal(1), expiry=moving.height + 30)]
    later += [move.tx_old(1, rtest=wire.ReshareTest(rid=move.rid, u=[bytes(32)] * 3))]
    later += [move.tx_new(1, rack=wire.ReshareAck(rid=move.rid, dealers=1, sum=pub(3)))]
    later += [move.tx_new(1, ready=wire.ReshareReady(rid=move.rid, hash=bytes(32)))]
    later += [move.tx_new(1, rhave=wire.ReshareHave(rid=move.rid))]
    assert [moving.send(raw)[0] for raw in later] == [Code.WRONG_PHASE] * 5
    # The old answers under the new rid: the challenge, the mask and the dealings are others.
    assert set(second.deal()) == {None}
    assert second.view.gamma_seed != move.view.gamma_seed
    for j in range(1, 6):
        u = [bytes.fromhex(c) for c in move.view.tests[j]]
        assert moving.send(second.tx_old(j, rtest=second.rtest(j, u=u))) == [None]
    second.ack()
    assert second.phase == "failed", "the constants give another sum than M"


def test_a_mask_is_never_used_twice(tmp_path: Path) -> None:
    """Not by the next attempt, nor by another batch, nor by the next hand-over."""
    world = KeyedWorld(tmp_path / "app", params={**SMALL, "reshare_attempts": 2, "t_max_ms": 2_000})
    batches_made(world)
    used: list[int] = []
    for epoch in (2, 3):
        begin_again(world, epoch)
        for _ in range(30):
            used += [view.mask_index for view in opened(world) if view.mask_index not in used[-4:]]
            if not phase(world):
                break
            world.block(step_ms=1_000)
        assert world.query("/handovers")[0].outcome == "timed-out"
    assert len(set(used)) == len(used) >= 4
    keys = {key.index: key for key in world.query("/keys/0/36")}
    assert all(keys[index].mask for index in used)
    codes = world.send(*(world.assign(1 + i % 5, account(i)) for i in range(36)))
    free = codes.count(None)
    assert free == 36 - len({*used, 17, 35})
    world.app.close()


def begin_again(world: KeyedWorld, epoch: int) -> None:
    from tests.unit.abci.handover_world import announce, enckey_tx, next_record, ready_tx

    announce(world, next_record(epoch, NEW, 1))
    while phase(world) == "announced":
        world.block()
    for member, node in enumerate(NEW, start=1):
        assert world.send(ready_tx(world, node, epoch)) == [None]
        assert world.send(enckey_tx(world, node, member, epoch, count=16)) == [None]


def test_what_one_member_can_write_is_bounded(moving: KeyedWorld) -> None:
    """One RDEAL and RTEST, n RACKs at most; the record of a resharing can not be made to grow."""
    move = first_move(moving)
    deals = [move.tx_old(1, rdeal=move.rdeal(1, root=secret(i))) for i in range(5)]
    assert moving.send(*deals) == [None] + [Code.ALREADY_DONE] * 4
    move.deal([2, 3, 4, 5])
    tests = [move.tx_old(1, rtest=move.rtest(1, u=[secret(i)] * 3)) for i in range(5)]
    assert moving.send(*tests) == [None] + [Code.ALREADY_DONE] * 4
    move.test([2, 3, 4, 5])
    total = move.total
    acks = [move.tx_new(1, rack=wire.ReshareAck(rid=move.rid, dealers=i, sum=total)) for i in range(1, 32)]
    assert moving.send(*acks).count(None) <= 5
    size = len(moving.app.store.newest().raw(tables.reshare(move.rid).key) or b"")
    assert size < 4_096


def test_enough_that_are_ready_are_enough_when_time_is_over(tmp_path: Path) -> None:
    """Slow dealing must not turn a resharing that n' - t' hold into a failed one."""
    world = KeyedWorld(tmp_path / "app", params={**SMALL, "t_max_ms": 8_000})
    batches_made(world)
    begin(world)
    move = first_move(world)
    move.run("ready")
    move.ready([1, 2, 3, 4])
    world.block()
    world.block(step_ms=8_000)
    world.block()
    assert (move.phase, move.view.holders) == ("final", (1, 2, 3, 4))
    world.app.close()


def test_a_batch_without_masks_does_not_hold_up_the_others(tmp_path: Path) -> None:
    """It waits for the pool; the batch behind it has its own."""
    world = KeyedWorld(tmp_path / "app", params={**SMALL, "reshares_in_flight": 1})
    batches_made(world)
    assert set(world.send(*(world.assign(1 + i % 5, account(i)) for i in range(34)))) == {None}
    begin(world)
    move = first_move(world)
    move.deal([1, 2])
    while move.phase != "failed":
        world.block(step_ms=20_000)
    world.block()
    assert [view.first_index for view in opened(world)] == [18]
    world.app.close()


def test_a_committee_of_nine_becomes_five(tmp_path: Path) -> None:
    """Two of nine lie about their constants, and with two of the others they are named: k + t = 7 agree."""
    world = KeyedWorld(tmp_path / "app", n=9, params={**SMALL, "pool_low": 1, "pool_high": 1})
    batches_made(world, 1)
    begin(world, NEW_FIVE, voters=range(1, 8))
    move = Move(world, bytes.fromhex(opened(world)[0].rid), range(1, 10), NEW_FIVE, lies={3: 1, 8: 4})
    assert set(move.deal(range(1, 10))) == {None}
    assert set(move.test(range(1, 10))) == {None}
    assert set(move.ack(2**9 - 1)) == {None}
    assert {blame.convict for blame in world.query("/blame")} == {3, 8} == set(move.view.blamed)
    assert set(move.ready()) == {None}
    assert len(move.view.q) == 5
    assert all(move.opens(members) for members in combinations(range(1, 6), 3))
    world.app.close()


NEW_FIVE = (3, 4, 11, 12, 13)
"""Two of them in both committees."""
