"""Convictions: what the chain keeps, what it answers, and that the evidence holds offline and nowhere bends."""

from __future__ import annotations

import json
from collections.abc import Iterator
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
from authnet_core.errors import AuthnetError, Code
from authnet_core.wire import authnet_pb2 as wire
from authnet_core.wire.blame import verify
from authnet_core.wire.tx import sign_tx
from tests.unit.abci.judging import complain, complaint, dealing_of, real_deals, wire_deal
from tests.unit.abci.world import CHAIN, World, secret


def build(folder: Path) -> World:
    """Dealer 2 cheated (complaint of 3), then 4 lied about dealer 1."""
    world = World(folder / "app", params={"first_rows": 1, "sessions_in_flight": 1})
    world.begin_epoch()
    world.announce()
    world.block()
    dealings = real_deals(world, world.open_sid(), evil=(2,))
    assert complain(world, dealings[2], 3) is None
    assert complain(world, dealings[1], 4) is None
    return world


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = build(tmp_path_factory.mktemp("blame"))
    yield made
    made.app.close()


def evidence(world: World, number: int) -> dict[str, Any]:
    found = world.query(f"/blame/{number}").evidence
    assert isinstance(found, dict)
    return dict(json.loads(json.dumps(found)))


def refusal(changed: Any) -> str:
    with pytest.raises(AuthnetError) as caught:
        verify(changed if isinstance(changed, bytes) else json.dumps(changed).encode())
    assert caught.value.code is Code.EVIDENCE_INVALID
    return caught.value.message


# queries


def test_lists_leave_evidence_out(world: World) -> None:
    found = world.query("/blame")
    assert [(b.number, b.epoch, b.convict, b.accuser, b.evidence) for b in found] == [
        (0, 1, 2, 3, None),
        (1, 1, 4, 1, None),
    ]
    assert found[0].reason != found[1].reason
    assert found[0].sid == world.open_sid().hex()
    assert found[1].height == world.height
    assert [b.number for b in world.query("/blame/1/20")] == [1]
    assert [b.number for b in world.query("/blame/0/1")] == [0]
    assert world.query("/blame/2/1") == []


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/blame/2", Code.NOT_FOUND),
        ("/blame/x", Code.BAD_PARAMS),
        ("/blame/-1", Code.BAD_PARAMS),
        ("/blame/0/0", Code.BAD_PARAMS),
        ("/blame/0/21", Code.BAD_PARAMS),
        ("/blame/0/1/2", Code.UNKNOWN_PATH),
    ],
)
def test_blame_queries_that_are_refused(world: World, path: str, code: Code) -> None:
    assert world.refusal(path) == code


def test_a_chain_without_convictions_answers_an_empty_list(tmp_path: Path) -> None:
    fresh = World(tmp_path / "app")
    fresh.block()
    assert fresh.query("/blame") == []
    fresh.app.close()


def test_there_is_a_conviction_per_member_and_epoch_at_most(tmp_path: Path) -> None:
    """Each keeps some kilobytes of evidence for good."""
    world = World(tmp_path / "app", params={"first_rows": 1, "sessions_in_flight": 1})
    world.begin_epoch()
    world.announce()
    world.block()
    dealings = real_deals(world, world.open_sid(), evil=(1, 2, 3, 4, 5))
    for dealer, member in ((1, 2), (2, 1), (3, 1), (4, 1)):
        complain(world, dealings[dealer], member)
        world.block(step_ms=1)
    count = world.app.store.get(tables.BLAME_COUNT)
    assert count is not None
    assert count.count <= 5
    world.app.close()


def test_evidence_outlives_the_session(tmp_path: Path) -> None:
    world = World(tmp_path / "app", params={"first_rows": 1, "sessions_in_flight": 1, "recent_sessions": 1})
    world.begin_epoch()
    world.announce(count=32)
    world.block()
    sid = world.open_sid()
    dealings = real_deals(world, sid, evil=(2,))
    assert complain(world, dealings[2], 3) is None
    before = evidence(world, 0)
    assert world.app.store.get(tables.dealt(sid)) is not None
    for _ in range(16):
        world.block(step_ms=30_000)
    assert world.refusal(f"/session/{sid.hex()}") == Code.UNKNOWN_SESSION
    assert world.app.store.get(tables.dealt(sid)) is None, "DEALs go with the session"
    assert evidence(world, 0) == before
    verify(before)
    world.app.close()


# evidence


@pytest.mark.parametrize(("number", "convict", "accuser", "upheld"), [(0, 2, 3, True), (1, 4, 1, False)])
def test_evidence_holds_offline(world: World, number: int, convict: int, accuser: int, upheld: bool) -> None:
    verdict = verify(json.dumps(evidence(world, number)).encode())
    assert (verdict.convict, verdict.accuser, verdict.upheld) == (convict, accuser, upheld)
    assert verdict.identity == pub(secret("id", convict))
    assert verdict.reason == world.query("/blame")[number].reason


def test_a_chain_that_began_from_this_one_s_state_still_shows_it(world: World) -> None:
    """It has another chain id, and the transactions name this one's."""
    state = State(world.app.store, Block(world.height, world.time_ms))
    state.put(tables.GENESIS, replace(state.need(tables.GENESIS), chain_id="testnet-2"))
    for number in (0, 1):
        view = blame_view(state, state.need(tables.blame(number)), True)
        assert view == world.query(f"/blame/{number}")


