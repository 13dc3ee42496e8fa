"""COMPLAIN on chain: every refusal, whom it convicts, what it does to the session in each phase."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from abci_app.state.state import Block
from authnet_core.crypto import merkle
from authnet_core.crypto.secp256k1 import pub
from authnet_core.errors import Code
from authnet_core.wire import authnet_pb2 as wire
from authnet_core.wire.tx import MAX_TX_BYTES
from tests.unit.abci.judging import (
    ALL,
    blamed,
    complain,
    complaint,
    dealing_of,
    judged,
    real_deals,
    session_params,
    wire_deal,
)
from tests.unit.abci.world import World


def small(folder: Path, n: int = 5, **params: int) -> World:
    """A world whose first session, of one row, has just started."""
    numbers = {"first_rows": 1, "rows": 1, "sessions_in_flight": 1, **params}
    world = World(folder / "app", n=n, params=numbers)
    world.begin_epoch()
    world.announce(count=32)
    world.block()
    return world


@pytest.fixture
def one(tmp_path: Path) -> Any:
    world = small(tmp_path)
    yield world
    world.app.close()


def phase(world: World, sid: bytes) -> str:
    return str(world.query(f"/session/{sid.hex()}").phase)


def certify(world: World, sid: bytes, dealers: int = ALL) -> None:
    world.acks(sid, dealers, range(1, world.committee.quorum + 1))


def finish(world: World, sid: bytes, members: range | None = None) -> None:
    """From certified to final; those outside `members` stay short."""
    view = world.query(f"/session/{sid.hex()}")
    world.opens(sid, sum(1 << (i - 1) for i in view.q), range(1, world.committee.t + 2))
    pairs = world.key_pairs(sid, view.count)
    world.finals(sid, merkle.root(pairs), members or range(1, world.committee.quorum + 1))
    assert phase(world, sid) == "final"


def next_sid(world: World) -> bytes:
    """The session that starts after the open one is over."""
    for _ in range(5):
        if world.query("/sessions").open:
            return world.open_sid()
        world.block()
    raise AssertionError("no session starts")


# who is convicted


def test_a_cheating_dealer_is_convicted_and_not_certified(one: World) -> None:
    sid = one.open_sid()
    dealings = real_deals(one, sid, evil=(2,))
    finalized = one.block(one.tx(3, complain=complaint(one, dealings[2], 3)))
    assert finalized.outcomes[0].code is None
    assert [event.type for event in finalized.outcomes[0].events] == ["blame"]
    assert judged(one, sid) == [(2, 3, True)]
    assert blamed(one) == [(2, 3)]
    certify(one, sid)
    assert one.query(f"/session/{sid.hex()}").q == (1, 3, 4, 5), "nobody waits for the convict"


def test_who_complains_about_a_right_dealing_is_convicted_and_changes_nothing(one: World) -> None:
    sid = one.open_sid()
    dealings = real_deals(one, sid)
    assert complain(one, dealings[2], 3) is None
    assert judged(one, sid) == [(2, 3, False)]
    assert blamed(one) == [(3, 2)]
    certify(one, sid)
    assert one.query(f"/session/{sid.hex()}").q == (1, 2, 3, 4, 5), "the liar's own deal counts"


@pytest.mark.parametrize("lie", ["ciphertext", "leaves", "shared", "dleq"])
def test_every_kind_of_lie_convicts_the_liar_only(one: World, lie: str) -> None:
    sid = one.open_sid()
    dealings = real_deals(one, sid)
    right = complaint(one, dealings[2], 3)
    changes: dict[str, Any] = {
        "ciphertext": bytes(len(right.ciphertext)),
        "leaves": list(reversed(right.leaves)),
        "shared": pub(5),
        "dleq": bytes(64),
    }
    assert complain(one, dealings[2], 3, **{lie: changes[lie]}) is None
    assert (judged(one, sid), blamed(one)) == ([(2, 3, False)], [(3, 2)])


def test_a_liar_is_heard_no_more_in_the_epoch(one: World) -> None:
    sid = one.open_sid()
    dealings = real_deals(one, sid, evil=(2,))
    assert complain(one, dealings[1], 3) is None
    assert complain(one, dealings[2], 3) == Code.CONVICTED
    assert complain(one, dealings[2], 4) is None
    assert blamed(one) == [(3, 1), (2, 4)]


def test_a_convict_is_recorded_once_in_an_epoch(one: World) -> None:
    sid = one.open_sid()
    dealings = real_deals(one, sid, evil=(2,))
    for member in (1, 3, 4):
        assert complain(one, dealings[2], member) is None
    assert len(judged(one, sid)) == 3
    assert blamed(one) == [(2, 1)]


# refusals


def test_complaints_come_once(one: World) -> None:
    dealings = real_deals(one, one.open_sid(), evil=(2,))
    assert complain(one, dealings[2], 3) is None
    assert complain(one, dealings[2], 3) == Code.ALREADY_DONE


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"sid": bytes(32)}, Code.UNKNOWN_SESSION),
        ({"sid": b""}, Code.UNKNOWN_SESSION),
        ({"dealer": 0}, Code.NOT_A_DEALER),
        ({"dealer": 6}, Code.NOT_A_DEALER),
        ({"dealer": 2**32 - 1}, Code.NOT_A_DEALER),
        ({"dealer": 3}, Code.NOT_A_DEALER),
        ({"dealer": 4}, Code.MALFORMED),
        ({"shared": b""}, Code.MALFORMED),
        ({"dleq": bytes(65)}, Code.MALFORMED),
        ({"ciphertext": b""}, Code.MALFORMED),
        ({"ciphertext": bytes(1000)}, Code.MALFORMED),
        ({"leaves": []}, Code.MALFORMED),
        ({"leaves": [bytes(31)] * 5}, Code.MALFORMED),
        ({"leaves": [bytes(32)] * 6}, Code.MALFORMED),
        ({"deal_hash": b""}, Code.MALFORMED),
        ({"deal_hash": bytes(32)}, Code.MALFORMED),
    ],
    ids=str,
)
def test_complaints_that_can_not_be_judged_are_refused(one: World, changes: dict[str, Any], code: Code) -> None:
    """Nobody is convicted by them, not even their sender."""
    dealings = real_deals(one, one.open_sid(), evil=(2,))
    assert complain(one, dealings[2], 3, **changes) == code
    assert blamed(one) == []


def test_a_dealer_without_a_deal_can_not_be_complained_about(one: World) -> None:
    sid = one.open_sid()
    assert complain(one, dealing_of(one, sid, 2, "garbage"), 3) == Code.NOT_A_DEALER


def test_without_an_encryption_key_there_is_nothing_to_complain_about(tmp_path: Path) -> None:
    world = World(tmp_path / "app", params={"first_rows": 1, "sessions_in_flight": 1})
    world.begin_epoch()
    world.announce([1, 2, 3, 4])
    for _ in range(4):
        world.block(step_ms=1_000)
    dealings = real_deals(world, world.open_sid(), evil=(2,))
    stolen = complaint(world, dealings[2], 3)
    assert world.send(world.tx(5, complain=stolen)) == [Code.NO_ENCKEY]
    world.app.close()


def test_an_abandoned_session_hears_no_complaints(one: World) -> None:
    sid = one.open_sid()
    made = complaint(one, real_deals(one, sid, evil=(2,))[2], 3)
    for _ in range(4):
        one.block(step_ms=20_000)
    assert phase(one, sid) == "abandoned"
    assert one.send(one.tx(3, complain=made)) == [Code.WRONG_PHASE]


def test_complaints_end_when_all_hold(one: World) -> None:
    sid = one.open_sid()
    dealings = real_deals(one, sid, evil=(2,))
    certify(one, sid)
    finish(one, sid)
    first, second = (complaint(one, dealings[2], member) for member in (5, 4))
    assert one.send(one.tx(5, complain=first)) == [None], "member 5 is short"
    one.send(one.tx(5, have=wire.Have(sid=sid)))
    assert one.send(one.tx(4, complain=second)) == [Code.WRONG_PHASE]


def test_complaints_end_with_retention(tmp_path: Path) -> None:
    world = small(tmp_path, retain_ms=1_000)
    sid = world.open_sid()
    dealings = real_deals(world, sid, evil=(2,))
    certify(world, sid)
    finish(world, sid)
    world.block()
    world.block(step_ms=1_000)
    world.block()
    assert world.query("/sessions/retained") == []
    assert complain(world, dealings[2], 5) == Code.WRONG_PHASE
    world.app.close()


# what it does to the session


def test_after_q_the_convict_stays_in_q(one: World) -> None:
    sid = one.open_sid()
    dealings = real_deals(one, sid, evil=(2,))
    certify(one, sid)
    assert complain(one, dealings[2], 3) is None
    assert one.query(f"/session/{sid.hex()}").q == (1, 2, 3, 4, 5)
    finish(one, sid)


@pytest.mark.parametrize("opened", [False, True])
def test_more_than_t_convicts_of_q_before_final_end_the_session(one: World, opened: bool) -> None:
    sid = one.open_sid()
    dealings = real_deals(one, sid, evil=(2, 4))
    certify(one, sid)
    if opened:
        one.opens(sid, ALL, [1, 2])
    assert complain(one, dealings[2], 3) is None
    assert complain(one, dealings[2], 1) is None
    assert phase(one, sid) == ("opened" if opened else "certified"), "one dealer twice is one"
    assert complain(one, dealings[4], 3) is None
    assert phase(one, sid) == "abandoned"
    assert one.query(f"/session/{sid.hex()}").final_height == 0


def test_convicts_in_the_block_of_the_last_final_come_before_it(one: World) -> None:
    sid = one.open_sid()
    dealings = real_deals(one, sid, evil=(2, 4))
    certify(one, sid)
    one.opens(sid, ALL, [1, 2])
    raws = [one.tx(j, final=wire.Final(sid=sid, root=bytes(32))) for j in (1, 2, 3, 4)]
    complaints = [one.tx(3, complain=complaint(one, dealings[i], 3)) for i in (2, 4)]
    assert set(one.send(*raws, *complaints)) == {None}
    assert phase(one, sid) == "abandoned"


def test_a_final_session_answers_for_at_most_t_dealers(one: World) -> None:
    sid = one.open_sid()
    dealings = real_deals(one, sid, evil=(2, 4))
    certify(one, sid)
    finish(one, sid)
    assert complain(one, dealings[2], 5) is None
    assert complain(one, dealings[2], 3) is None, "the same dealer again is fine"
    assert complain(one, dealings[4], 5) == Code.RECOVERY_CLOSED
    assert phase(one, sid) == "final"


def test_a_session_with_too_few_dealers_left_ends_at_once(one: World) -> None:
    sid = one.open_sid()
    dealings = real_deals(one, sid, evil=(2, 4))
    assert complain(one, dealings[2], 3) is None
    assert phase(one, sid) == "deal"
    assert complain(one, dealings[4], 3) is None
    assert phase(one, sid) == "abandoned"


# later sessions


def test_a_convict_deals_no_more_in_the_epoch(one: World) -> None:
    sid = one.open_sid()
    dealings = real_deals(one, sid, evil=(2,))
    assert complain(one, dealings[2], 3) is None
    certify(one, sid)
    finish(one, sid)
    for _ in range(3):
        sid = next_sid(one)
        assert one.query(f"/session/{sid.hex()}").left_out == (2,)
        assert one.query("/pool").under_way == 2 + len(one.query("/sessions").recent) * 2
        assert one.send(one.tx(2, deal=wire_deal(dealing_of(one, sid, 2)))) == [Code.NOT_A_DEALER]
        one.deals(sid, [1, 3, 4, 5])
        certify(one, sid, ALL & ~2)
        assert phase(one, sid) == "certified", "all that may deal: no wait"
        finish(one, sid)


def test_a_convicted_liar_deals_no_more_either(one: World) -> None:
    sid = one.open_sid()
    assert complain(one, real_deals(one, sid)[2], 3) is None
    certify(one, sid)
    finish(one, sid)
    assert one.query(f"/session/{next_sid(one).hex()}").left_out == (3,)


def test_with_more_than_t_convicts_nothing_starts(one: World) -> None:
    sid = one.open_sid()
    dealings = real_deals(one, sid, evil=(2, 4))
    assert complain(one, dealings[2], 3) is None
    assert complain(one, dealings[4], 3) is None
    for _ in range(5):
        one.block(step_ms=10_000)
    assert one.query("/sessions").open == (), "n-t dealers can not be found in this epoch"


# load


def test_a_member_complains_twice_in_a_block_at_most(tmp_path: Path) -> None:
    world = small(tmp_path, n=9)
    dealings = real_deals(world, world.open_sid(), evil=(1, 2, 4))
    raws = [world.tx(3, complain=complaint(world, dealings[i], 3)) for i in (1, 2, 4)]
    other = world.tx(5, complain=complaint(world, dealings[1], 5))
    assert [world.app.check_tx(raw).code for raw in (*raws, other)] == [None] * 4
    chosen = world.app.prepare_proposal([*raws, other], block_after(world), 1 << 20)
    assert chosen == [*raws[:2], other], "the proposer leaves the third for the next block"
    assert world.send(*raws, other) == [None, None, Code.BUSY, None]
    assert world.send(raws[2]) == [None], "it may come again"
    world.app.close()


def block_after(world: World) -> Block:
    return Block(world.height + 1, world.time_ms + 100)


def test_complaints_have_a_quota(tmp_path: Path) -> None:
    world = small(tmp_path, complaint_quota=1, t_max_ms=600_000)
    dealings = real_deals(world, world.open_sid(), evil=(1, 2))
    assert complain(world, dealings[1], 3) is None
    assert complain(world, dealings[2], 3) == Code.QUOTA_EXCEEDED
    assert complain(world, dealings[1], 4) is None, "each has its own"
    world.block(step_ms=60_000)
    assert complain(world, dealings[2], 3) is None
    world.app.close()


def test_nothing_is_judged_before_a_block(one: World, monkeypatch: pytest.MonkeyPatch) -> None:
    made = one.tx(3, complain=complaint(one, real_deals(one, one.open_sid(), evil=(2,))[2], 3))

    def never(*_: Any) -> None:
        raise AssertionError("CheckTx judged")

    monkeypatch.setattr("abci_app.handlers.complain.judge", never)
    assert one.app.check_tx(made).code is None


def test_the_largest_complaint_fits_a_transaction(tmp_path: Path) -> None:
    world = small(tmp_path, n=9, first_rows=1024)
    sid = world.open_sid()
    params = session_params(world, sid)
    assert params.rows == 3840 // 5, "and so do those of its resharing"
    made = wire.Complain(
        sid=sid,
        dealer=9,
        shared=pub(5),
        dleq=bytes(64),
        ciphertext=bytes(params.plaintext_size),
        leaves=[bytes(32)] * 9,
        deal_hash=bytes(32),
    )
    raw = world.tx(3, complain=made, expiry=2**63, epoch=2**63)
    assert len(raw) < MAX_TX_BYTES // 2
    world.app.close()


def test_a_dealer_that_signs_two_deals_can_not_frame_the_complainer(one: World) -> None:
    """Only the DEAL on chain counts, and a complaint about another one convicts nobody."""
    sid = one.open_sid()
    real_deals(one, sid)
    assert complain(one, dealing_of(one, sid, 2, "garbage"), 3) == Code.MALFORMED
    assert (judged(one, sid), blamed(one)) == ([], [])
