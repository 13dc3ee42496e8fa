"""The exponent fallback F: a dealer's key points from the members' shares, without its polynomials. Pure.

P_{j,b} = s_{i,b}(j)*G for b < B and for the spare mask b = B; w_j = sum gamma'_b s_{i,b}(j) + s_{i,B}(j). gamma' comes
from the hashes of all lists, so a list that fits w_j is right (as in the low-degree test); the mask hides the shares.
A dishonest dealer may deal a share of zero: the point at infinity is None here and 64 zero bytes in a list.
Source: docs/protocol/dkg.md section 4.
"""

from collections.abc import Mapping

from authnet_core.crypto.hashing import expand
from authnet_core.crypto.points import (
    Point,
    combine,
    compress_block,
    interpolate,
    multiply_generator,
    parse_points64,
    point64,
    same,
    weighted_sum,
)
from authnet_core.crypto.scalars import inner_product, row
from authnet_core.crypto.secp256k1 import Q, scalar_bytes
from authnet_core.protocol.dkg import strings
from authnet_core.protocol.dkg.check import Plain
from authnet_core.protocol.dkg.messages import POINT, SCALAR, Parts
from authnet_core.protocol.dkg.params import Party, SessionParams

INFINITY = bytes(POINT)
"""Not a point of the curve, and 02 || 0 in the hash is the form of none."""


def make_parts(params: SessionParams, dealer: Party, holder: Party, plain: Plain) -> Parts:
    """The holder's list from its own shares; one constant-time multiplication a row."""
    rows = (plain.shares[at : at + SCALAR] for at in range(0, (params.rows + 1) * SCALAR, SCALAR))
    points = (point64(multiply_generator(share)) if any(share) else INFINITY for share in rows)
    return Parts(params.sid, dealer, holder, b"".join(points))


def hash_of(parts: Parts) -> bytes:
    """What FALLBACK_LIST puts on chain."""
    return strings.parts_hash(parts.sid, parts.dealer, parts.holder, compress_block(parts.points64))


def parse_parts(points64: bytes) -> list[Point | None] | None:
    """The points, or None if one is off the curve: the hash binds x and a parity, so that is the sender's doing."""
    blocks = (points64[at : at + POINT] for at in range(0, len(points64), POINT))
    try:
        return [None if block == INFINITY else parse_points64(block)[0] for block in blocks]
    except ValueError:
        return None


def weights(params: SessionParams, seed: bytes) -> bytes:
    """gamma'_0 .. gamma'_{B-1}, 16 bytes each. The spare mask has weight 1."""
    return expand(seed, 16 * params.rows)


def answer(params: SessionParams, plain: Plain, seed: bytes) -> bytes:
    """w_j. It may leave the node under one seed only: two would open a combination of the shares."""
    w = inner_product(weights(params, seed), plain.shares) + row(plain.shares, params.rows)
    return scalar_bytes(w)


def is_good(params: SessionParams, points: list[Point | None], seed: bytes, w: int) -> bool:
    """sum gamma'_b P_{j,b} + P_{j,B} = w*G."""
    gamma = weights(params, seed)
    finite = [b for b in range(params.rows) if points[b] is not None]
    chosen = b"".join(gamma[16 * b : 16 * b + 16] for b in finite)
    terms = [weighted_sum([points[b] for b in finite], chosen), points[params.rows]]
    left = combine([term for term in terms if term is not None])
    right = multiply_generator(scalar_bytes(w)) if w % Q else None
    return same(left, right)


def interpolate_points(params: SessionParams, lists: Mapping[Party, list[Point | None]]) -> list[Point | None]:
    """A_{i,b} = f_{i,b}(0)*G for b < B from k good lists."""
    return [interpolate({j: points[b] for j, points in lists.items()}) for b in range(params.rows)]
