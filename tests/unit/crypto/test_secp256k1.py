"""Single points and scalars against known values, and what must be refused."""

import pytest

from authnet_core.crypto import secp256k1 as ec

ONE = (1).to_bytes(32, "big")
TWO_G = "02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5"


def test_known_multiples_of_the_generator() -> None:
    assert ec.pub(1) == ec.G33
    assert ec.pub(2).hex() == TWO_G
    assert ec.pub(ec.Q - 1) == ec.negate(ec.G33)


def test_secret_and_public_multiplication_agree() -> None:
    point = ec.pub(0xABCDEF)
    for scalar in (1, 2, 3, 2**128 - 1, ec.Q - 1):
        assert ec.mul_secret(scalar, point) == ec.mul_public(scalar, point) == ec.pub(scalar * 0xABCDEF % ec.Q)


def test_ecdh_is_symmetric_and_gives_the_raw_x() -> None:
    assert ec.ecdh_x(5, ec.pub(7)) == ec.ecdh_x(7, ec.pub(5)) == ec.pub(35)[1:]


def test_compression_round_trip() -> None:
    point = ec.pub(99)
    assert ec.compress(ec.decompress(point)) == point


def test_sums_and_infinity() -> None:
    assert ec.add(ec.G33, ec.G33) == ec.pub(2)
    assert ec.sum_points([ec.pub(i) for i in (1, 2, 3)]) == ec.pub(6)
    assert ec.add(ec.G33, ec.negate(ec.G33)) is None
    assert ec.sum_points([]) is None


@pytest.mark.parametrize("raw", [ec.Q.to_bytes(32, "big"), b"\xff" * 32, b"\x00" * 31, b"\x01" * 33, b""])
def test_scalars_that_are_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match="canonical"):
        ec.parse_scalar(raw)


def test_zero_is_a_scalar_but_no_secret() -> None:
    assert ec.parse_scalar(bytes(32)) == 0
    with pytest.raises(ValueError, match="not zero"):
        ec.pub(0)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        bytes(33),
        b"\x02" + bytes(32),
        b"\x04" + ec.G33[1:],
        b"\x02" + b"\xff" * 32,
        ec.G33 + b"\x00",
        b"\x02" + (5).to_bytes(32, "big"),
        b"\x06" + ec.decompress(ec.G33),
    ],
)
def test_points_that_are_refused(raw: bytes) -> None:
    assert not ec.is_point(raw)
    with pytest.raises(ValueError, match="point"):
        ec.parse_point(raw)
    with pytest.raises(ValueError, match="point"):
        ec.mul_secret(ONE, raw)


def test_a_y_that_is_not_on_the_curve_is_refused() -> None:
    xy = bytearray(ec.decompress(ec.G33))
    xy[63] ^= 2
    with pytest.raises(ValueError, match="point"):
        ec.compress(bytes(xy))


def test_errors_do_not_tell_the_secret() -> None:
    with pytest.raises(ValueError, match="canonical") as caught:
        ec.pub(b"\xff" * 32)
    assert "ff" not in str(caught.value)
