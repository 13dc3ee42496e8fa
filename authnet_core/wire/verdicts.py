"""What evidence of any conviction is made of: a verdict, signed transactions, members' keys. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from authnet_core.crypto.secp256k1 import is_point
from authnet_core.errors import AuthnetError, Code, DecodeError
from authnet_core.protocol.committee import Committee
from authnet_core.wire import authnet_pb2 as pb
from authnet_core.wire.tx import PROTOCOL_VERSION, decode_signed, is_signature_valid

MAX_BYTES = 1 << 20
_MAX_MEMBERS = 64


@dataclass(frozen=True, slots=True)
class Verdict:
    """Who is convicted, on whose word, and why, in which session or resharing of which chain and committee."""

    convict: int
    accuser: int
    """0 when not one member but what k + t dealers answered says it."""
    identity: bytes
    upheld: bool
    """The dealer is the convict; otherwise the complainer is."""
    reason: str
    chain_id: str
    epoch: int
    """The convict's: in a resharing a dealer is of the old committee, a complainer of the new one."""
    sid: bytes
    committee_hash: bytes


def refuse(reason: str) -> AuthnetError:
    """To be raised."""
    return AuthnetError(Code.EVIDENCE_INVALID, f"the evidence does not hold: {reason}")


def hex_bytes(text: str) -> bytes:
    """Lowercase hex only: one text for the same bytes. Raises AuthnetError(EVIDENCE_INVALID)."""
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        raise refuse("a field is not hex") from None
    if raw.hex() != text:
        raise refuse("a field is not lowercase hex")
    return raw


def committee_of(texts: Sequence[str]) -> tuple[Committee, tuple[bytes, ...]]:
    """A committee of as many members as there are identity keys, and the keys. Raises AuthnetError."""
    if not 1 <= len(texts) <= _MAX_MEMBERS:
        raise refuse("it names no committee")
    identities = tuple(hex_bytes(text) for text in texts)
    if len(set(identities)) != len(identities) or not all(is_point(key) for key in identities):
        raise refuse("its identity keys are not distinct keys")
    return Committee.of(len(identities)), identities


@dataclass(frozen=True, slots=True)
class Side:
    """A committee that transactions of a session or resharing may be of."""

    chain_id: str
    epoch: int
    identities: tuple[bytes, ...]

    def open(self, raw: bytes, kind: str, name: bytes) -> tuple[int, pb.TxBody]:
        """The signer's index and the body of a transaction of this kind and sid or rid. Raises AuthnetError."""
        try:
            signed, body = decode_signed(raw)
        except DecodeError as error:
            raise refuse(f"its {kind} is no transaction: {error.message}") from None
        if body.WhichOneof("kind") != kind:
            raise refuse(f"its {kind} is a transaction of another kind")
        if (body.chain_id, body.version, body.epoch) != (self.chain_id, PROTOCOL_VERSION, self.epoch):
            raise refuse(f"its {kind} was signed for another chain, version or epoch")
        message = getattr(body, kind)
        if (message.rid if hasattr(message, "rid") else message.sid) != name:
            raise refuse(f"its {kind} is of another session")
        if signed.signer not in self.identities or not is_signature_valid(signed):
            raise refuse(f"its {kind} is not signed by a member")
        return self.identities.index(signed.signer) + 1, body
