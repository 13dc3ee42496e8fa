"""Step 6: a dealer's points A_{i,b} = f_{i,b}(0)*G, opened after Q is fixed and checked in one multiplication.

Pure. By Fiat-Shamir (gamma is fixed by R_i, which binds h_i) a wrong list passes with probability 2^-128.
"""

from authnet_core.crypto.points import (
    Point,
    compress_block,
    multiply_generator,
    parse_points64,
    same,
    weighted_sum,
)
from authnet_core.crypto.points import combine as combine_points
from authnet_core.protocol.dkg import strings
from authnet_core.protocol.dkg.deal import gamma_weights
from authnet_core.protocol.dkg.messages import Deal, PointList
from authnet_core.protocol.dkg.params import SessionParams


def refuse_list(params: SessionParams, deal: Deal, opened: PointList) -> str | None:
    """Cheap part: exact lengths and the hash h_i. A mismatch says nothing against the dealer."""
    if opened.sid != params.sid or not params.is_party(opened.dealer):
        return "list of another session"
    if len(opened.salt) != 32 or len(opened.points64) != params.list_size:
        return "list of wrong length"
    if strings.list_hash(opened.salt, compress_block(opened.points64)) != deal.list_hash:
        return "list does not fit its hash"
    return None


def parse_list(opened: PointList) -> list[Point] | None:
    """The points, or None if one is not on the curve. h_i binds x and a parity only: whoever sent this may have
    spoilt a y on the way, so it says nothing against the dealer."""
    try:
        return parse_points64(opened.points64)
    except ValueError:
        return None


def refuse_points(params: SessionParams, deal: Deal, opened: PointList, points: list[Point]) -> str | None:
    """sum gamma_b A_b + A_{B+1} = u_i(0)*G."""
    weights = gamma_weights(params, opened.dealer, deal.root)
    parts = [weighted_sum(points[: params.rows + 1], weights), points[params.rows + 1]]
    left = combine_points([part for part in parts if part is not None])
    right = multiply_generator(deal.u[0]) if any(deal.u[0]) else None
    return None if same(left, right) else "list that fails the low-degree test"
