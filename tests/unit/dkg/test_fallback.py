"""The mathematics of the fallback and of late recovery: lists, challenge, error correction, interpolation."""

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authnet_core.crypto.points import parse_points64, point64, scaled, small_combination
from authnet_core.crypto.secp256k1 import Q, decompress, is_point, pub
from authnet_core.crypto.shamir import correct, evaluate
from authnet_core.protocol.dkg import fallback, recovery
from authnet_core.protocol.dkg.check import Plain
from authnet_core.protocol.dkg.messages import Parts
from tests.unit.dkg import naive
from tests.unit.dkg.lying import HONEST, PARAMS, PARTIES, SID, part, plain
from tests.unit.dkg.setting import filled

SEED = filled(0x5E)
ROWS = PARAMS.rows
COEFFICIENTS = st.lists(st.integers(0, Q - 1), min_size=3, max_size=3)


def points_of(dealer: int, holder: int) -> list[object]:
    points = fallback.parse_parts(part(HONEST, dealer, holder).points64)
    assert points is not None
    return points


def w_of(dealer: int, holder: int) -> int:
    return int.from_bytes(fallback.answer(PARAMS, plain(HONEST, dealer, holder), SEED), "big")


@pytest.mark.parametrize("holders", list(combinations(PARTIES, 3)))
def test_any_k_lists_give_the_points_that_the_dealer_committed_to(holders: tuple[int, ...]) -> None:
    opened = fallback.interpolate_points(PARAMS, {j: points_of(3, j) for j in holders})
    assert b"".join(map(point64, opened)) == HONEST[3].points.points64[: 64 * ROWS]


@pytest.mark.parametrize("holder", PARTIES)
def test_a_right_list_fits_its_scalar_and_an_altered_one_does_not(holder: int) -> None:
    points, w = points_of(3, holder), w_of(3, holder)
    assert fallback.is_good(PARAMS, points, SEED, w)
    assert not fallback.is_good(PARAMS, points, SEED, w + 1)
    assert not fallback.is_good(PARAMS, points, SEED, 0)
    assert not fallback.is_good(PARAMS, points, filled(1), w)
    stranger = parse_points64(decompress(pub(7)))[0]
    for at in range(ROWS + 1):
        assert not fallback.is_good(PARAMS, [*points[:at], stranger, *points[at + 1 :]], SEED, w)
        assert not fallback.is_good(PARAMS, [*points[:at], None, *points[at + 1 :]], SEED, w)


def test_two_lists_swapped_between_holders_fit_nobody() -> None:
    assert not fallback.is_good(PARAMS, points_of(3, 1), SEED, w_of(3, 2))
    assert fallback.hash_of(part(HONEST, 3, 1)) != fallback.hash_of(Parts(SID, 3, 2, part(HONEST, 3, 1).points64))
    assert fallback.hash_of(part(HONEST, 3, 1)) != fallback.hash_of(Parts(SID, 4, 1, part(HONEST, 3, 1).points64))


def test_the_answer_by_hand_hides_behind_the_spare_mask() -> None:
    shares = plain(HONEST, 2, 4).shares
    s = [int.from_bytes(shares[at : at + 32], "big") for at in range(0, len(shares), 32)]
    stream = naive.expand(SEED, 16 * ROWS)
    gamma = [int.from_bytes(stream[at : at + 16], "big") for at in range(0, len(stream), 16)]
    assert w_of(2, 4) == (sum(g * x for g, x in zip(gamma, s, strict=False)) + s[ROWS]) % Q
    other = bytearray(shares)
    other[32 * ROWS + 31] ^= 1
    changed = fallback.answer(PARAMS, Plain(bytes(other), filled(0)), SEED)
    assert changed != fallback.answer(PARAMS, plain(HONEST, 2, 4), SEED), "row B is the mask"


def test_a_share_of_zero_is_the_point_at_infinity_and_stops_nobody() -> None:
    """A dealer may choose f(j) = 0, or f(0) = 0; libsecp256k1 has no such point."""
    assert not is_point(b"\x02" + bytes(32)), "the hash of none is the hash of no point"
    rows = [[0, 5, 7], [Q - 3 * 11 - 9 * 13, 11, 13], [1, 2, 3], [4, 5, 6]]  # f_0(0) = 0, f_1(3) = 0
    plains = {j: Plain(b"".join(evaluate(row, j).to_bytes(32, "big") for row in rows), filled(1)) for j in PARTIES}
    parts = {j: fallback.make_parts(PARAMS, 1, j, plains[j]) for j in PARTIES}
    assert parts[3].points64[64:128] == fallback.INFINITY
    lists = {j: fallback.parse_parts(parts[j].points64) for j in PARTIES}
    for j, points in lists.items():
        w = int.from_bytes(fallback.answer(PARAMS, plains[j], SEED), "big")
        assert points is not None
        assert fallback.is_good(PARAMS, points, SEED, w)
        assert not fallback.is_good(PARAMS, points, SEED, w + 1)
    opened = fallback.interpolate_points(PARAMS, {j: lists[j] or [] for j in (1, 3, 5)})
    assert opened[0] is None
    assert point64(opened[1]) == decompress(pub(rows[1][0]))


def test_lists_of_all_zeros_are_judged_like_others() -> None:
    nothing: list[object] = [None] * (ROWS + 1)
    assert fallback.is_good(PARAMS, nothing, SEED, 0)
    assert not fallback.is_good(PARAMS, nothing, SEED, 1)


def test_a_point_off_the_curve_is_no_list() -> None:
    good = part(HONEST, 2, 4).points64
    for at in (63, 127):
        spoilt = bytearray(good)
        spoilt[at] ^= 2  # same x, same parity: the hash does not notice
        assert fallback.hash_of(Parts(SID, 2, 4, bytes(spoilt))) == fallback.hash_of(part(HONEST, 2, 4))
        assert fallback.parse_parts(bytes(spoilt)) is None


def test_sums_pass_over_the_point_at_infinity_and_take_public_scalars() -> None:
    one, two = (parse_points64(decompress(pub(x)))[0] for x in (1, 2))
    assert point64(small_combination([one, None, two], [3, 9, -1])) == decompress(pub(1))
    assert small_combination([None, None], [1, 2]) is None
    assert point64(scaled(two, 5)) == decompress(pub(10))
    for scalar in (0, Q):
        with pytest.raises(ValueError, match="scalar"):
            scaled(one, scalar)


@settings(deadline=None)
@given(COEFFICIENTS, st.sets(st.sampled_from(range(1, 10)), max_size=2), st.integers(1, Q - 1))
def test_up_to_t_wrong_values_are_corrected(f: list[int], wrong: set[int], by: int) -> None:
    values = {j: (evaluate(f, j) + (by * j if j in wrong else 0)) % Q for j in range(1, 10)}
    found = correct(values, 3, 5)
    assert found is not None
    assert all(value == evaluate(f, j) for j, value in found.items())


def test_too_few_agreeing_values_give_nothing() -> None:
    values = {j: evaluate([1, 2, 3], j) for j in PARTIES}
    assert correct(dict(list(values.items())[:3]), 3, 4) is None
    assert correct({**values, 1: 5, 2: 7}, 3, 4) is None
    assert correct({}, 3, 4) is None
    assert correct({**values, 2: 7}, 3, 4) is not None


@pytest.mark.parametrize("holders", list(combinations([j for j in PARTIES if j != 2], 3)))
def test_any_k_plaintexts_give_the_missing_one(holders: tuple[int, ...]) -> None:
    assert recovery.interpolate_plain({j: plain(HONEST, 4, j) for j in holders}, 2) == plain(HONEST, 4, 2)
