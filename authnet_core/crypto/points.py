"""Bulk work on secp256k1 points: parsing, sums, one multi-scalar multiplication.

Points here are libsecp256k1's own parsed form (`Point`), so that a list is parsed once. Every heavy call is in
libsecp256k1 and lets other threads run. All scalars here are PUBLIC: times depend on them.
Sources: Pippenger (bucket method) with 128-bit scalars; a bucket is one combine call of libsecp256k1.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from coincurve._libsecp256k1 import ffi, lib

from authnet_core.crypto.secp256k1 import CONTEXT, Q, serialize
from authnet_core.crypto.shamir import lagrange_fractions

Point: TypeAlias = Any
"""A parsed point; None stands for the point at infinity in sums."""

_WEIGHT_BYTES = 16
_FEW_POINTS = 64
"""Below it one multiplication a point is faster than buckets."""


def parse_points64(block: bytes) -> list[Point]:
    """Points of a block of x || y, each checked against the curve. Raises ValueError."""
    if len(block) % 64:
        raise ValueError("a point block is a multiple of 64 bytes")
    points = []
    for at in range(0, len(block), 64):
        point = ffi.new("secp256k1_pubkey *")
        if not lib.secp256k1_ec_pubkey_parse(CONTEXT, point, b"\x04" + block[at : at + 64], 65):
            raise ValueError("not a curve point")
        points.append(point)
    return points


def compress_block(block: bytes) -> bytes:
    """33-byte forms of a block of x || y, without touching the curve."""
    return b"".join(
        (b"\x03" if block[at + 63] & 1 else b"\x02") + block[at : at + 32] for at in range(0, len(block), 64)
    )


def point64(point: Point) -> bytes:
    """x || y."""
    return serialize(point, 65)[1:]


def multiply_generator(secret: bytes) -> Point:
    """secret * G, constant time. Raises ValueError for zero or a non-canonical scalar."""
    point = ffi.new("secp256k1_pubkey *")
    if len(secret) != 32 or not lib.secp256k1_ec_pubkey_create(CONTEXT, point, secret):
        raise ValueError("not a secret scalar")
    return point


def combine(points: Sequence[Point]) -> Point | None:
    """The sum of finite points, or None for the point at infinity."""
    total = ffi.new("secp256k1_pubkey *")
    listed = ffi.new("secp256k1_pubkey *[]", points)
    if not points or not lib.secp256k1_ec_pubkey_combine(CONTEXT, total, listed, len(points)):
        return None
    return total


def negated(point: Point) -> Point:
    """-point, a new one."""
    copy = ffi.new("secp256k1_pubkey *", point[0])
    lib.secp256k1_ec_pubkey_negate(CONTEXT, copy)
    return copy


def same(left: Point | None, right: Point | None) -> bool:
    """Equality, the point at infinity included."""
    if left is None or right is None:
        return left is right
    return bool(lib.secp256k1_ec_pubkey_cmp(CONTEXT, left, right) == 0)


def weighted_sum(points: Sequence[Point], weights: bytes) -> Point | None:
    """sum w_b * P_b, weights as 16-byte big-endian integers. None is the point at infinity."""
    if len(weights) != _WEIGHT_BYTES * len(points):
        raise ValueError("one 16-byte weight for each point")
    if len(points) < _FEW_POINTS:
        return _sum_one_by_one(points, weights)
    width = _window_width(len(points))
    total: Point | None = None
    for window in _windows(weights, width):
        addends = [] if total is None else [total] * (1 << width)
        window_sum = _window_sum(points, window, width)
        total = combine(addends if window_sum is None else [*addends, window_sum])
    return total


def _sum_one_by_one(points: Sequence[Point], weights: bytes) -> Point | None:
    products = []
    for number, point in enumerate(points):
        weight = weights[number * _WEIGHT_BYTES : (number + 1) * _WEIGHT_BYTES]
        if any(weight):
            product = ffi.new("secp256k1_pubkey *", point[0])
            lib.secp256k1_ec_pubkey_tweak_mul(CONTEXT, product, bytes(32 - _WEIGHT_BYTES) + weight)
            products.append(product)
    return combine(products)


def _window_width(count: int) -> int:
    """Bits a window; a call costs as much as a dozen additions, which favours few buckets."""
    return 3 if count < 100 else 4 if count < 600 else 5


def _windows(weights: bytes, width: int) -> list[list[list[int]]]:
    """For each window, most significant first, the point numbers in each of its buckets."""
    bits = np.unpackbits(np.frombuffer(weights, np.uint8).reshape(-1, _WEIGHT_BYTES), axis=1)
    padding = -bits.shape[1] % width
    bits = np.pad(bits, ((0, 0), (padding, 0)))
    digits = bits.reshape(len(bits), -1, width) @ (1 << np.arange(width - 1, -1, -1, dtype=np.uint8))
    windows = []
    for column in np.ascontiguousarray(digits.T):
        order = np.argsort(column, kind="stable")
        ends = np.cumsum(np.bincount(column, minlength=1 << width))[:-1]
        windows.append([part.tolist() for part in np.split(order, ends)])
    return windows


def _window_sum(points: Sequence[Point], buckets: list[list[int]], width: int) -> Point | None:
    """sum over digits v of v * (sum of bucket v), bit by bit: bucket v counts in every bit set in v."""
    sums = [combine([points[i] for i in members]) if v else None for v, members in enumerate(buckets)]
    total: Point | None = None
    for bit in range(width - 1, -1, -1):
        chosen = [s for v, s in enumerate(sums) if v >> bit & 1 and s is not None]
        total = combine(chosen if total is None else [total, total, *chosen])
    return total


def scaled(point: Point, scalar: int) -> Point:
    """scalar * point for a PUBLIC scalar between 1 and q - 1."""
    product = ffi.new("secp256k1_pubkey *", point[0])
    if not lib.secp256k1_ec_pubkey_tweak_mul(CONTEXT, product, scalar.to_bytes(32, "big")):
        raise ValueError("not a scalar between 1 and q - 1")
    return product


def small_combination(points: Sequence[Point | None], coefficients: Sequence[int]) -> Point | None:
    """sum c_i * P_i for small signed integers: digits in radix 8, one sum of repeated points a digit."""
    terms = [(p, c) for p, c in zip(points, coefficients, strict=True) if c and p is not None]
    signed = [p if c > 0 else negated(p) for p, c in terms]
    sizes = [abs(c) for _, c in terms]
    total: Point | None = None
    for shift in range((max(sizes, default=0).bit_length() + 2) // 3 * 3 - 3, -1, -3):
        addends = [] if total is None else [total] * 8
        for point, size in zip(signed, sizes, strict=True):
            addends.extend([point] * (size >> shift & 7))
        total = combine(addends)
    return total


def interpolate(points: Mapping[int, Point | None], at: int = 0) -> Point | None:
    """f(at)*G from the points f(i)*G: interpolation in the exponent. None is the point at infinity."""
    coefficients, whole = lagrange_fractions(points, at)
    total = small_combination(list(points.values()), list(coefficients.values()))
    return None if total is None else scaled(total, pow(whole, -1, Q))
