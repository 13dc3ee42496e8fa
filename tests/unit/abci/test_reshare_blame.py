"""Convictions in a resharing: the evidence holds offline, nowhere bends, and convicts nobody who is honest."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from abci_app.queries.present import blame_view
from abci_app.state import tables
from abci_app.state.state import Block, State
from authnet_core.crypto.secp256k1 import pub
from authnet_core.protocol.reshare import complaint
from authnet_core.protocol.reshare.deal import answer
from authnet_core.wire import authnet_pb2 as wire
from authnet_core.wire.blame import verify
from authnet_core.wire.reshare_blame import WRONG_CONSTANT, answer_of
from authnet_core.wire.tx import decode_signed, sign_tx
from tests.unit.abci.handover_world import NEW
from tests.unit.abci.reshare_world import SMALL, KeyedWorld, Move, batches_made, begin, first_move
from tests.unit.abci.test_blame import altered, evidence, refusal
from tests.unit.abci.world import CHAIN, World, secret

BAD_SHARES, LIE, CONSTANT = 0, 1, 2
CASES = [(BAD_SHARES, 1, 3, 1, True), (LIE, 2, 4, 1, False), (CONSTANT, 1, 2, 0, True)]
"""number, epoch, convict, accuser, whether a dealer is convicted"""


def play(folder: Path) -> Move:
    """Old 3 answers wrongly (complaint of new 1), new 4 lies about old 1, the constant of old 2 is wrong."""
    world = KeyedWorld(folder / "app", params=SMALL)
    batches_made(world, 1)
    begin(world)
    move = first_move(world, lies={2: 7})
    assert set(move.deal()) == {None}
    wrong = list(move.rtest(3).u)
    wrong[1] = secret("other")
    assert move.test([1, 2, 4, 5]) == [None] * 4
    assert world.send(move.tx_old(3, rtest=move.rtest(3, u=wrong))) == [None]
    assert world.send(move.complain(1, 3)) == [None]
    assert world.send(move.complain(4, 1)) == [None]
    assert set(move.ack(0b11011, [1, 2, 3, 5])) == {None}
    assert move.phase == "ready"
    return move


def build(folder: Path) -> World:
    """The chain after `play`."""
    return play(folder).world


@pytest.fixture(scope="module")
def move(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Move]:
    made = play(tmp_path_factory.mktemp("blame"))
    yield made
    made.world.app.close()


@pytest.mark.parametrize(("number", "epoch", "convict", "accuser", "upheld"), CASES)
def test_evidence_holds_offline(move: Move, number: int, epoch: int, convict: int, accuser: int, upheld: bool) -> None:
    right = evidence(move.world, number)
    verdict = verify(json.dumps(right).encode())
    assert (verdict.epoch, verdict.convict, verdict.accuser, verdict.upheld) == (epoch, convict, accuser, upheld)
    assert verdict.identity == pub(secret("id", convict if upheld else NEW[convict - 1]))
    assert verdict.committee_hash.hex() == move.world.query(f"/epoch/{epoch}").committee_hash
    listed = move.world.query("/blame")[number]
    assert (listed.reason, listed.evidence, listed.sid) == (verdict.reason, None, move.rid.hex())


def test_a_chain_that_began_from_this_one_s_state_still_shows_it(move: Move) -> None:
    world = move.world
    state = State(world.app.store, Block(world.height, world.time_ms))
    state.put(tables.GENESIS, replace(state.need(tables.GENESIS), chain_id="testnet-2"))
    for number, *_ in CASES:
        view = blame_view(state, state.need(tables.blame(number)), True)
        assert view == world.query(f"/blame/{number}")


@pytest.mark.parametrize("number", [case[0] for case in CASES])
def test_evidence_altered_in_any_field_does_not_hold(move: Move, number: int) -> None:
    right = evidence(move.world, number)
    for name, value in right.items():
        for other in altered(value):
            if other != value:
                refusal({**right, name: other})
        refusal({key: kept for key, kept in right.items() if key != name})
    refusal({**right, "more": 1})
    refusal({**right, "tests": right["tests"] * 2})
    refusal({**right, "tests": []})
    verify(right)


@settings(max_examples=80, deadline=None)
@given(number=st.sampled_from((BAD_SHARES, LIE)), name=st.sampled_from(("deal", "tests", "complain")), data=st.data())
def test_no_byte_of_the_transactions_can_be_changed(move: Move, number: int, name: str, data: st.DataObject) -> None:
    right = evidence(move.world, number)
    raw = bytearray.fromhex(right[name][0] if name == "tests" else right[name])
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    refusal({**right, name: [raw.hex()] if name == "tests" else raw.hex()})


def signed(node: int, epoch: int, **kind: Any) -> str:
    """Hex of a transaction as that node itself could sign it."""
    key = secret("id", node)
    fields = {"chain_id": CHAIN, "version": 1, "epoch": epoch, "expiry_height": 50, **kind}
    return sign_tx(key, pub(key), wire.TxBody(**fields)).hex()


def complaint_of(move: Move, member: int, dealer: int, test: Any) -> wire.ReshareComplain:
    """What a new member can sign about any challenge and answer."""
    params, dealing = move.params, move.deal_of(dealer)
    key = secret("ek", params.to_epoch, move.new[member - 1], params.counter)
    made = complaint.make_complaint(params, member, dealing.deal, test.gamma_seed, test, dealing.bundle, key)
    fields = {name: getattr(made, name) for name in wire.ReshareComplain.DESCRIPTOR.fields_by_name}
    return wire.ReshareComplain(**fields)


def test_a_complainer_can_not_choose_the_challenge(move: Move) -> None:
    """Other dealings than those of D would give one under which an honest answer looks wrong: it is not signed."""
    right = evidence(move.world, BAD_SHARES)
    honest = right | {"convict": 1, "accuser": 5, "deal": signed(1, 1, rdeal=move.rdeal(1))}
    their = signed(1, 1, rtest=move.rtest(1))
    test = answer_of(decode_signed(bytes.fromhex(their))[1].rtest)
    for seed in (secret("another D"), test.gamma_seed):
        other = test.__class__(test.rid, test.u, seed)
        complain = signed(NEW[4], 2, rcomplain=complaint_of(move, 5, 1, other))
        refusal({**honest, "tests": [their], "complain": complain})
        forged = signed(NEW[4], 1, rtest=wire.ReshareTest(rid=other.rid, u=other.u, gamma_seed=seed))
        refusal({**honest, "tests": [forged], "complain": complain})


def test_a_dealer_s_answer_under_a_challenge_of_its_own_convicts_it_or_nobody(move: Move) -> None:
    """It signs its true polynomial under another challenge: right is right, whatever the challenge."""
    right = evidence(move.world, BAD_SHARES)
    answered = answer(move.params, move.deal_of(3).sharing, secret("another D"))
    test = signed(3, 1, rtest=wire.ReshareTest(rid=answered.rid, u=answered.u, gamma_seed=answered.gamma_seed))
    complain = signed(NEW[0], 2, rcomplain=complaint_of(move, 1, 3, answered))
    reason = refusal({**right, "tests": [test], "complain": complain})
    assert "it convicts member 1 of epoch 2" in reason, "who complained about a right answer"


def test_a_dealer_with_a_second_answer_can_not_frame_the_complainer(move: Move) -> None:
    right = evidence(move.world, BAD_SHARES)
    second = signed(3, 1, rtest=move.rtest(3))
    framed = {**right, "tests": [second], "epoch": 2, "convict": 1, "accuser": 3}
    assert "another deal, challenge or answer" in refusal(framed)


def test_a_complaint_or_an_answer_of_somebody_else_counts_for_nothing(move: Move) -> None:
    right = evidence(move.world, BAD_SHARES)
    body = decode_signed(bytes.fromhex(right["complain"]))[1].rcomplain
    for node, epoch in ((NEW[1], 2), (1, 2), (NEW[0], 1), (NEW[0], 3)):
        refusal({**right, "complain": signed(node, epoch, rcomplain=body)})
    verify({**right, "complain": signed(NEW[0], 2, rcomplain=body)})
    tested = decode_signed(bytes.fromhex(right["tests"][0]))[1].rtest
    refusal({**right, "tests": [signed(1, 1, rtest=tested)]})
    refusal({**right, "tests": [signed(3, 1, rack=wire.ReshareAck(rid=move.rid, dealers=1, sum=pub(3)))]})
    refusal({**right, "tests": [signed(3, 1, rtest=wire.ReshareTest(rid=bytes(32), u=tested.u))]})


def _changed(tests: list[str], at: int, change: Callable[[wire.ReshareTest], None]) -> list[str]:
    """The answers, one signed again by its dealer after a change."""
    body = decode_signed(bytes.fromhex(tests[at]))[1].rtest
    change(body)
    return [*tests[:at], signed(at + 1, 1, rtest=body), *tests[at + 1 :]]


def _move_challenge(test: wire.ReshareTest) -> None:
    test.gamma_seed = secret("another D")


def _move_constant(test: wire.ReshareTest) -> None:
    test.u[0] = secret("another constant")


def test_a_constant_is_wrong_only_against_k_plus_t_that_agree_under_one_challenge(move: Move) -> None:
    right = evidence(move.world, CONSTANT)
    tests = right["tests"]
    assert (right["reason"], len(tests), right["deal"], right["complain"]) == (WRONG_CONSTANT, 5, "", "")
    for at in range(5):
        refusal({**right, "tests": tests[:at] + tests[at + 1 :]})
        refusal({**right, "tests": _changed(tests, at, _move_challenge)})
    for at in (0, 2, 3, 4):
        refusal({**right, "tests": _changed(tests, at, _move_constant)})
        refusal({**right, "convict": at + 1})
    verify({**right, "tests": _changed(tests, 1, _move_constant)})
    refusal({**right, "tests": tests[::-1]})
    refusal({**right, "tests": [*tests, tests[4]]})
