"""Bytes on a link <-> typed frames. A frame that breaks a size or a shape is a DecodeError, nothing worse.

Pure; the limits follow interfaces.md (B <= 1,024 rows, committees up to 9).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from google.protobuf.message import DecodeError as ProtobufError
from google.protobuf.message import Message as Protobuf

from authnet_core.crypto.dleq import PROOF_SIZE
from authnet_core.errors import Code, DecodeError
from authnet_core.protocol.dkg.messages import (
    POINT,
    Bundle,
    Message,
    Parts,
    PointList,
    Recovery,
    WantBundle,
    WantList,
    WantParts,
    WantRecovery,
)
from authnet_core.protocol.dkg.params import MAX_ROWS
from authnet_core.protocol.reshare.messages import (
    SCALAR,
    Nonces,
    ReshareBundle,
    ReshareMessage,
    ReshareRecovery,
    WantNonces,
    WantReshareBundle,
    WantReshareRecovery,
)
from authnet_core.protocol.selftest import MAX_SAMPLE
from authnet_core.wire import peer_pb2 as pb

MAX_FRAME = 3 << 19
"""A resharing's bundle of the largest batch: 5 * 1,024 keys and the mask for 9 members, 32 bytes each."""
LINK_VERSION = 1
_MAX_MEMBERS = 64
_MAX_PARTS = (MAX_ROWS + 1) * POINT
_MAX_NONCES = 5 * MAX_ROWS * SCALAR
_MAX_RECEIPT_TEXT = 1024


@dataclass(frozen=True, slots=True)
class Hello:
    """Who speaks, for which chain and committee. First frame in each direction."""

    chain_id: str
    epoch: int
    committee_hash: bytes
    index: int
    version: int = LINK_VERSION


@dataclass(frozen=True, slots=True)
class Ping:
    """Nothing to say, still here."""


@dataclass(frozen=True, slots=True)
class ReceiptAsk:
    """Have you given a receipt for this token and session key?"""

    id: int
    token_hash: bytes
    temp_pub: bytes


@dataclass(frozen=True, slots=True)
class ReceiptAnswer:
    """The receipt given, or an empty one."""

    id: int
    text: str
    signature: bytes = field(repr=False)
    node_pub: bytes = b""


@dataclass(frozen=True, slots=True)
class PointAsk:
    """What are your shares of these keys in the exponent, as a member of this epoch?"""

    id: int
    epoch: int
    indexes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PointAnswer:
    """x(j)*G in 33 bytes for each key asked for, none where the sender holds no share of it."""

    id: int
    epoch: int
    points: tuple[bytes, ...]


PeerMessage: TypeAlias = Message | ReshareMessage
"""What the runner says to peers and hears from them: key generation (`.sid`) and resharing (`.rid`)."""
Frame: TypeAlias = Hello | Ping | PeerMessage | ReceiptAsk | ReceiptAnswer | PointAsk | PointAnswer


def encode(frame: Frame) -> bytes:
    """The frame's bytes, without the length in front. Raises ValueError above 1.5 MiB."""
    out = pb.Frame()
    name, body = _body(frame)
    getattr(out, name).CopyFrom(body)
    getattr(out, name).SetInParent()
    raw = out.SerializeToString()
    if len(raw) > MAX_FRAME:
        raise ValueError("a frame has at most 1.5 MiB")
    return raw


def _body(frame: Frame) -> tuple[str, Protobuf]:
    """Name and message of the frame's one field."""
    if isinstance(frame, ReshareMessage):
        return _reshare_body(frame)
    match frame:
        case Hello(chain_id, epoch, committee, index, version):
            return "hello", pb.Hello(
                chain_id=chain_id, epoch=epoch, committee_hash=committee, index=index, version=version
            )
        case Ping():
            return "ping", pb.Ping()
        case ReceiptAsk(number, token_hash, temp_pub):
            return "receipt_ask", pb.ReceiptAsk(id=number, token_hash=token_hash, temp_pub=temp_pub)
        case ReceiptAnswer(number, text, signature, node_pub):
            return "receipt_answer", pb.ReceiptAnswer(id=number, data=text, signature=signature, node_pub=node_pub)
        case PointAsk(number, epoch, indexes):
            return "point_ask", pb.PointAsk(id=number, epoch=epoch, indexes=indexes)
        case PointAnswer(number, epoch, points):
            return "point_answer", pb.PointAnswer(id=number, epoch=epoch, points=points)
        case (
            ReshareBundle() | WantReshareBundle() | ReshareRecovery() | WantReshareRecovery() | Nonces() | WantNonces()
        ):
            return _reshare_body(frame)
        case _:
            return _session_body(frame)


