"""secp256k1 on libsecp256k1: single points and scalars.

Points are 33-byte SEC1 strings here; `points.py` has the bulk forms. A secret scalar meets an arbitrary point
only in `ecdh_x` and `mul_secret` (libsecp256k1's ECDH, constant time): `PublicKey.multiply` is not.
Pure. Bad input raises ValueError, whose text never holds the input.
"""

from collections.abc import Iterable
from typing import Any

from coincurve import PublicKey
from coincurve._libsecp256k1 import ffi, lib
from coincurve.context import GLOBAL_CONTEXT

P = 2**256 - 2**32 - 977
Q = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
G33 = bytes.fromhex("0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798")

CONTEXT = GLOBAL_CONTEXT.ctx
_COMPRESSED = lib.SECP256K1_EC_COMPRESSED


@ffi.callback("int(unsigned char *, const unsigned char *, const unsigned char *, void *)")  # type: ignore[untyped-decorator]
def _copy_point(output: Any, x32: Any, y32: Any, _unused: Any) -> int:
    """ECDH "hash" that keeps the raw point, x || y. Touches no shared state, so threads may meet in it."""
    ffi.memmove(output, x32, 32)
    ffi.memmove(output + 32, y32, 32)
    return 1


def parse_scalar(raw: bytes) -> int:
    """The canonical scalar in 32 big-endian bytes; zero is a scalar."""
    value = int.from_bytes(raw, "big")
    if len(raw) != 32 or value >= Q:
        raise ValueError("not a canonical scalar")
    return value


def scalar_bytes(value: int) -> bytes:
    """A scalar reduced mod q as 32 big-endian bytes."""
    return (value % Q).to_bytes(32, "big")


def _secret_bytes(secret: int | bytes) -> bytes:
    raw = secret.to_bytes(32, "big") if isinstance(secret, int) else bytes(secret)
    if parse_scalar(raw) == 0:
        raise ValueError("a secret scalar is not zero")
    return raw


def parse_point(raw: bytes) -> Any:
    """libsecp256k1's form of a 33-byte point. Checks the curve and the canonical encoding."""
    point = ffi.new("secp256k1_pubkey *")
    if len(raw) != 33 or raw[0] not in (2, 3) or not lib.secp256k1_ec_pubkey_parse(CONTEXT, point, raw, 33):
        raise ValueError("not a compressed curve point")
    return point


def serialize(point: Any, size: int = 33) -> bytes:
    """33-byte compressed (or 65-byte uncompressed) form of libsecp256k1's point."""
    out, length = ffi.new("unsigned char[]", size), ffi.new("size_t *", size)
    form = _COMPRESSED if size == 33 else lib.SECP256K1_EC_UNCOMPRESSED
    lib.secp256k1_ec_pubkey_serialize(CONTEXT, out, length, point, form)
    return bytes(ffi.buffer(out, size))


def is_point(raw: bytes) -> bool:
    """Whether these are 33 bytes of a point of the curve."""
    try:
        parse_point(raw)
    except ValueError:
        return False
    return True


def pub(secret: int | bytes) -> bytes:
    """secret * G, constant time."""
    point = ffi.new("secp256k1_pubkey *")
    if not lib.secp256k1_ec_pubkey_create(CONTEXT, point, _secret_bytes(secret)):
        raise ValueError("not a secret scalar")
    return serialize(point)


def _ecdh(secret: int | bytes, point33: bytes) -> bytes:
    out = ffi.new("unsigned char[]", 64)
    point = parse_point(point33)
    if not lib.secp256k1_ecdh(CONTEXT, out, point, _secret_bytes(secret), _copy_point, ffi.NULL):
        raise ValueError("not a secret scalar")
    return bytes(ffi.buffer(out, 64))


def ecdh_x(secret: int | bytes, point33: bytes) -> bytes:
    """The 32-byte x of secret * point, constant time."""
    return _ecdh(secret, point33)[:32]


def mul_secret(secret: int | bytes, point33: bytes) -> bytes:
    """secret * point, constant time."""
    xy = _ecdh(secret, point33)
    return bytes([2 + (xy[63] & 1)]) + xy[:32]


def mul_public(scalar: int, point33: bytes) -> bytes:
    """scalar * point for a PUBLIC scalar: the time depends on it."""
    return bytes(PublicKey(point33).multiply(_secret_bytes(scalar % Q)).format())


def compress(xy: bytes) -> bytes:
    """64-byte x || y to 33 bytes; checks the curve."""
    point = ffi.new("secp256k1_pubkey *")
    if len(xy) != 64 or not lib.secp256k1_ec_pubkey_parse(CONTEXT, point, b"\x04" + xy, 65):
        raise ValueError("not a curve point")
    return serialize(point)


def decompress(point33: bytes) -> bytes:
    """33 bytes to the 64-byte x || y."""
    return serialize(parse_point(point33), 65)[1:]


def sum_points(points: Iterable[bytes]) -> bytes | None:
    """The sum, or None for the point at infinity (also of no points)."""
    parsed = [parse_point(point) for point in points]
    total = ffi.new("secp256k1_pubkey *")
    if not parsed or not lib.secp256k1_ec_pubkey_combine(
        CONTEXT, total, ffi.new("secp256k1_pubkey *[]", parsed), len(parsed)
    ):
        return None
    return serialize(total)


def add(left: bytes, right: bytes) -> bytes | None:
    """left + right, or None for the point at infinity."""
    return sum_points((left, right))


def negate(point33: bytes) -> bytes:
    """-point: the other parity byte. The input must be a point."""
    return bytes([point33[0] ^ 1]) + point33[1:]
