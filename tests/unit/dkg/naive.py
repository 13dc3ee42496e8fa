"""The formulas of docs/protocol/dkg.md once more, slowly and with other libraries, to check the fast ones against.

Points by coincurve's PublicKey, AES and HKDF by pycryptodome, polynomials as lists. Imports no code of ours.
"""

import hashlib

from coincurve import PublicKey
from Crypto.Cipher import AES
from Crypto.Hash import SHA256
from Crypto.Protocol.KDF import HKDF

Q = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def H(name: str, *parts: bytes | int) -> bytes:
    raw = f"authnet/dkg/v1/{name}".encode() + b"\x00"
    for part in parts:
        octets = part.to_bytes(8, "big") if isinstance(part, int) else part
        raw += len(octets).to_bytes(8, "big") + octets
    return hashlib.sha256(raw).digest()


def expand(seed: bytes, size: int) -> bytes:
    return ctr(seed, bytes(size))


def ctr(key: bytes, text: bytes) -> bytes:
    return AES.new(key, AES.MODE_CTR, nonce=b"", initial_value=bytes(16)).encrypt(text)


def point(scalar: int) -> bytes:
    return PublicKey.from_secret(scalar.to_bytes(32, "big")).format()


def times(scalar: int, point33: bytes) -> bytes:
    return PublicKey(point33).multiply((scalar % Q).to_bytes(32, "big")).format()


def plus(*points33: bytes) -> bytes:
    return PublicKey.combine_keys([PublicKey(p) for p in points33]).format()


def enc_key(sid: bytes, i: int, j: int, e: bytes, ek: bytes, shared: bytes) -> bytes:
    key = HKDF(shared, 32, sid, SHA256, context=H("enc", i, j, e, ek))
    assert isinstance(key, bytes)
    return key


def polynomials(seed: bytes, sid: bytes, dealer: int, rows: int, k: int) -> list[list[int]]:
    """f_{i,b}, lowest coefficient first, row by row."""
    stream = expand(H("seed/f", seed, sid, dealer), 48 * rows * k)
    numbers = [int.from_bytes(stream[at : at + 48], "big") % Q for at in range(0, len(stream), 48)]
    return [numbers[b * k : (b + 1) * k] for b in range(rows)]


def value(polynomial: list[int], at: int) -> int:
    return sum(c * at**power for power, c in enumerate(polynomial)) % Q


def gammas(sid: bytes, dealer: int, root: bytes, rows: int) -> list[int]:
    stream = expand(H("gamma", sid, dealer, root), 16 * rows)
    return [int.from_bytes(stream[at : at + 16], "big") for at in range(0, len(stream), 16)]


def alpha(index: int) -> int:
    return [0, 1, -1, 2, -2, 3, -3, 4, -4][index - 1]