def _reshare_body(message: ReshareMessage) -> tuple[str, Protobuf]:
    match message:
        case ReshareBundle(rid, dealer, leaves, ciphertexts):
            return "reshare_bundle", pb.ReshareBundle(rid=rid, dealer=dealer, leaves=leaves, ciphertexts=ciphertexts)
        case WantReshareBundle(rid, dealer):
            return "want_reshare_bundle", pb.ReshareWant(rid=rid, dealer=dealer)
        case ReshareRecovery(rid, dealer, shared, dleq):
            return "reshare_recovery", pb.ReshareRecovery(rid=rid, dealer=dealer, shared=shared, dleq=dleq)
        case WantReshareRecovery(rid, dealer):
            return "want_reshare_recovery", pb.ReshareWant(rid=rid, dealer=dealer)
        case Nonces(rid, nonces):
            return "nonces", pb.Nonces(rid=rid, nonces=nonces)
        case WantNonces(rid):
            return "want_nonces", pb.WantNonces(rid=rid)


def _session_body(message: Message) -> tuple[str, Protobuf]:
    match message:
        case Bundle(sid, dealer, leaves, ciphertexts):
            return "bundle", pb.Bundle(sid=sid, dealer=dealer, leaves=leaves, ciphertexts=ciphertexts)
        case PointList(sid, dealer, salt, points64):
            return "point_list", pb.PointList(sid=sid, dealer=dealer, salt=salt, points64=points64)
        case Parts(sid, dealer, holder, points64):
            return "parts", pb.Parts(sid=sid, dealer=dealer, holder=holder, points64=points64)
        case Recovery(sid, dealer, shared, dleq):
            return "recovery", pb.Recovery(sid=sid, dealer=dealer, shared=shared, dleq=dleq)
        case WantBundle(sid, dealer):
            return "want_bundle", pb.Want(sid=sid, dealer=dealer)
        case WantList(sid, dealer):
            return "want_list", pb.Want(sid=sid, dealer=dealer)
        case WantParts(sid, dealer, holder):
            return "want_parts", pb.WantParts(sid=sid, dealer=dealer, holder=holder)
        case WantRecovery(sid, dealer):
            return "want_recovery", pb.Want(sid=sid, dealer=dealer)


def decode(raw: bytes) -> Frame:
    """Parse one frame. Raises DecodeError."""
    if len(raw) > MAX_FRAME:
        raise DecodeError("a frame has at most 1.5 MiB", Code.TOO_LARGE)
    parsed = pb.Frame()
    try:
        parsed.ParseFromString(raw)
    except ProtobufError:
        raise DecodeError("not a frame") from None
    kind = parsed.WhichOneof("body")
    if kind is None:
        raise DecodeError("a frame of no known kind")
    return _PARSERS[kind](getattr(parsed, kind))


def _sized(raw: bytes, size: int) -> bytes:
    if len(raw) != size:
        raise DecodeError(f"a field has {len(raw)} bytes instead of {size}")
    return raw


def _address(message: pb.Want | pb.Bundle | pb.PointList | pb.Parts | pb.WantParts | pb.Recovery) -> tuple[bytes, int]:
    if not 1 <= message.dealer <= _MAX_MEMBERS:
        raise DecodeError("a dealer that no committee has")
    return _sized(message.sid, 32), message.dealer


def _hello(hello: pb.Hello) -> Hello:
    if not 1 <= hello.index <= _MAX_MEMBERS or len(hello.chain_id) > 128:
        raise DecodeError("a hello of no member")
    return Hello(hello.chain_id, hello.epoch, _sized(hello.committee_hash, 32), hello.index, hello.version)


def _bundle(bundle: pb.Bundle) -> Bundle:
    sid, dealer = _address(bundle)
    if not 1 <= len(bundle.leaves) <= _MAX_MEMBERS or len(bundle.leaves) != len(bundle.ciphertexts):
        raise DecodeError("a bundle needs one leaf and one ciphertext a member")
    leaves = tuple(_sized(leaf, 32) for leaf in bundle.leaves)
    return Bundle(sid, dealer, leaves, tuple(bundle.ciphertexts))


def _point_list(message: pb.PointList) -> PointList:
    sid, dealer = _address(message)
    if not message.points64 or len(message.points64) % POINT:
        raise DecodeError("a point list has 64 bytes a point")
    return PointList(sid, dealer, _sized(message.salt, 32), message.points64)


