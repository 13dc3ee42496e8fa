"""Bulk points and scalars against one-by-one arithmetic."""

from random import Random

import pytest

from authnet_core.crypto import points, scalars
from authnet_core.crypto.secp256k1 import Q, compress, decompress, negate, pub, serialize


def points_of(secrets: list[int]) -> list[points.Point]:
    return [points.multiply_generator(s.to_bytes(32, "big")) for s in secrets]


@pytest.mark.parametrize("count", [1, 2, 63, 64, 150, 700])
def test_weighted_sum_is_the_sum_of_multiples(count: int) -> None:
    rng = Random(count)
    secrets = [rng.randrange(1, Q) for _ in range(count)]
    weights = [rng.choice([0, 1, 2**128 - 1, rng.getrandbits(128)]) for _ in range(count)]
    total = points.weighted_sum(points_of(secrets), b"".join(w.to_bytes(16, "big") for w in weights))
    expected = sum(s * w for s, w in zip(secrets, weights, strict=True)) % Q
    assert (total is None) == (expected == 0)
    assert total is None or serialize(total) == pub(expected)


@pytest.mark.parametrize("count", [2, 200])
def test_a_weighted_sum_that_vanishes_is_infinity(count: int) -> None:
    pair = points_of([5, Q - 5])
    assert points.weighted_sum(pair * (count // 2), (b"\x07" * 16) * count) is None
    assert points.weighted_sum(pair * (count // 2), bytes(16 * count)) is None


def test_weighted_sum_wants_a_weight_a_point() -> None:
    with pytest.raises(ValueError, match="weight"):
        points.weighted_sum(points_of([1]), bytes(32))


def test_small_combinations() -> None:
    rng = Random(3)
    for _ in range(40):
        count = rng.randint(1, 9)
        secrets = [rng.randrange(1, Q) for _ in range(count)]
        coefficients = [rng.choice([0, 1, -1, 2, -2, 81, -256, rng.randint(-5000, 5000)]) for _ in range(count)]
        total = points.small_combination(points_of(secrets), coefficients)
        expected = sum(s * c for s, c in zip(secrets, coefficients, strict=True)) % Q
        assert total is None if expected == 0 else serialize(total) == pub(expected)
    assert points.small_combination(points_of([3, 3]), [4, -4]) is None
    assert points.small_combination(points_of([3]), [0]) is None


def test_colluders_with_opposite_points_do_not_stop_a_sum() -> None:
    total = points.small_combination(points_of([9, Q - 9, 4]), [1, 1, 1])
    assert serialize(total) == pub(4)


def test_blocks_of_points() -> None:
    block = b"".join(decompress(pub(s)) for s in (1, 2, 3))
    assert [serialize(p) for p in points.parse_points64(block)] == [pub(1), pub(2), pub(3)]
    assert points.compress_block(block) == pub(1) + pub(2) + pub(3)
    assert points.point64(points.parse_points64(block)[1]) == block[64:128]
    assert compress(block[:64]) == pub(1)


def test_one_bad_point_spoils_a_block() -> None:
    good = decompress(pub(1))
    for bad in (bytes(64), b"\xff" * 64, good[:63] + bytes([good[63] ^ 1]), good[:32]):
        with pytest.raises(ValueError, match="point"):
            points.parse_points64(good + bad)


def test_negation_makes_a_new_point() -> None:
    (point,) = points_of([6])
    assert serialize(points.negated(point)) == negate(pub(6))
    assert serialize(point) == pub(6)
    assert points.same(None, None)
    assert not points.same(point, None)


def test_multiply_generator_refuses_what_is_no_secret() -> None:
    for bad in (bytes(32), Q.to_bytes(32, "big"), b"\x01"):
        with pytest.raises(ValueError, match="secret"):
            points.multiply_generator(bad)


@pytest.mark.parametrize("rows", [0, 1, 5, 1024])
def test_inner_product_is_exact(rows: int) -> None:
    rng = Random(rows)
    numbers = [rng.choice([0, Q - 1, 2**256 - 1, rng.getrandbits(256)]) for _ in range(rows + 1)]
    weights = [rng.choice([0, 2**128 - 1, rng.getrandbits(128)]) for _ in range(rows)]
    block = b"".join(n.to_bytes(32, "big") for n in numbers)
    result = scalars.inner_product(b"".join(w.to_bytes(16, "big") for w in weights), block)
    assert result == sum(n * w for n, w in zip(numbers, weights, strict=False)) % Q


def test_inner_product_is_exact_where_float64_would_fail_first() -> None:
    rows = 60_000
    result = scalars.inner_product(b"\xff" * (16 * rows), b"\xff" * (32 * rows))
    assert result == rows * (2**128 - 1) * (2**256 - 1) % Q


def test_inner_product_wants_rows_for_its_weights() -> None:
    with pytest.raises(ValueError, match="weight"):
        scalars.inner_product(bytes(32), bytes(32))
    with pytest.raises(ValueError, match="weight"):
        scalars.inner_product(bytes(15), bytes(32))


@pytest.mark.parametrize(
    ("number", "expected"), [(0, True), (Q - 1, True), (Q, False), (Q + 1, False), (2**256 - 1, False)]
)
def test_canonical_numbers(number: int, expected: bool) -> None:
    block = bytes(32) + number.to_bytes(32, "big") + b"\xff" * 8 + bytes(24)
    assert scalars.is_canonical(block) is expected


def test_a_block_of_odd_length_is_not_canonical() -> None:
    assert not scalars.is_canonical(bytes(31))


def test_blocks_of_numbers() -> None:
    block = scalars.block_of([1, Q + 2, 3])
    assert scalars.rows_of(block) == [1, 2, 3]
    assert scalars.row(block, 2) == 3
    assert scalars.wide_scalars(b"\xff" * 96) == [(2**384 - 1) % Q] * 2
