"""ECDSA over secp256k1 on 32-byte digests: RFC 6979 nonces, low s only.

Pure. Two forms: r || s (64 bytes, transactions) and r || s || v with v = 27 or 28 (65 bytes, receipts,
Ethereum).
"""

from typing import Any

from coincurve._libsecp256k1 import ffi, lib

from authnet_core.crypto.secp256k1 import CONTEXT, Q, parse_point, serialize


def sign_recoverable(secret: bytes, digest: bytes) -> bytes:
    """r || s || v, v = 27 + recovery id."""
    if len(digest) != 32 or len(secret) != 32:
        raise ValueError("ECDSA takes a 32-byte key and a 32-byte digest")
    signature = ffi.new("secp256k1_ecdsa_recoverable_signature *")
    if not lib.secp256k1_ecdsa_sign_recoverable(CONTEXT, signature, digest, secret, ffi.NULL, ffi.NULL):
        raise ValueError("not a secret scalar")
    out, recovery = ffi.new("unsigned char[64]"), ffi.new("int *")
    lib.secp256k1_ecdsa_recoverable_signature_serialize_compact(CONTEXT, out, recovery, signature)
    return bytes(ffi.buffer(out)) + bytes([27 + recovery[0]])


def sign(secret: bytes, digest: bytes) -> bytes:
    """r || s."""
    return sign_recoverable(secret, digest)[:64]


def verify(pub33: bytes, digest: bytes, signature: bytes) -> bool:
    """Whether the signature is good, canonical and low-s. Never raises."""
    if len(digest) != 32 or len(signature) != 64:
        return False
    parsed = ffi.new("secp256k1_ecdsa_signature *")
    if not lib.secp256k1_ecdsa_signature_parse_compact(CONTEXT, parsed, signature):
        return False
    try:
        point = parse_point(pub33)
    except ValueError:
        return False
    return bool(lib.secp256k1_ecdsa_verify(CONTEXT, parsed, digest, point))


def recover(digest: bytes, signature: bytes) -> bytes | None:
    """The 33-byte key that made r || s || v, or None. High s is refused: one signature, one encoding."""
    if len(digest) != 32 or len(signature) != 65 or signature[64] not in (27, 28):
        return None
    if int.from_bytes(signature[32:64], "big") > Q // 2:
        return None
    parsed: Any = ffi.new("secp256k1_ecdsa_recoverable_signature *")
    if not lib.secp256k1_ecdsa_recoverable_signature_parse_compact(CONTEXT, parsed, signature[:64], signature[64] - 27):
        return None
    point = ffi.new("secp256k1_pubkey *")
    return serialize(point) if lib.secp256k1_ecdsa_recover(CONTEXT, point, parsed, digest) else None


def verify_recoverable(pub33: bytes, digest: bytes, signature: bytes) -> bool:
    """Whether r || s || v is pub33's: the recovery byte must be the right one too."""
    return recover(digest, signature) == pub33 and verify(pub33, digest, signature[:64])
