"""Hashes and expansion: the `H` and `expand` of the key generation, keccak-256, HKDF.

Pure. Sources: FIPS 180-4 (SHA-256), SP 800-38A (CTR), RFC 5869 (HKDF), keccak-256 (original padding).
"""

import hashlib
import hmac

from Crypto.Hash import keccak
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

_ZERO_BLOCK = bytes(16)


def framed(part: bytes | int) -> bytes:
    """One part of a tagged hash: 8-byte length in front; integers are 8 bytes big-endian."""
    raw = part.to_bytes(8, "big") if isinstance(part, int) else part
    return len(raw).to_bytes(8, "big") + raw


def tagged_hash(tag: str, *parts: bytes | int) -> bytes:
    """SHA256(tag || 00 || len8(p1) || p1 || ...): no two different inputs give the same string."""
    return hashlib.sha256(tag.encode("ascii") + b"\x00" + b"".join(map(framed, parts))).digest()


def keccak256(message: bytes) -> bytes:
    """Keccak-256 with the original padding (Ethereum's), not SHA3-256."""
    return bytes(keccak.new(digest_bits=256, data=message).digest())


def expand(seed: bytes, size: int) -> bytes:
    """`size` bytes of AES-256-CTR keystream of the 32-byte `seed`, zero IV."""
    return aes256_ctr(seed, bytes(size))


def aes256_ctr(key: bytes, text: bytes) -> bytes:
    """AES-256-CTR from a zero counter: encrypts and decrypts. A key must serve one text only."""
    stream = Cipher(algorithms.AES(key), modes.CTR(_ZERO_BLOCK)).encryptor()
    return stream.update(text) + stream.finalize()


def hkdf_sha256(secret: bytes, salt: bytes, context: bytes) -> bytes:
    """RFC 5869 with one output block: 32 bytes."""
    extracted = hmac.digest(salt, secret, "sha256")
    return hmac.digest(extracted, context + b"\x01", "sha256")
