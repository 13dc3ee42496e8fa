"""A whole resharing on the real application: the keys stay, liars are named, what fails is tried again."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import pytest

from authnet_core.errors import Code
from authnet_core.wire import authnet_pb2 as wire
from tests.unit.abci.handover_world import phase
from tests.unit.abci.reshare_world import SMALL, KeyedWorld, Move, batches_made, begin, first_move, next_attempt, opened
from tests.unit.abci.world import account


@pytest.fixture
def keyed(tmp_path: Path) -> Iterator[KeyedWorld]:
    """Two batches of 18 keys, no hand-over."""
    world = KeyedWorld(tmp_path / "app", params=SMALL)
    batches_made(world)
    yield world
    world.app.close()


@pytest.fixture
def moving(keyed: KeyedWorld) -> KeyedWorld:
    """The first resharing has started, 5 to 5 others."""
    begin(keyed)
    return keyed


def all_moves(world: KeyedWorld) -> list[Move]:
    """Every resharing under way and to come, until none is left."""
    moves = []
    while opened(world):
        move = first_move(world)
        move.run()
        moves.append(move)
        world.block()
    return moves


def test_two_batches_move_to_five_others_and_stay_the_same_keys(moving: KeyedWorld) -> None:
    assert moving.send(moving.assign(1, account(1))) == [None]
    moves = all_moves(moving)
    assert [move.params.first_index for move in moves] == [0, 18]
    for move in moves:
        view = move.view
        assert (view.phase, view.holders, len(view.q)) == ("final", (1, 2, 3, 4, 5), 3)
        assert set(view.readies.values()) == {view.hash} == {move.ready_hash().hex()}
        assert all(move.opens(members) for members in combinations(range(1, 6), 3))
        assert not move.opens((1, 2))
    for _ in range(5):
        moving.block()
    assert (phase(moving), moving.query("/epoch/current").epoch) == ("", 2)
    old, new = (moving.query(f"/batches/{epoch}/0/10") for epoch in (1, 2))
    assert [(b.first_index, b.count, b.root) for b in old] == [(b.first_index, b.count, b.root) for b in new]
    assert [b.source for b in new] == [b.id for b in old]
    assert [b.id for b in new] == [move.rid.hex() for move in moves]
    (key,) = moving.query(f"/account/{account(1).hex()}").keys
    assert (key.index, key.epoch, key.holders) == (0, 1, (1, 2, 3, 4, 5))
    assert [moving.query("/batch/2/17").id, moving.query("/batch/2/18").id] == [b.id for b in new]


def test_one_old_dealer_lies_about_its_constant_and_is_named(moving: KeyedWorld) -> None:
    move = first_move(moving, lies={2: 1})
    move.run("ready")
    view = move.view
    assert 2 in view.candidates
    assert 2 not in view.q
    (blame,) = moving.query("/blame")
    assert (blame.epoch, blame.convict, blame.accuser, blame.sid) == (1, 2, 0, move.rid.hex())
    assert "off the polynomial" in blame.reason
    assert set(move.ready()) == {None}
    assert all(move.opens(members) for members in combinations(range(1, 6), 3))


def test_all_old_dealers_lie_and_the_next_attempt_has_another_mask(moving: KeyedWorld) -> None:
    move = first_move(moving, lies={1: 1, 2: 2, 3: 5, 4: 9, 5: 27})
    move.deal()
    move.test()
    assert set(move.ack()) == {None}
    assert move.phase == "failed"
    assert moving.query("/blame") == [], "nobody knows who lied"
    second = next_attempt(move)
    assert (second.view.attempt, move.view.attempt) == (1, 0)
    assert second.view.mask_index != move.view.mask_index
    assert second.rid != move.rid
    assert second.view.counter != move.view.counter
    second.run()
    assert second.opens((1, 3, 5))


def test_too_few_dealers(moving: KeyedWorld) -> None:
    move = first_move(moving)
    assert set(move.deal([1, 2])) == {None}
    for _ in range(4):
        moving.block(step_ms=4_000)
    assert move.phase == "deal"
    for _ in range(3):
        moving.block(step_ms=20_000)
    assert move.phase == "failed"
    assert moving.send(move.tx_old(3, rdeal=move.rdeal(3))) == [Code.WRONG_PHASE]


def test_three_old_nodes_are_enough(moving: KeyedWorld) -> None:
    move = first_move(moving)
    assert set(move.deal([1, 4, 5])) == {None}
    moving.block()
    moving.block(step_ms=2_000)
    moving.block()
    assert move.phase == "deal", "n - t have t_d"
    moving.block(step_ms=2_000)
    assert (move.phase, move.view.dealers) == ("test", (1, 4, 5))
    move.test([1, 4, 5])
    move.ack(0b11001)
    move.ready()
    assert (move.view.q, move.phase) == ((1, 4, 5), "final")
    assert move.opens((2, 3, 4))


def test_members_of_the_next_committee_that_are_away_catch_up(moving: KeyedWorld) -> None:
    move = first_move(moving)
    move.deal()
    move.test()
    move.ack(31, [1, 2, 3, 4])
    move.ready([1, 2, 3, 4])
    for step in (9_999, 0):
        moving.block(step_ms=step)
        assert move.phase == "ready"
    moving.block(step_ms=1)
    assert (move.phase, move.view.holders) == ("final", (1, 2, 3, 4))
    assert moving.query("/reshares").retained == (move.rid.hex(),)
    have = wire.ReshareHave(rid=move.rid)
    assert moving.send(move.tx_new(4, rhave=have)) == [Code.ALREADY_DONE]
    assert moving.send(move.tx_new(5, rhave=have)) == [None]
    assert moving.query("/reshares").retained == ()
    assert moving.query("/batch/2/0").holders == (1, 2, 3, 4, 5)
