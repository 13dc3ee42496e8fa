"""Hex and points as torus.js sends and reads them (torusjs-wire.md 1.4): forgiving in, one form out.

Out: lowercase, no 0x, coordinates padded to 64 digits, the same on every node, because clients compare text.
Pure.
"""

from __future__ import annotations

import base64
import re
from functools import lru_cache

from authnet_core.crypto.address import eip55_address
from authnet_core.crypto.secp256k1 import compress, decompress, sum_points
from authnet_core.errors import AuthnetError, Code

_HEX = re.compile(r"(?:0[xX])?([0-9a-fA-F]{1,})")


def hex_field(name: str, text: str, size: int) -> bytes:
    """Exactly `size` bytes from hex with or without 0x, any case, leading zeros or not."""
    found = _HEX.fullmatch(text) if len(text) <= 2 * size + 2 else None
    if found is None or len(found[1]) > 2 * size:
        raise AuthnetError(Code.BAD_PARAMS, f"{name}: expected up to {2 * size} hex digits")
    return bytes.fromhex(found[1].zfill(2 * size))


def point_field(name: str, x: str, y: str) -> bytes:
    """A 33-byte point from two coordinates. Raises BAD_PARAMS off the curve."""
    try:
        return compress(hex_field(f"{name}x", x, 32) + hex_field(f"{name}y", y, 32))
    except ValueError:
        raise AuthnetError(Code.BAD_PARAMS, f"{name}x, {name}y: not a point of the curve") from None


@lru_cache(maxsize=1024)
def coordinates(point_hex: str) -> tuple[str, str]:
    """(x, y) of a compressed point in hex, 64 digits each."""
    xy = decompress(bytes.fromhex(point_hex)).hex()
    return xy[:64], xy[64:]


@lru_cache(maxsize=1024)
def address(point_hex: str) -> str:
    """The checksummed address of a compressed point in hex."""
    return eip55_address(bytes.fromhex(point_hex))


@lru_cache(maxsize=1024)
def final_pub(y_hex: str, n_hex: str) -> str:
    """Y + N in hex: the key a user ends up with."""
    total = sum_points((bytes.fromhex(y_hex), bytes.fromhex(n_hex)))
    if total is None:
        raise AuthnetError(Code.INTERNAL, "the chain lists a key whose parts cancel out")
    return total.hex()


def text_base64(text: str) -> str:
    """Base64 of ASCII text: torus.js carries a share as base64 of the ciphertext's hex digits."""
    return base64.b64encode(text.encode("ascii")).decode("ascii")
