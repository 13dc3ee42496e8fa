"""Signed transactions: strict decoding, signing and the identity used against replay (chain.md section 3).

Protobuf decoders are lenient (unknown and repeated fields, padded integers). Consensus must not depend on
how lenient one library version is, so only the one encoding that we would have made ourselves is accepted.
"""

from __future__ import annotations

import hashlib

from google.protobuf.message import DecodeError as ProtobufError

from authnet_core.crypto import ecdsa
from authnet_core.errors import Code, DecodeError
from authnet_core.wire.authnet_pb2 import Record, SignedTx, TxBody

PROTOCOL_VERSION = 1
MAX_TX_BYTES = 131_072
_SIGN_TAG = b"authnet/tx/v1\x00"
_REPLAY_TAG = b"authnet/replay/v1\x00"


def body_digest(body: bytes) -> bytes:
    """The 32 bytes a member's identity key signs; chain id, version, epoch and expiry are inside `body`."""
    return hashlib.sha256(_SIGN_TAG + body).digest()


def sign_tx(secret: bytes, signer: bytes, body: TxBody) -> bytes:
    """Return the bytes of SignedTx. `signer` is the 33-byte public key of `secret`."""
    raw = body.SerializeToString(deterministic=True)
    signature = ecdsa.sign(secret, body_digest(raw))
    return SignedTx(body=raw, signer=signer, signature=signature).SerializeToString(deterministic=True)


def decode_signed(raw: bytes) -> tuple[SignedTx, TxBody]:
    """Parse a transaction without checking its signature.

    Raises DecodeError for bytes that are too long, no protobuf, not the canonical encoding, or of no kind.
    """
    if len(raw) > MAX_TX_BYTES:
        raise DecodeError(f"a transaction has at most {MAX_TX_BYTES} bytes", Code.TOO_LARGE)
    signed, body = SignedTx(), TxBody()
    try:
        signed.ParseFromString(raw)
        body.ParseFromString(signed.body)
    except ProtobufError:
        raise DecodeError("not a transaction") from None
    # Unknown fields would be written back as they came, and pass for canonical.
    signed.DiscardUnknownFields()
    body.DiscardUnknownFields()
    if signed.SerializeToString(deterministic=True) != raw:
        raise DecodeError("the envelope is not in its canonical encoding")
    if body.SerializeToString(deterministic=True) != signed.body:
        raise DecodeError("the body is not in its canonical encoding")
    if body.WhichOneof("kind") is None:
        raise DecodeError("a transaction of no known kind")
    if len(signed.signer) != 33 or len(signed.signature) != 64:
        raise DecodeError("signer must have 33 bytes and signature 64")
    return signed, body


def is_signature_valid(signed: SignedTx) -> bool:
    """Whether the signer's identity key signed exactly these body bytes (low s only)."""
    return ecdsa.verify(signed.signer, body_digest(signed.body), signed.signature)


def replay_id(signed: SignedTx) -> bytes:
    """What is remembered until expiry. The signature is left out: its twin is no new transaction."""
    return hashlib.sha256(_REPLAY_TAG + len(signed.body).to_bytes(8, "big") + signed.body + signed.signer).digest()


def record_hash(record: bytes) -> bytes:
    """The identity of a registry record in votes."""
    return hashlib.sha256(b"authnet/record/v1\x00" + record).digest()


def decode_record(raw: bytes) -> Record:
    """Parse an observed registry record; canonical encoding only. Raises DecodeError."""
    record = Record()
    try:
        record.ParseFromString(raw)
    except ProtobufError:
        raise DecodeError("not a registry record") from None
    record.DiscardUnknownFields()
    if record.SerializeToString(deterministic=True) != raw or record.WhichOneof("kind") is None:
        raise DecodeError("the record is not in its canonical encoding")
    return record
