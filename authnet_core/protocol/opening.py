"""The self-test of a committee's shares: do the members' points x(j)*G of sampled keys open the keys they should?

Pure: who holds what, and the random order in which subsets are tried, are arguments. Points are public; any k of them
and Y fix all others, so they say nothing about a key that Y does not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from authnet_core.crypto.points import Point, interpolate, same
from authnet_core.crypto.secp256k1 import parse_point
from authnet_core.protocol.committee import Committee
from authnet_core.protocol.selftest import SelfTest

Party = int


@dataclass(frozen=True, slots=True)
class Sampled:
    """One key: its index, Y in 33 bytes, what each member says x(j)*G is, and all parties in a random order.

    `points` has an entry of each member that answered: 33 bytes, or none at all where it holds no share.
    """

    index: int
    public: bytes
    points: Mapping[Party, bytes]
    order: Sequence[Party]


@dataclass(frozen=True, slots=True)
class Opening:
    """`subset`: the k members whose points gave Y, or the first that were tried; empty if fewer hold the key."""

    opens: bool
    subset: tuple[Party, ...]
    off: tuple[Party, ...] = ()


def judge(epoch: int, committee: Committee, sampled: Sequence[Sampled]) -> SelfTest:
    """The result over all sampled keys."""
    parties = range(1, committee.n + 1)
    openings = [(key, open_key(committee, key)) for key in sampled]
    untested = [key.index for key, opening in openings if _may_open_yet(committee, key, opening)]
    return SelfTest(
        epoch=epoch,
        keys=len(sampled),
        subsets=[list(opening.subset) for _, opening in openings if opening.subset],
        wrong=[key.index for key, opening in openings if not opening.opens and key.index not in untested],
        off=sorted({j for _, opening in openings for j in opening.off}),
        silent=[j for j in parties if any(j not in key.points for key in sampled)],
        lacking=[j for j in parties if any(key.points.get(j) == b"" for key in sampled)],
        untested=untested,
    )


def _may_open_yet(committee: Committee, key: Sampled, opening: Opening) -> bool:
    """Whether silent members may hold what lacks; when all have spoken, fewer than k points mean a lost key."""
    points, silent = len(_holders(key)) - len(opening.off), committee.n - len(key.points)
    return not opening.subset and points + silent >= committee.k


def _holders(key: Sampled) -> list[Party]:
    return [j for j in key.order if key.points.get(j)]


def open_key(committee: Committee, key: Sampled) -> Opening:
    """Open one key in the exponent: by the first k holders in its random order, else by any k that give Y."""
    public = parse_point(key.public)
    points = {j: point for j in _holders(key) if (point := _parse(key.points[j])) is not None}
    junk = tuple(j for j in sorted(_holders(key)) if j not in points)
    first = next(_opening(points, committee.k, public), None)
    if first is None:
        tried = tuple(sorted(list(points)[: committee.k])) if len(points) >= committee.k else ()
        return Opening(False, tried, junk)
    line = _on_line(points, first)
    off = frozenset[Party]() if len(line) == len(points) else _misfits(points, committee, public)
    if off.intersection(first):  # it gave Y, with errors that cancel: those who are on the true polynomial open it too
        first = tuple(j for j in points if j not in off)[: committee.k]
    return Opening(True, tuple(sorted(first)), tuple(sorted((*junk, *off))))


def _parse(raw: bytes) -> Point | None:
    try:
        return parse_point(raw)
    except ValueError:
        return None


def _opening(points: Mapping[Party, Point], k: int, public: Point) -> Iterator[tuple[Party, ...]]:
    """The k-subsets whose points give Y: of at most 126 for committees of 9."""
    for chosen in combinations(points, k):
        if same(interpolate({j: points[j] for j in chosen}), public):
            yield chosen


def _on_line(points: Mapping[Party, Point], chosen: Sequence[Party]) -> frozenset[Party]:
    """Whose points are on the polynomial through those of k members."""
    known = {j: points[j] for j in chosen}
    return frozenset(j for j in points if j in known or same(interpolate(known, j), points[j]))


def _misfits(points: Mapping[Party, Point], committee: Committee, public: Point) -> frozenset[Party]:
    """Who is on no polynomial that opens the key; if k + t members are on one of them, who is off that.

    While at most t lie, k of k + t are honest and that one is the true one. Two liars whose errors cancel are on one
    with the honest members of one subset: fewer are on it, and nobody honest is named for it.
    """
    lines = {_on_line(points, chosen) for chosen in _opening(points, committee.k, public)}
    most = max(lines, key=len)
    return frozenset(points) - (most if len(most) >= committee.k + committee.t else frozenset().union(*lines))
