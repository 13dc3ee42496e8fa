"""Batches, masks, the pool and what is swept: around a hand-over that comes to its end, and one that does not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from abci_app.queries import reshares as queries_reshares
from abci_app.sessions.pool import take
from abci_app.state import batch_records as b
from abci_app.state import records as r
from abci_app.state import tables
from abci_app.state.records import PoolBatch
from abci_app.state.state import Block, State
from authnet_core.crypto import merkle
from authnet_core.errors import Code
from authnet_core.wire import authnet_pb2 as wire
from tests.unit.abci.handover_world import NEW, next_record, phase, reject_tx
from tests.unit.abci.reshare_world import SMALL, KeyedWorld, Move, batches_made, begin, first_move, opened
from tests.unit.abci.world import MASKS, World, account


@pytest.fixture
def keyed(tmp_path: Path) -> Iterator[KeyedWorld]:
    """Two batches of 18 keys, no hand-over."""
    world = KeyedWorld(tmp_path / "app", params=SMALL)
    batches_made(world)
    yield world
    world.app.close()


def moved(world: KeyedWorld) -> list[Move]:
    """Every resharing to come, all honest, until the switch."""
    moves: list[Move] = []
    for _ in range(30):
        if not phase(world):
            return moves
        if opened(world):
            moves.append(first_move(world))
            moves[-1].run()
        world.block(step_ms=1_000)
    raise AssertionError(f"still {phase(world)}")


def test_a_batch_is_made_at_final_and_follows_its_holders(world: World) -> None:
    assert world.refusal("/batch/1/0") == Code.NOT_FOUND
    world.announce()
    sid = world.open_sid()
    pairs = world.run_session(sid, [1, 2, 3, 4])
    batch = world.query("/batch/1/0")
    session = world.query(f"/session/{sid.hex()}")
    assert (batch.id, batch.epoch, batch.root) == (sid.hex(), 1, session.root)
    assert (batch.first_index, batch.count, batch.source) == (0, len(pairs), "")
    assert batch.holders == (1, 2, 3, 4)
    assert world.send(world.tx(5, have=wire.Have(sid=sid))) == [None]
    assert world.query(f"/batch/1/{len(pairs) - 1}").holders == (1, 2, 3, 4, 5)
    assert world.refusal(f"/batch/1/{len(pairs)}") == Code.NOT_FOUND
    assert world.refusal("/batch/2/0") == Code.NOT_FOUND
    assert world.refusal("/batch/x/0") == Code.BAD_PARAMS


def test_batches_are_listed_from_the_one_that_holds_a_key(keyed: KeyedWorld) -> None:
    def firsts(path: str) -> list[int]:
        return [batch.first_index for batch in keyed.query(path)]

    assert firsts("/batches/1/0/10") == [0, 18]
    assert firsts("/batches/1/17/10") == [0, 18]
    assert firsts("/batches/1/18/10") == [18]
    assert firsts("/batches/1/0/1") == [0]
    assert firsts("/batches/1/36/10") == []
    assert firsts("/batches/2/0/10") == []
    assert keyed.refusal("/batches/1/0/0") == Code.BAD_PARAMS
    assert keyed.refusal("/batches/1/0/501") == Code.BAD_PARAMS


def test_masks_are_the_last_keys_of_a_chunk_and_nobody_s(pooled: World) -> None:
    pool = pooled.query("/pool")
    assert (pool.free, pool.masks) == (192 - MASKS, MASKS)
    keys = pooled.query("/keys/0/200")
    assert [key.index for key in keys if key.mask] == list(range(192 - MASKS, 192))
    assert all(key.free != key.mask for key in keys)
    codes = pooled.send(*(pooled.assign(1 + i % 5, account(i)) for i in range(192)))
    assert codes == [None] * (192 - MASKS) + [Code.POOL_EMPTY] * MASKS


def test_a_resharing_burns_a_mask_of_its_batch_for_good(keyed: KeyedWorld) -> None:
    begin(keyed)
    view = first_move(keyed).view
    assert (view.mask_index, view.mask_source) == (17, view.source)
    assert keyed.query("/key/17").mask
    assert keyed.app.store.get(tables.masks(0)).burnt == (17,)  # type: ignore[union-attr]
    assert keyed.query("/pool").masks == 2, "it was kept back before"


def test_without_a_mask_of_its_own_a_batch_takes_the_pool_s_last_key(keyed: KeyedWorld) -> None:
    begin(keyed)
    move = first_move(keyed)
    move.deal([1, 2])
    while move.phase != "failed":
        keyed.block(step_ms=20_000)
    second = next(view for view in opened(keyed) if view.first_index == 0)
    assert second.mask_index == 34, "35 is a mask of the second batch"
    assert second.mask_source == keyed.query("/batch/1/34").id
    pool = keyed.query("/pool")
    assert (pool.free, pool.masks) == (33, 3)
    assert keyed.query("/key/34").mask
    codes = keyed.send(*(keyed.assign(1 + i % 5, account(i)) for i in range(34)))
    assert codes == [None] * 33 + [Code.POOL_EMPTY]


def test_without_any_mask_a_resharing_waits(keyed: KeyedWorld) -> None:
    assert set(keyed.send(*(keyed.assign(1 + i % 5, account(i)) for i in range(34)))) == {None}
    begin(keyed)
    move = first_move(keyed)
    move.deal([1, 2])
    while move.phase != "failed":
        keyed.block(step_ms=20_000)
    for _ in range(3):
        keyed.block()
    assert 0 not in [view.first_index for view in opened(keyed)]
    # Key generation goes on, as nothing is frozen; its keys bring masks.
    keyed.run_session(keyed.open_sid())
    keyed.block()
    again = next(view for view in opened(keyed) if view.first_index == 0)
    assert (again.attempt, again.mask_index) == (1, 52)


def test_the_pool_moves_and_the_former_committee_s_keys_go_first(keyed: KeyedWorld) -> None:
    keyed.send(keyed.assign(1, account(0)))
    begin(keyed)
    moves = moved(keyed)
    assert keyed.query("/epoch/current").epoch == 2
    pool = keyed.app.store.get(tables.pool("secp256k1"))
    assert pool is not None
    assert [(b.sid, b.epoch, b.held_by_all, b.spans) for b in pool.batches] == [
        (moves[0].rid, 2, True, ((1, 17),)),
        (moves[1].rid, 2, True, ((18, 35),)),
    ]
    assert keyed.send(keyed.assign(NEW[0], account(1))) == [None]
    (key,) = keyed.query(f"/account/{account(1).hex()}").keys
    assert (key.index, key.epoch, key.sid, key.position) == (1, 2, moves[0].rid.hex(), 1)
    assert keyed.query("/key/20").sid == moves[1].rid.hex()
    assert keyed.query("/key/20").epoch == 2


def test_while_the_former_committee_serves_it_is_given_keys_that_it_holds(keyed: KeyedWorld) -> None:
    """A batch of the new epoch that all hold does not go before one that some member still lacks."""
    begin(keyed)
    for _ in range(2):
        move = first_move(keyed)
        move.run("ready")
        move.ready([1, 2, 3, 4])
        for step in (100, 10_000, 100):
            keyed.block(step_ms=step)
    while phase(keyed):
        keyed.block()
    pool = keyed.app.store.get(tables.pool("secp256k1"))
    assert pool is not None
    fresh = PoolBatch(bytes(32), 2, 36, True, ((36, 40),))
    serving = keyed.query("/epoch/2").serving_from_ms
    for time_ms, index in ((serving, 0), (serving + 9_999, 0), (serving + 10_000, 36)):
        state = State(keyed.app.store, Block(keyed.height + 1, time_ms))
        state.put(tables.pool("secp256k1"), replace(pool, batches=(*pool.batches, fresh)))
        assert take(state, "secp256k1")[0] == index


def test_a_late_holder_lets_its_batch_be_assigned_first(keyed: KeyedWorld) -> None:
    begin(keyed)
    move = first_move(keyed)
    move.run("ready")
    move.ready([1, 2, 3, 4])
    for step in (100, 10_000, 100):
        keyed.block(step_ms=step)
    moved(keyed)
    assert keyed.query("/pool").short == 17
    assert keyed.send(keyed.tx(NEW[4], rhave=wire.ReshareHave(rid=move.rid))) == [None]
    assert keyed.query("/pool").short == 0


def test_short_batches_are_runs_of_indices(keyed: KeyedWorld) -> None:
    begin(keyed)
    rids = []
    for _ in range(2):
        move = first_move(keyed)
        rids.append(move.rid)
        move.run("ready")
        move.ready([1, 2, 3, 4])
        for step in (100, 10_000, 100):
            keyed.block(step_ms=step)
    assert keyed.app.store.get(tables.short(2)).spans == ((0, 36),)  # type: ignore[union-attr]
    assert keyed.query("/reshares").retained == tuple(rid.hex() for rid in rids)
    assert [b.id for b in keyed.query("/reshares/retained/18/10")] == [rids[1].hex()]
    assert [b.id for b in keyed.query("/reshares/retained/0/1")] == [rids[0].hex()]
    assert keyed.send(keyed.tx(NEW[4], epoch=2, rhave=wire.ReshareHave(rid=rids[0]))) == [None]
    assert keyed.app.store.get(tables.short(2)).spans == ((18, 36),)  # type: ignore[union-attr]


def test_nothing_starts_at_the_end_and_the_last_keys_move_too(tmp_path: Path) -> None:
    """A session that is open when all batches have moved ends, and its batch is moved before the switch."""
    world = KeyedWorld(tmp_path / "app", params={**SMALL, "pool_low": 30, "pool_high": 40})
    batches_made(world)
    sid = world.open_sid()
    begin(world)
    for _ in range(2):
        first_move(world).run()
        world.block()
    handover = world.query("/handover")
    assert (handover.frozen, handover.phase, handover.batches_done) == (True, "resharing", 2)
    world.run_session(sid)
    assert [view.first_index for view in opened(world)] == [36]
    codes = world.send(*(world.assign(1 + i % 5, account(i)) for i in range(40)))
    assert set(codes) == {None}, "assignment goes on"
    assert world.query("/sessions").open == (), "but no START, though the pool is low"
    first_move(world).run()
    for _ in range(4):
        world.block(step_ms=1_000)
    assert (phase(world), world.query("/epoch/current").epoch) == ("", 2)
    world.app.close()


def test_keys_that_are_not_on_chain_yet_are_waited_for(tmp_path: Path) -> None:
    world = KeyedWorld(tmp_path / "app", params=SMALL)
    batches_made(world, 1)
    sid = world.open_sid()
    world.deals(sid)
    world.acks(sid, 31)
    world.opens(sid, 31)
    pairs = world.key_pairs(sid, 18)
    world.finals(sid, merkle.root(pairs))
    begin(world)
    first_move(world).run()
    for _ in range(3):
        world.block()
    assert opened(world) == []
    assert (world.query("/handover").batches, phase(world)) == (2, "resharing")
    assert world.send(world.keys(sid, pairs)) == [None]
    assert [view.first_index for view in opened(world)] == [18]
    world.app.close()


def test_what_a_former_committee_was_judged_by_is_swept(keyed: KeyedWorld) -> None:
    sids = [batch.id for batch in keyed.query("/batches/1/0/10")]
    begin(keyed)
    rids = [move.rid for move in moved(keyed)]
    keyed.block()
    for sid in sids:
        session = keyed.query(f"/session/{sid}")
        assert (session.deals, session.acks, session.finals) == ({}, {}, {})
        assert (session.phase, session.count, len(session.eks)) == ("final", 18, 5)
    assert keyed.app.store.get(tables.SWEEPS) is None
    assert keyed.query(f"/reshare/{rids[0].hex()}").tests != {}, "of the committee in charge"
    assert keyed.query("/sessions/retained") == []


def test_a_hand_over_without_a_switch_leaves_nothing_but_burnt_masks(keyed: KeyedWorld) -> None:
    settled = _tree(keyed)
    begin(keyed)
    first_move(keyed).run()
    second = first_move(keyed)
    second.run("ready")
    assert keyed.send(second.complain(4, 1)) == [None]
    assert keyed.send(*(reject_tx(keyed, node, next_record()) for node in (1, 2))) == [None, None]
    assert phase(keyed) == ""
    for _ in range(30):
        keyed.block(step_ms=5_000)
    assert keyed.refusal(f"/reshare/{second.rid.hex()}") == Code.UNKNOWN_SESSION
    assert keyed.refusal("/batch/2/0") == Code.NOT_FOUND
    assert keyed.query("/reshares").open == ()
    left = {key for key in _tree(keyed) - settled if not key.startswith((b"replay/", b"quota/"))}
    liar = {b"blames", b"blame/" + bytes(8)}
    assert left == liar | {b"epoch/" + (2).to_bytes(8, "big"), b"handovers"}
    assert [key.mask for key in keyed.query("/keys/17/1") + keyed.query("/keys/35/1")] == [True, True]
    assert set(keyed.send(*(keyed.assign(1 + i % 5, account(i)) for i in range(34)))) == {None}


def _tree(world: World) -> set[bytes]:
    snapshot = world.app.store.newest()
    return {key[1:] for key, _ in snapshot.between(tables.VALUES, b"t")}


def test_no_block_looks_at_all_batches(keyed: KeyedWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """With thousands of them a block would take seconds."""
    begin(keyed)
    read: list[bytes] = []
    plain = State.get

    def noted(state: State, slot: tables.Slot[r.Record]) -> r.Record | None:
        read.append(slot.key)
        return plain(state, slot)

    monkeypatch.setattr(State, "get", noted)
    keyed.block()
    assert len([key for key in read if key.startswith(b"batch/")]) <= 4


class Shelf:
    """What a snapshot answers from."""

    def __init__(self, *batches: b.Batch) -> None:
        self._found: dict[bytes, object] = {
            tables.CURRENT_EPOCH.key: r.CurrentEpoch(2),
            tables.MOVING.key: b.Moving(2, 3),
        }
        for batch in batches:
            self._found[tables.batch(batch.epoch, batch.first_index).key] = batch
            slot = tables.short(batch.epoch)
            spans = getattr(self._found.get(slot.key), "spans", ())
            self._found[slot.key] = b.Short((*spans, (batch.first_index, batch.end)))

    def get(self, slot: tables.Slot[r.Record]) -> object:
        return self._found.get(slot.key)


def test_pages_of_short_batches_of_two_epochs_lose_none() -> None:
    ids = {(epoch, first): bytes([epoch, first]) * 16 for epoch in (2, 3) for first in (0, 18, 36)}
    shelf = Shelf(*(b.Batch(epoch, ids[epoch, first], "secp256k1", first, 18, bytes(32), 1) for epoch, first in ids))
    found, first = [], 0
    while page := queries_reshares.find_retained(shelf, [str(first), "1"]).view:  # type: ignore[arg-type]
        found += [bytes.fromhex(batch.id) for batch in page]
        first = page[-1].first_index + 1
    assert found == [ids[epoch, first] for first in (0, 18, 36) for epoch in (2, 3)]