def altered(value: Any) -> list[Any]:
    """What somebody might put in place of one field."""
    if isinstance(value, int):
        return [value + 1, value - 1, 0, -1, 2**63, 2**80, str(value), None]
    if isinstance(value, str):
        flipped = value[:-1] + ("0" if value[-1:] != "0" else "1")
        return [flipped, "", value + "00", value.upper(), value.upper() + "A", "zz", 7, None]
    return [value[:-1], [*value, value[0]], list(reversed(value)), [value[-1], *value[1:]], [], "x", [1] * len(value)]


@pytest.mark.parametrize("number", [0, 1])
def test_evidence_altered_in_any_field_does_not_hold(world: World, number: int) -> None:
    right = evidence(world, number)
    for name, value in right.items():
        for other in altered(value):
            if other != value:
                refusal({**right, name: other})
        refusal({key: kept for key, kept in right.items() if key != name})
    refusal({**right, "more": 1})
    verify(right)


@settings(max_examples=80, deadline=None)
@given(
    number=st.integers(0, 1),
    name=st.sampled_from(("deal", "complain")),
    at=st.integers(0, 100_000),
    flip=st.integers(1, 255),
)
def test_no_byte_of_the_transactions_can_be_changed(world: World, number: int, name: str, at: int, flip: int) -> None:
    right = evidence(world, number)
    raw = bytearray.fromhex(right[name])
    raw[at % len(raw)] ^= flip
    refusal({**right, name: raw.hex()})


@pytest.mark.parametrize(
    "raw", [b"", b"{}", b"[]", b"null", b"\xff", b"{" * 100_000, b"[" * 100_000, b'"' + b"x" * (1 << 20) + b'"']
)
def test_what_is_no_evidence(raw: bytes) -> None:
    refusal(raw)


def resigned(member: int, **kind: Any) -> str:
    """Hex of a transaction as the member itself could sign it."""
    key = secret("id", member)
    fields = {"chain_id": CHAIN, "version": 1, "epoch": 1, "expiry_height": 50, **kind}
    return sign_tx(key, pub(key), wire.TxBody(**fields)).hex()


def test_a_dealer_with_a_second_deal_can_not_frame_the_complainer(world: World) -> None:
    """Dealer 2 signs a right DEAL afterwards and says that the complaint about its wrong one was a lie."""
    right, sid = evidence(world, 0), world.open_sid()
    second = resigned(2, deal=wire_deal(dealing_of(world, sid, 2)))
    framed = {**right, "deal": second, "convict": 3, "accuser": 2}
    assert "another deal" in refusal({**framed, "reason": "complaint with leaves that do not give the dealer's root"})


def test_a_complainer_can_not_use_another_s_deal_or_another_session(world: World) -> None:
    right, sid = evidence(world, 0), world.open_sid()
    made = complaint(world, dealing_of(world, sid, 2, "garbage"), 3)
    others: list[tuple[int, dict[str, Any]]] = [
        (5, {"complain": made}),
        (2, {"complain": made}),
        (3, {"complain": made, "chain_id": "testnet-2"}),
        (3, {"complain": made, "epoch": 2}),
        (3, {"complain": made, "version": 2}),
        (3, {"ack": wire.Ack(sid=sid, dealers=1)}),
        (3, {"complain": wire.Complain(sid=bytes(32), dealer=2)}),
    ]
    for member, kind in others:
        refusal({**right, "complain": resigned(member, **kind)})
    verify({**right, "complain": resigned(3, complain=made)})
    others = [(1, {}), (2, {"chain_id": "x-1"}), (2, {"epoch": 0})]
    for member, kind in others:
        refusal({**right, "deal": resigned(member, deal=wire_deal(dealing_of(world, sid, 2, "garbage")), **kind)})


def test_a_member_without_a_key_convicts_nobody_offline_either(tmp_path: Path) -> None:
    world = World(tmp_path / "app", params={"first_rows": 1, "sessions_in_flight": 1})
    world.begin_epoch()
    world.announce([1, 2, 3, 4])
    for _ in range(4):
        world.block(step_ms=1_000)
    dealings = real_deals(world, world.open_sid(), evil=(2,))
    assert complain(world, dealings[2], 3) is None
    right = evidence(world, 0)
    stolen = resigned(5, complain=complaint(world, dealings[2], 3))
    reason = "complaint with a ciphertext that does not fit its leaf"
    assert "no encryption key" in refusal({**right, "complain": stolen, "convict": 5, "accuser": 2, "reason": reason})
    world.app.close()


def test_no_signature_of_a_stranger_counts(world: World) -> None:
    right = evidence(world, 0)
    raw = wire.SignedTx.FromString(bytes.fromhex(right["complain"]))
    stranger = secret("stranger")
    body = wire.TxBody.FromString(raw.body)
    refusal({**right, "complain": sign_tx(stranger, pub(stranger), body).hex()})
    raw.signature = bytes(64)
    refusal({**right, "complain": raw.SerializeToString(deterministic=True).hex()})


def test_malformed_complaints_convict_nobody_offline_either(world: World) -> None:
    right, sid = evidence(world, 1), world.open_sid()
    made = complaint(world, dealing_of(world, sid, 1), 4)
    for changes in ({"ciphertext": b""}, {"deal_hash": bytes(32)}, {"dealer": 4}, {"dealer": 9}):
        broken = wire.Complain.FromString(made.SerializeToString())
        for name, value in changes.items():
            setattr(broken, name, value)
        refusal({**right, "complain": resigned(4, complain=broken)})


def test_the_reason_is_no_part_of_the_state(world: World) -> None:
    """A sentence that is worded better must not change an app hash."""
    record = world.app.store.get(tables.blame(0))
    assert record is not None
    assert "reason" not in record.__struct_fields__
