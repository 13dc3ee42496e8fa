"""Bytes on a link <-> typed frames. A frame that breaks a size or a shape is a DecodeError, nothing worse.

Pure; the limits follow interfaces.md (B <= 1,024 rows, committees up to 9).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from google.protobuf.message import DecodeError as ProtobufError

from authnet_core.errors import Code, DecodeError
from authnet_core.protocol.dkg.messages import POINT, Bundle, Message, PointList, WantBundle, WantList
from authnet_core.wire import peer_pb2 as pb

MAX_FRAME = 1 << 20
LINK_VERSION = 1
_MAX_MEMBERS = 64
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


Frame: TypeAlias = Hello | Ping | Message | ReceiptAsk | ReceiptAnswer


def encode(frame: Frame) -> bytes:
    """The frame's bytes, without the length in front. Raises ValueError above 1 MiB."""
    out = pb.Frame()
    match frame:
        case Hello(chain_id, epoch, committee, index, version):
            hello = pb.Hello(chain_id=chain_id, epoch=epoch, committee_hash=committee, index=index, version=version)
            out.hello.CopyFrom(hello)
        case Ping():
            out.ping.SetInParent()
        case Bundle(sid, dealer, leaves, ciphertexts):
            out.bundle.CopyFrom(pb.Bundle(sid=sid, dealer=dealer, leaves=leaves, ciphertexts=ciphertexts))
        case PointList(sid, dealer, salt, points64):
            out.point_list.CopyFrom(pb.PointList(sid=sid, dealer=dealer, salt=salt, points64=points64))
        case WantBundle(sid, dealer):
            out.want_bundle.CopyFrom(pb.Want(sid=sid, dealer=dealer))
        case WantList(sid, dealer):
            out.want_list.CopyFrom(pb.Want(sid=sid, dealer=dealer))
        case ReceiptAsk(number, token_hash, temp_pub):
            out.receipt_ask.CopyFrom(pb.ReceiptAsk(id=number, token_hash=token_hash, temp_pub=temp_pub))
        case ReceiptAnswer(number, text, signature, node_pub):
            answer = pb.ReceiptAnswer(id=number, data=text, signature=signature, node_pub=node_pub)
            out.receipt_answer.CopyFrom(answer)
    raw = out.SerializeToString()
    if len(raw) > MAX_FRAME:
        raise ValueError("a frame has at most 1 MiB")
    return raw


def decode(raw: bytes) -> Frame:
    """Parse one frame. Raises DecodeError."""
    if len(raw) > MAX_FRAME:
        raise DecodeError("a frame has at most 1 MiB", Code.TOO_LARGE)
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


def _address(message: pb.Want | pb.Bundle | pb.PointList) -> tuple[bytes, int]:
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


_PARSERS: dict[str, Callable[[Any], Frame]] = {
    "hello": _hello,
    "ping": lambda _: Ping(),
    "bundle": _bundle,
    "point_list": _point_list,
    "want_bundle": lambda want: WantBundle(*_address(want)),
    "want_list": lambda want: WantList(*_address(want)),
    "receipt_ask": _receipt_ask,
    "receipt_answer": _receipt_answer,
}
