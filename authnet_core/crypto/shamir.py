"""Shamir secret sharing over the secp256k1 scalars: interpolation, and the search for honest shares.

Pure. Indexes are 1..n, 0 is the secret (Shamir 1979).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from math import lcm, prod

from authnet_core.crypto.secp256k1 import Q, pub


@dataclass(frozen=True, slots=True)
class Opened:
    """A secret that opens a public key, and the indexes whose shares made it."""

    secret: int = field(repr=False)
    used: tuple[int, ...]


def lagrange(indexes: Iterable[int], at: int = 0) -> dict[int, int]:
    """Coefficients c_i with f(at) = sum c_i f(i) for every f of degree below the number of indexes."""
    points = list(indexes)
    if len(set(points)) != len(points):
        raise ValueError("an index is given twice")
    coefficients = {}
    for i in points:
        top = bottom = 1
        for j in points:
            if j != i:
                top = top * (at - j) % Q
                bottom = bottom * (i - j) % Q
        coefficients[i] = top * pow(bottom, -1, Q) % Q
    return coefficients


def lagrange_fractions(indexes: Iterable[int], at: int = 0) -> tuple[dict[int, int], int]:
    """Small integers c_i and w with f(at) = sum c_i f(i) / w: in the exponent all but w is additions."""
    points = list(indexes)
    tops = {i: prod(at - j for j in points if j != i) for i in points}
    bottoms = {i: prod(i - j for j in points if j != i) for i in points}
    whole = lcm(*bottoms.values())
    return {i: tops[i] * (whole // bottoms[i]) for i in points}, whole


def interpolate(shares: Mapping[int, int], at: int) -> int:
    """f(at) of the polynomial through all the given shares."""
    return sum(c * shares[i] for i, c in lagrange(shares, at).items()) % Q


def interpolate_at_zero(shares: Mapping[int, int]) -> int:
    """The secret of the polynomial through all the given shares."""
    return interpolate(shares, 0)


def evaluate(coefficients: Iterable[int], at: int) -> int:
    """f(at), lowest coefficient first."""
    value = 0
    for coefficient in reversed(list(coefficients)):
        value = value * at + coefficient
    return value % Q


def find_subset(shares: Mapping[int, int], k: int, public: bytes) -> Opened | None:
    """The first k-subset (lexicographic) whose secret opens `public`, or None."""
    for used in combinations(sorted(shares), k):
        secret = interpolate_at_zero({i: shares[i] for i in used})
        if secret and pub(secret) == public:
            return Opened(secret, used)
    return None


def correct(values: Mapping[int, int], k: int, agreeing: int) -> dict[int, int] | None:
    """k of the values, through which the polynomial of degree below k goes that `agreeing` of them are on; or None.

    Of at least k + t agreeing values with t wrong ones k are right, so the polynomial is the right one. The search is
    over all k-subsets: at most 126 for committees of 9.
    """
    if len(values) < agreeing:
        return None
    for used in combinations(sorted(values), k):
        chosen = {i: values[i] for i in used}
        if sum(interpolate(chosen, i) == value % Q for i, value in values.items()) >= agreeing:
            return chosen
    return None


def misfits(shares: Mapping[int, int], opened: Opened) -> tuple[int, ...]:
    """Indexes whose share is not on the polynomial that opened the key."""
    good = {i: shares[i] for i in opened.used}
    return tuple(i for i in sorted(shares) if i not in good and interpolate(good, i) != shares[i] % Q)
