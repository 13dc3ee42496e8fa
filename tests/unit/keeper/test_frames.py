"""Frames on a link: what goes in comes out, and nothing else is a frame."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authnet_core.errors import Code, DecodeError
from authnet_core.protocol.dkg.messages import (
    Ack,
    Bundle,
    ChainMessage,
    Complain,
    Deal,
    FallbackList,
    FallbackScalar,
    Final,
    Have,
    Keys,
    Opened,
    Parts,
    PointList,
    Recovery,
    WantBundle,
    WantList,
    WantParts,
    WantRecovery,
)
from authnet_core.protocol.reshare.messages import (
    Nonces,
    ReshareBundle,
    ReshareRecovery,
    WantNonces,
    WantReshareBundle,
    WantReshareRecovery,
)
from authnet_core.wire import authnet_pb2
from authnet_core.wire import peer_pb2 as pb
from p2p_dkg.network.frames import (
    MAX_FRAME,
    Frame,
    Hello,
    Ping,
    PointAnswer,
    PointAsk,
    ReceiptAnswer,
    ReceiptAsk,
    decode,
    encode,
)
from p2p_dkg.runner.transactions import to_transaction

SID = b"s" * 32
GOOD: list[Frame] = [
    Hello("test-1", 1, b"c" * 32, 5),
    Ping(),
    Bundle(SID, 3, (b"l" * 32, bytes(32)), (b"c" * 100, b"")),
    PointList(SID, 9, b"t" * 32, b"p" * 128),
    WantBundle(SID, 1),
    WantList(SID, 2),
    Parts(SID, 3, 4, b"p" * 192),
    Parts(SID, 64, 64, bytes(64 * 1025)),
    WantParts(SID, 3, 4),
    Recovery(SID, 5, b"\x02" * 33, b"z" * 64),
    WantRecovery(SID, 5),
    ReshareBundle(SID, 9, (b"l" * 32, bytes(32)), (b"c" * 100, b"")),
    ReshareBundle(SID, 9, (b"l" * 32,) * 9, (bytes(32 * (5 * 1024 + 1)),) * 9),
    WantReshareBundle(SID, 9),
    ReshareRecovery(SID, 5, b"\x02" * 33, b"z" * 64),
    WantReshareRecovery(SID, 5),
    Nonces(SID, bytes(64)),
    WantNonces(SID),
    ReceiptAsk(7, b"h" * 32, b"\x02" * 33),
    ReceiptAnswer(7, "text", b"s" * 65, b"\x02" * 33),
    ReceiptAnswer(7, "", b"", b""),
    PointAsk(1 << 62, 3, (0, 7, 1 << 40)),
    PointAsk(1, 3, tuple(range(16))),
    PointAnswer(1 << 62, 3, (b"\x02" * 33, b"", b"\x03" * 33)),
    PointAnswer(1, 3, (b"\x02" * 33,) * 16),
]
BAD = {
    "nothing": b"",
    "unknown field": b"\xfa\x01\x01x",
    "hello without index": pb.Frame(hello=pb.Hello(chain_id="c", committee_hash=b"c" * 32)).SerializeToString(),
    "hello with a short hash": pb.Frame(hello=pb.Hello(chain_id="c", committee_hash=b"c", index=1)).SerializeToString(),
    "hello with a long chain id": pb.Frame(
        hello=pb.Hello(chain_id="c" * 200, committee_hash=b"c" * 32, index=1)
    ).SerializeToString(),
    "dealer 0": pb.Frame(want_bundle=pb.Want(sid=SID, dealer=0)).SerializeToString(),
    "dealer 65": pb.Frame(want_list=pb.Want(sid=SID, dealer=65)).SerializeToString(),
    "short sid": pb.Frame(want_list=pb.Want(sid=b"s", dealer=1)).SerializeToString(),
    "bundle of dealer 0": pb.Frame(
        bundle=pb.Bundle(sid=SID, dealer=0, leaves=[b"l" * 32], ciphertexts=[b"c"])
    ).SerializeToString(),
    "bundle without leaves": pb.Frame(bundle=pb.Bundle(sid=SID, dealer=1)).SerializeToString(),
    "bundle with a leaf too many": pb.Frame(
        bundle=pb.Bundle(sid=SID, dealer=1, leaves=[b"l" * 32] * 2, ciphertexts=[b"c"])
    ).SerializeToString(),
    "bundle with a short leaf": pb.Frame(
        bundle=pb.Bundle(sid=SID, dealer=1, leaves=[b"l"], ciphertexts=[b"c"])
    ).SerializeToString(),
    "bundle for 65 members": pb.Frame(
        bundle=pb.Bundle(sid=SID, dealer=1, leaves=[b"l" * 32] * 65, ciphertexts=[b"c"] * 65)
    ).SerializeToString(),
    "empty list": pb.Frame(point_list=pb.PointList(sid=SID, dealer=1, salt=b"t" * 32)).SerializeToString(),
    "torn list": pb.Frame(
        point_list=pb.PointList(sid=SID, dealer=1, salt=b"t" * 32, points64=b"p" * 65)
    ).SerializeToString(),
    "resharing of dealer 0": pb.Frame(
        reshare_bundle=pb.ReshareBundle(rid=SID, dealer=0, leaves=[b"l" * 32], ciphertexts=[b"c"])
    ).SerializeToString(),
    "resharing without leaves": pb.Frame(reshare_bundle=pb.ReshareBundle(rid=SID, dealer=1)).SerializeToString(),
    "resharing with a ciphertext too many": pb.Frame(
        reshare_bundle=pb.ReshareBundle(rid=SID, dealer=1, leaves=[b"l" * 32], ciphertexts=[b"c"] * 2)
    ).SerializeToString(),
    "resharing with a short leaf": pb.Frame(
        reshare_bundle=pb.ReshareBundle(rid=SID, dealer=1, leaves=[b"l"], ciphertexts=[b"c"])
    ).SerializeToString(),
    "resharing for 65 members": pb.Frame(
        reshare_bundle=pb.ReshareBundle(rid=SID, dealer=1, leaves=[b"l" * 32] * 65, ciphertexts=[b"c"] * 65)
    ).SerializeToString(),
    "short rid": pb.Frame(want_reshare_bundle=pb.ReshareWant(rid=b"s", dealer=1)).SerializeToString(),
    "old dealer 65": pb.Frame(want_reshare_bundle=pb.ReshareWant(rid=SID, dealer=65)).SerializeToString(),
    "late recovery with a short point": pb.Frame(
        reshare_recovery=pb.ReshareRecovery(rid=SID, dealer=1, shared=b"\x02", dleq=b"z" * 64)
    ).SerializeToString(),
    "late recovery with a long proof": pb.Frame(
        reshare_recovery=pb.ReshareRecovery(rid=SID, dealer=1, shared=b"\x02" * 33, dleq=b"z" * 65)
    ).SerializeToString(),
    "no nonces": pb.Frame(nonces=pb.Nonces(rid=SID)).SerializeToString(),
    "torn nonces": pb.Frame(nonces=pb.Nonces(rid=SID, nonces=bytes(33))).SerializeToString(),
    "nonces of no batch's size": pb.Frame(
        nonces=pb.Nonces(rid=SID, nonces=bytes(32 * (5 * 1024 + 1)))
    ).SerializeToString(),
    "nonces with a short rid": pb.Frame(nonces=pb.Nonces(rid=b"s", nonces=bytes(32))).SerializeToString(),
    "want nonces with a short rid": pb.Frame(want_nonces=pb.WantNonces(rid=b"s")).SerializeToString(),
    "parts of dealer 0": pb.Frame(parts=pb.Parts(sid=SID, dealer=0, holder=1, points64=b"p" * 64)).SerializeToString(),
    "parts of holder 0": pb.Frame(parts=pb.Parts(sid=SID, dealer=1, points64=b"p" * 64)).SerializeToString(),
    "parts of holder 65": pb.Frame(
        parts=pb.Parts(sid=SID, dealer=1, holder=65, points64=b"p" * 64)
    ).SerializeToString(),
    "parts with a short sid": pb.Frame(
        parts=pb.Parts(sid=b"s", dealer=1, holder=1, points64=b"p" * 64)
    ).SerializeToString(),
    "empty parts": pb.Frame(parts=pb.Parts(sid=SID, dealer=1, holder=1)).SerializeToString(),
    "torn parts": pb.Frame(parts=pb.Parts(sid=SID, dealer=1, holder=1, points64=b"p" * 65)).SerializeToString(),
    "parts of 1026 rows": pb.Frame(
        parts=pb.Parts(sid=SID, dealer=1, holder=1, points64=bytes(64 * 1026))
    ).SerializeToString(),
    "parts wanted of holder 0": pb.Frame(want_parts=pb.WantParts(sid=SID, dealer=1)).SerializeToString(),
    "parts wanted of dealer 65": pb.Frame(want_parts=pb.WantParts(sid=SID, dealer=65, holder=1)).SerializeToString(),
    "recovery of dealer 0": pb.Frame(
        recovery=pb.Recovery(sid=SID, shared=b"\x02" * 33, dleq=b"z" * 64)
    ).SerializeToString(),
    "recovery with a long point": pb.Frame(
        recovery=pb.Recovery(sid=SID, dealer=1, shared=b"\x04" * 65, dleq=b"z" * 64)
    ).SerializeToString(),
    "recovery with a short proof": pb.Frame(
        recovery=pb.Recovery(sid=SID, dealer=1, shared=b"\x02" * 33, dleq=b"z" * 63)
    ).SerializeToString(),
    "recovery wanted of dealer 0": pb.Frame(want_recovery=pb.Want(sid=SID)).SerializeToString(),
    "short token hash": pb.Frame(
        receipt_ask=pb.ReceiptAsk(id=1, token_hash=b"h", temp_pub=b"\x02" * 33)
    ).SerializeToString(),
    "long receipt": pb.Frame(receipt_answer=pb.ReceiptAnswer(id=1, data="x" * 1025)).SerializeToString(),
    "points of no key": pb.Frame(point_ask=pb.PointAsk(id=1, epoch=1)).SerializeToString(),
    "points of 17 keys": pb.Frame(point_ask=pb.PointAsk(id=1, epoch=1, indexes=range(17))).SerializeToString(),
    "no points": pb.Frame(point_answer=pb.PointAnswer(id=1, epoch=1)).SerializeToString(),
    "17 points": pb.Frame(point_answer=pb.PointAnswer(id=1, epoch=1, points=[b""] * 17)).SerializeToString(),
    "a short point": pb.Frame(point_answer=pb.PointAnswer(id=1, epoch=1, points=[b"\x02" * 32])).SerializeToString(),
    "long receipt signature": pb.Frame(
        receipt_answer=pb.ReceiptAnswer(id=1, data="x", signature=b"s" * 66, node_pub=b"\x02" * 33)
    ).SerializeToString(),
}


@pytest.mark.parametrize("frame", GOOD, ids=lambda frame: type(frame).__name__)
def test_a_frame_comes_back_as_it_was(frame: Frame) -> None:
    assert decode(encode(frame)) == frame


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_frame_is_refused(name: str) -> None:
    with pytest.raises(DecodeError):
        decode(BAD[name])


def test_a_frame_has_a_limit_both_ways() -> None:
    with pytest.raises(ValueError, match=r"1\.5 MiB"):
        encode(Bundle(SID, 1, (b"l" * 32,), (bytes(MAX_FRAME),)))
    with pytest.raises(DecodeError) as caught:
        decode(bytes(MAX_FRAME + 1))
    assert caught.value.code is Code.TOO_LARGE


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_a_frame_or_refused(raw: bytes) -> None:
    try:
        decode(raw)
    except DecodeError:
        return


@settings(deadline=None)
@given(st.sampled_from(GOOD), st.data())
def test_a_flipped_byte_is_a_frame_or_refused(frame: Frame, pick: st.DataObject) -> None:
    raw = bytearray(encode(frame))
    raw[pick.draw(st.integers(0, len(raw) - 1))] ^= pick.draw(st.integers(1, 255))
    try:
        decode(bytes(raw))
    except DecodeError:
        return


CHAIN_MESSAGES: list[ChainMessage] = [
    Deal(SID, b"e", b"p", b"r", b"h", b"c", (b"u", b"v")),
    Ack(SID, 5),
    Complain(SID, 3, b"D", b"z", b"ct", (b"l", b"m"), b"d"),
    Opened(SID, 6),
    FallbackList(SID, 3, b"h"),
    FallbackScalar(SID, 3, b"w"),
    Final(SID, b"r"),
    Keys(SID, 2, b"k", (b"a",)),
    Have(SID),
]


@pytest.mark.parametrize("message", CHAIN_MESSAGES, ids=lambda message: type(message).__name__)
def test_every_field_of_a_chain_message_is_in_its_transaction(message: ChainMessage) -> None:
    kind, fields = to_transaction(message)
    assert kind in authnet_pb2.TxBody.DESCRIPTOR.fields_by_name
    for name in message.__dataclass_fields__:
        carried, meant = getattr(fields, name), getattr(message, name)
        assert (tuple(carried) if isinstance(meant, tuple) else carried) == meant


@settings(deadline=None)
@given(
    st.sampled_from([Parts, WantParts, Recovery, WantRecovery]),
    st.just(SID) | st.binary(max_size=40),
    st.integers(0, 70),
    st.integers(0, 70),
    st.just(b"\x02" * 33) | st.just(bytes(192)) | st.binary(max_size=200),
    st.just(b"z" * 64) | st.binary(max_size=70),
)
def test_a_frame_of_f_or_r_of_any_size_comes_back_or_is_refused(
    kind: type[Frame], sid: bytes, dealer: int, holder: int, first: bytes, second: bytes
) -> None:
    frame: Frame
    match kind.__name__:
        case "Parts":
            frame = Parts(sid, dealer, holder, first)
        case "WantParts":
            frame = WantParts(sid, dealer, holder)
        case "Recovery":
            frame = Recovery(sid, dealer, first, second)
        case _:
            frame = WantRecovery(sid, dealer)
    try:
        assert decode(encode(frame)) == frame
    except DecodeError:
        return
    assert len(sid) == 32
    assert 1 <= dealer <= 64
