"""Every refusal of RDEAL, RTEST, RACK, RCOMPLAIN, READY and RHAVE, and what they do when they are taken."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from authnet_core.crypto import pok
from authnet_core.crypto.secp256k1 import pub
from authnet_core.errors import Code
from authnet_core.protocol.reshare.strings import deal_context
from authnet_core.wire import authnet_pb2 as wire
from authnet_core.wire.tx import MAX_TX_BYTES
from tests.unit.abci.handover_world import NEW
from tests.unit.abci.reshare_world import SMALL, KeyedWorld, Move, batches_made, begin, first_move, next_attempt
from tests.unit.abci.world import CHAIN, SEED, secret

POINT = pub(7)


@pytest.fixture
def move(tmp_path: Path) -> Iterator[Move]:
    """A resharing that takes deals."""
    world = KeyedWorld(tmp_path / "app", params=SMALL)
    batches_made(world)
    begin(world)
    yield first_move(world)
    world.app.close()


def only(codes: list[Code | None]) -> Code | None:
    (code,) = codes
    return code


def other_e(move: Move, dealer: int, secret_e: bytes) -> dict[str, Any]:
    proof = pok.prove(secret_e, deal_context(CHAIN, move.rid, dealer), SEED)
    return {"e": pub(secret_e), "pok": proof}


def send_old(move: Move, member: int, **kind: Any) -> Code | None:
    return only(move.world.send(move.tx_old(member, **kind)))


def send_new(move: Move, member: int, **kind: Any) -> Code | None:
    return only(move.world.send(move.tx_new(member, **kind)))


def test_rdeal_refusals(move: Move) -> None:
    world = move.world
    assert send_old(move, 1, rdeal=move.rdeal(1, rid=bytes(32))) == Code.UNKNOWN_SESSION
    assert send_old(move, 1, rdeal=move.rdeal(1, rid=b"")) == Code.UNKNOWN_SESSION
    assert send_old(move, 1, rdeal=move.rdeal(1, root=bytes(31))) == Code.MALFORMED
    assert send_old(move, 1, rdeal=move.rdeal(1, pok=bytes(65))) == Code.BAD_PROOF
    assert send_old(move, 1, rdeal=move.rdeal(1, e=b"\x02" * 33)) == Code.BAD_PROOF
    assert send_old(move, 1, rdeal=move.rdeal(2)) == Code.BAD_PROOF, "another dealer's proof"
    assert only(world.send(world.tx(6, epoch=1, rdeal=move.rdeal(1)))) == Code.NOT_A_MEMBER
    assert only(world.send(world.tx(6, epoch=2, rdeal=move.rdeal(1)))) in (Code.WRONG_EPOCH, Code.NOT_A_MEMBER)
    assert only(world.send(world.tx(1, epoch=2, rdeal=move.rdeal(1)))) in (Code.WRONG_EPOCH, Code.NOT_A_MEMBER)
    assert send_old(move, 1, rdeal=move.rdeal(1)) is None
    assert send_old(move, 1, rdeal=move.rdeal(1, root=bytes(32))) == Code.ALREADY_DONE
    assert send_old(move, 2, rdeal=move.rdeal(2, **other_e(move, 2, secret("e")))) is None
    assert send_old(move, 3, rdeal=move.rdeal(3, **other_e(move, 3, secret("e")))) == Code.BAD_PROOF
    assert set(move.deal([3, 4, 5])) == {None}
    assert send_old(move, 1, rdeal=move.rdeal(1)) == Code.WRONG_PHASE


def test_a_deal_of_one_attempt_is_none_of_another(move: Move) -> None:
    """The proof of knowledge is bound to the rid, and the rid to the attempt."""
    move.deal([1, 2])
    while move.phase != "failed":
        move.world.block(step_ms=20_000)
    second = next_attempt(move)
    assert send_old(second, 1, rdeal=move.rdeal(1, rid=second.rid)) == Code.BAD_PROOF
    assert send_old(second, 1, rdeal=move.rdeal(1)) == Code.WRONG_PHASE
    assert send_old(second, 1, rdeal=second.rdeal(1)) is None


def test_rtest_refusals(move: Move) -> None:
    move.deal([1, 2, 3, 4])
    assert send_old(move, 1, rtest=wire.ReshareTest(rid=move.rid, u=[bytes(32)] * 3)) == Code.WRONG_PHASE
    for step in (100, 2_000, 100):
        move.world.block(step_ms=step)
    assert move.phase == "test"
    good = move.rtest(1)
    assert send_old(move, 1, rtest=move.rtest(1, gamma_seed=secret("another challenge"))) == Code.MALFORMED
    assert send_old(move, 1, rtest=move.rtest(1, gamma_seed=b"")) == Code.MALFORMED
    assert send_old(move, 1, rtest=move.rtest(1, u=good.u[:2])) == Code.MALFORMED
    assert send_old(move, 1, rtest=move.rtest(1, u=[*good.u, good.u[0]])) == Code.MALFORMED
    assert send_old(move, 1, rtest=move.rtest(1, u=[b"\xff" * 32, *good.u[1:]])) == Code.MALFORMED
    assert send_old(move, 5, rtest=good) == Code.NOT_A_DEALER, "it is not in D"
    assert send_new(move, 1, rtest=good) in (Code.WRONG_EPOCH, Code.NOT_A_MEMBER)
    assert send_old(move, 1, rtest=good) is None
    assert send_old(move, 1, rtest=wire.ReshareTest(rid=move.rid, u=[bytes(32)] * 3)) == Code.ALREADY_DONE
    move.test([2, 3])
    for step in (2_000, 100):
        move.world.block(step_ms=step)
    assert (move.phase, sorted(move.view.tests)) == ("ack", [1, 2, 3])
    assert send_old(move, 4, rtest=move.rtest(4)) == Code.WRONG_PHASE, "after the cut-off"


def acked(move: Move, member: int, bitmap: int, total: bytes = b"") -> Code | None:
    return send_new(move, member, rack=wire.ReshareAck(rid=move.rid, dealers=bitmap, sum=total or move.total))


def test_rack_refusals(move: Move) -> None:
    assert acked(move, 1, 1, POINT) == Code.WRONG_PHASE
    move.deal()
    move.test([1, 2, 3, 4])
    for step in (100, 2_000, 100):
        move.world.block(step_ms=step)
    assert move.phase == "ack"
    assert acked(move, 1, 1 << 4) == Code.NOT_A_DEALER, "no RTEST of dealer 5"
    assert acked(move, 1, 1 << 5) == Code.MALFORMED
    assert acked(move, 1, 0) == Code.NO_NEW_BITS
    assert acked(move, 1, 1, b"\x05" * 33) == Code.MALFORMED
    assert acked(move, 1, 1, b"\x02") == Code.MALFORMED
    assert send_old(move, 1, rack=wire.ReshareAck(rid=move.rid, dealers=1, sum=POINT)) in (
        Code.WRONG_EPOCH,
        Code.NOT_A_MEMBER,
    )
    assert acked(move, 1, 0b0011, POINT) is None
    assert acked(move, 1, 0b0111) == Code.BAD_SUM, "it said another M before"
    assert acked(move, 2, 0b0001) is None
    assert acked(move, 2, 0b0001) == Code.NO_NEW_BITS
    assert [acked(move, m, 0b0011) for m in (2, 3, 4, 5)] == [None] * 4
    assert move.phase == "ack"
    assert acked(move, 1, 0b0111, POINT) == Code.BAD_SUM, "n' - t' agreed on M"


def test_a_forged_sum_brings_no_candidate(move: Move) -> None:
    """Bits of a member with another M do not count, so n' - t' right ones are needed."""
    move.deal()
    move.test()
    assert acked(move, 1, 31, POINT) is None
    assert [acked(move, m, 31) for m in (2, 3, 4)] == [None] * 3
    assert move.phase == "ack"
    assert acked(move, 5, 7) is None
    assert move.phase == "ack", "dealers 4 and 5 have three acks"
    for step in (100, 5_000):
        move.world.block(step_ms=step)
    assert (move.phase, move.view.candidates) == ("ready", (1, 2, 3))


def test_ready_and_rhave_refusals(move: Move) -> None:
    have = wire.ReshareHave(rid=move.rid)
    assert send_new(move, 1, ready=wire.ReshareReady(rid=move.rid, hash=bytes(32))) == Code.WRONG_PHASE
    assert send_new(move, 1, rhave=have) == Code.WRONG_PHASE
    move.run("ready")
    assert only(move.ready([1], bytes(32))) == Code.ROOT_MISMATCH
    assert only(move.ready([1], b"")) is None
    assert only(move.ready([1])) == Code.ALREADY_DONE
    assert send_new(move, 1, rhave=have) == Code.WRONG_PHASE
    assert send_old(move, 1, ready=wire.ReshareReady(rid=move.rid, hash=move.ready_hash())) in (
        Code.WRONG_EPOCH,
        Code.NOT_A_MEMBER,
    )
    move.ready([2, 3, 4])
    for step in (100, 10_000, 100):
        move.world.block(step_ms=step)
    assert move.phase == "final"
    assert only(move.ready([1])) == Code.ALREADY_DONE
    assert only(move.ready([5], bytes(32))) == Code.ROOT_MISMATCH
    assert only(move.ready([5])) is None, "late, as good as RHAVE"
    assert move.view.holders == (1, 2, 3, 4, 5)
    assert send_new(move, 5, rhave=have) == Code.ALREADY_DONE


def test_without_an_encryption_key_a_member_takes_no_part(tmp_path: Path) -> None:
    world = KeyedWorld(tmp_path / "app", params={**SMALL, "join_wait_ms": 1_000})
    batches_made(world)
    begin(world, present=[1, 2, 3, 4])
    move = first_move(world)
    assert move.view.eks[4] == ""
    move.deal()
    move.test()
    assert acked(move, 5, 31) == Code.NO_ENCKEY
    move.ack(31, [1, 2, 3, 4])
    move.ready([1, 2, 3, 4])
    assert move.phase == "final", "nobody waits for who can not hold"
    assert world.query("/reshares").retained == ()
    world.app.close()


def cheating(move: Move, dealer: int = 3) -> None:
    """Up to the acks, with a dealer that answers with another polynomial than it dealt."""
    move.deal()
    move.test([j for j in range(1, 6) if j != dealer])
    u = list(move.rtest(dealer).u)
    u[1] = secret("other")
    assert send_old(move, dealer, rtest=move.rtest(dealer, u=u)) is None
    assert move.phase == "ack"


def complained(move: Move, member: int, dealer: int, **changes: Any) -> Code | None:
    return only(move.world.send(move.complain(member, dealer, **changes)))


def test_a_dealer_whose_shares_fail_is_convicted_and_no_candidate(move: Move) -> None:
    cheating(move)
    assert complained(move, 2, 3) is None
    assert [(c.dealer, c.complainer, c.upheld) for c in move.view.complaints] == [(3, 2, True)]
    (blame,) = move.world.query("/blame")
    assert (blame.epoch, blame.convict, blame.accuser, blame.reason) == (1, 3, 2, "shares that fail the test")
    move.ack(31)
    assert (move.phase, move.view.candidates) == ("ready", (1, 2, 4, 5))
    assert set(move.ready()) == {None}
    assert move.opens((1, 2, 3))


def test_a_liar_is_convicted_in_its_own_epoch_and_heard_no_more(move: Move) -> None:
    move.deal()
    move.test()
    assert complained(move, 2, 3) is None
    assert [(c.dealer, c.complainer, c.upheld) for c in move.view.complaints] == [(3, 2, False)]
    (blame,) = move.world.query("/blame")
    assert (blame.epoch, blame.convict, blame.accuser) == (2, 2, 3)
    assert blame.reason == "complaint about a share that passes the test"
    assert complained(move, 2, 4) == Code.CONVICTED
    move.ack(31, [1, 3, 4, 5])
    assert (move.phase, move.view.candidates) == ("ready", (1, 2, 3, 4, 5))


def test_rcomplain_refusals(move: Move) -> None:
    move.deal()
    assert send_new(move, 1, rcomplain=wire.ReshareComplain(rid=move.rid, dealer=1)) == Code.NOT_A_DEALER
    move.test([1, 2, 3, 4])
    for step in (100, 2_000, 100):
        move.world.block(step_ms=step)
    assert send_new(move, 1, rcomplain=wire.ReshareComplain(rid=move.rid, dealer=5)) == Code.NOT_A_DEALER
    assert send_new(move, 1, rcomplain=wire.ReshareComplain(rid=move.rid, dealer=0)) == Code.NOT_A_DEALER
    assert send_new(move, 1, rcomplain=wire.ReshareComplain(rid=move.rid, dealer=99)) == Code.NOT_A_DEALER
    for changes in (
        {"shared": b""},
        {"dleq": bytes(63)},
        {"ciphertext": b""},
        {"leaves": [bytes(32)] * 4},
        {"deal_hash": bytes(32)},
    ):
        assert complained(move, 1, 2, **changes) == Code.MALFORMED, changes
    assert move.world.query("/blame") == [], "what can not be judged convicts nobody"


def test_complaints_come_once_and_in_numbers(move: Move) -> None:
    cheating(move)
    assert complained(move, 1, 3) is None
    assert complained(move, 1, 3) == Code.ALREADY_DONE
    assert complained(move, 2, 3) is None, "another member may need its recovery"
    liars = [move.complain(4, dealer) for dealer in (1, 2, 5)]
    assert move.world.send(*liars) == [None, Code.CONVICTED, Code.CONVICTED]


def test_more_than_t_convicts_in_q_end_the_attempt(move: Move) -> None:
    """Late recovery could answer for two dealers of three only by showing what k - 1 should not see."""
    move.deal()
    for dealer in range(1, 6):
        u = list(move.rtest(dealer).u)
        u[1] = secret("other", dealer)
        assert send_old(move, dealer, rtest=move.rtest(dealer, u=u)) is None
    assert set(move.ack()) == {None}, "all receivers are evil too"
    assert move.phase == "ready"
    first, second, _ = move.view.q
    assert complained(move, 1, first) is None
    assert move.phase == "ready"
    assert complained(move, 1, second) is None
    assert move.phase == "failed"


def test_after_the_end_late_recovery_is_for_t_dealers(move: Move) -> None:
    move.deal()
    for dealer in range(1, 6):
        u = list(move.rtest(dealer).u)
        u[1] = secret("other", dealer)
        assert send_old(move, dealer, rtest=move.rtest(dealer, u=u)) is None
    move.ack()
    move.ready([1, 2, 3, 4])
    for step in (100, 10_000, 100):
        move.world.block(step_ms=step)
    first, second, _ = move.view.q
    assert complained(move, 1, first) == Code.ALREADY_DONE, "it said that it holds"
    assert complained(move, 5, first) is None
    assert complained(move, 5, second) == Code.RECOVERY_CLOSED
    assert send_new(move, 5, rhave=wire.ReshareHave(rid=move.rid)) is None
    assert complained(move, 5, second) in (Code.WRONG_PHASE, Code.ALREADY_DONE)


def test_the_largest_complaint_fits_a_transaction(move: Move) -> None:
    from abci_app.sessions.flow import MAX_BATCH

    made = wire.ReshareComplain(
        rid=move.rid,
        dealer=9,
        shared=POINT,
        dleq=bytes(64),
        ciphertext=bytes(32 * (MAX_BATCH + 1)),
        leaves=[bytes(32)] * 9,
        deal_hash=bytes(32),
    )
    assert len(move.world.tx(NEW[0], rcomplain=made, expiry=2**63, epoch=2**63)) < MAX_TX_BYTES
