"""Bulk work on secp256k1 scalars: blocks of 32-byte big-endian numbers.

Inner products use 16-bit limbs in float64, which is exact while rows * 2^32 <= 2^53, that is to 2^21 rows.
"""

import numpy as np

from authnet_core.crypto.secp256k1 import Q

MAX_ROWS = 1 << 20
_Q_BYTES = Q.to_bytes(32, "big")
_ALL_ONES = 0xFFFFFFFFFFFFFFFF


def is_canonical(block: bytes) -> bool:
    """Whether every 32-byte number of the block is below q."""
    if len(block) % 32:
        return False
    tops = np.frombuffer(block, ">u8")[::4]
    # Only a number whose first 8 bytes are all ones can reach q.
    suspects = np.flatnonzero(tops == _ALL_ONES)
    return all(block[32 * row : 32 * row + 32] < _Q_BYTES for row in suspects.tolist())


def inner_product(weights: bytes, block: bytes) -> int:
    """sum w_b * s_b mod q: 16-byte weights, as many leading 32-byte rows of the block."""
    rows = len(weights) // 16
    if len(weights) % 16 or len(block) < 32 * rows or rows > MAX_ROWS:
        raise ValueError("one 16-byte weight for each 32-byte row")
    left = np.frombuffer(weights, ">u2").reshape(rows, 8).astype(np.float64)
    right = np.frombuffer(block, ">u2", count=rows * 16).reshape(rows, 16).astype(np.float64)
    products = (left.T @ right).astype(np.int64)
    columns = np.zeros(23, dtype=np.int64)
    for limb in range(8):
        columns[limb : limb + 16] += products[limb]
    total = 0
    for column in columns.tolist():
        total = (total << 16) + column
    return total % Q


def row(block: bytes, number: int) -> int:
    """The number in row `number`."""
    return int.from_bytes(block[32 * number : 32 * number + 32], "big")


def rows_of(block: bytes) -> list[int]:
    """All numbers of the block."""
    return [int.from_bytes(block[at : at + 32], "big") for at in range(0, len(block), 32)]


def block_of(numbers: list[int]) -> bytes:
    """The block of these numbers, each reduced mod q."""
    return b"".join([(number % Q).to_bytes(32, "big") for number in numbers])


def wide_scalars(stream: bytes) -> list[int]:
    """Scalars of 48 stream bytes each: within 2^-128 of uniform mod q."""
    return [int.from_bytes(stream[at : at + 48], "big") % Q for at in range(0, len(stream), 48)]