def _parts(message: pb.Parts) -> Parts:
    sid, dealer, holder = _place(message)
    size = len(message.points64)
    if not size or size % POINT or size > _MAX_PARTS:
        raise DecodeError(f"a fallback list has 64 bytes a point, at most {_MAX_PARTS}")
    return Parts(sid, dealer, holder, message.points64)


def _place(message: pb.Parts | pb.WantParts) -> tuple[bytes, int, int]:
    if not 1 <= message.holder <= _MAX_MEMBERS:
        raise DecodeError("a holder that no committee has")
    return *_address(message), message.holder


def _recovery(message: pb.Recovery) -> Recovery:
    return Recovery(*_address(message), _sized(message.shared, 33), _sized(message.dleq, PROOF_SIZE))


def _old_dealer(message: pb.ReshareBundle | pb.ReshareWant | pb.ReshareRecovery) -> tuple[bytes, int]:
    if not 1 <= message.dealer <= _MAX_MEMBERS:
        raise DecodeError("a dealer that no committee has")
    return _sized(message.rid, 32), message.dealer


def _reshare_bundle(bundle: pb.ReshareBundle) -> ReshareBundle:
    rid, dealer = _old_dealer(bundle)
    if not 1 <= len(bundle.leaves) <= _MAX_MEMBERS or len(bundle.leaves) != len(bundle.ciphertexts):
        raise DecodeError("a bundle needs one leaf and one ciphertext a member")
    leaves = tuple(_sized(leaf, 32) for leaf in bundle.leaves)
    return ReshareBundle(rid, dealer, leaves, tuple(bundle.ciphertexts))


def _reshare_recovery(message: pb.ReshareRecovery) -> ReshareRecovery:
    return ReshareRecovery(*_old_dealer(message), _sized(message.shared, 33), _sized(message.dleq, PROOF_SIZE))


def _nonces(message: pb.Nonces) -> Nonces:
    size = len(message.nonces)
    if not size or size % SCALAR or size > _MAX_NONCES:
        raise DecodeError(f"nonces have 32 bytes a key, at most {_MAX_NONCES}")
    return Nonces(_sized(message.rid, 32), message.nonces)


def _receipt_answer(answer: pb.ReceiptAnswer) -> ReceiptAnswer:
    if len(answer.data) > _MAX_RECEIPT_TEXT:
        raise DecodeError("a receipt text is too long", Code.TOO_LARGE)
    if not answer.data:
        return ReceiptAnswer(answer.id, "", b"", b"")
    if len(answer.signature) > 65:
        raise DecodeError("a receipt signature is too long")
    return ReceiptAnswer(answer.id, answer.data, answer.signature, _sized(answer.node_pub, 33))


def _receipt_ask(ask: pb.ReceiptAsk) -> ReceiptAsk:
    return ReceiptAsk(ask.id, _sized(ask.token_hash, 32), _sized(ask.temp_pub, 33))


def _point_ask(ask: pb.PointAsk) -> PointAsk:
    if not 1 <= len(ask.indexes) <= MAX_SAMPLE:
        raise DecodeError(f"points are asked for 1 to {MAX_SAMPLE} keys")
    return PointAsk(ask.id, ask.epoch, tuple(ask.indexes))


def _point_answer(answer: pb.PointAnswer) -> PointAnswer:
    if not 1 <= len(answer.points) <= MAX_SAMPLE:
        raise DecodeError(f"points are those of 1 to {MAX_SAMPLE} keys")
    return PointAnswer(answer.id, answer.epoch, tuple(_sized(p, 33) if p else b"" for p in answer.points))


_PARSERS: dict[str, Callable[[Any], Frame]] = {
    "hello": _hello,
    "ping": lambda _: Ping(),
    "bundle": _bundle,
    "point_list": _point_list,
    "want_bundle": lambda want: WantBundle(*_address(want)),
    "want_list": lambda want: WantList(*_address(want)),
    "parts": _parts,
    "want_parts": lambda want: WantParts(*_place(want)),
    "recovery": _recovery,
    "want_recovery": lambda want: WantRecovery(*_address(want)),
    "reshare_bundle": _reshare_bundle,
    "want_reshare_bundle": lambda want: WantReshareBundle(*_old_dealer(want)),
    "reshare_recovery": _reshare_recovery,
    "want_reshare_recovery": lambda want: WantReshareRecovery(*_old_dealer(want)),
    "nonces": _nonces,
    "want_nonces": lambda want: WantNonces(_sized(want.rid, 32)),
    "receipt_ask": _receipt_ask,
    "receipt_answer": _receipt_answer,
    "point_ask": _point_ask,
    "point_answer": _point_answer,
}
