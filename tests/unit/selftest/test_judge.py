"""Sampled keys opened in the exponent: which open, and whose points do not fit."""

from __future__ import annotations

import random
from collections.abc import Iterable
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authnet_core.crypto import shamir
from authnet_core.crypto.points import interpolate
from authnet_core.crypto.secp256k1 import Q, is_point, parse_point, pub, serialize
from authnet_core.protocol.committee import SUPPORTED_SIZES, Committee
from authnet_core.protocol.opening import Sampled, judge, open_key

FIVE = Committee.of(5)


class Key:
    """A shared key: its secret polynomial, and what members say of their shares."""

    def __init__(self, committee: Committee, seed: int = 0, index: int = 0) -> None:
        draw = random.Random(seed)
        self.committee, self.index = committee, index
        self.polynomial = [draw.randrange(1, Q) for _ in range(committee.k)]
        self.shares = {j: shamir.evaluate(self.polynomial, j) for j in range(1, committee.n + 1)}
        self.said = {j: pub(share) for j, share in self.shares.items()}
        self.order = draw.sample(range(1, committee.n + 1), committee.n)

    def shift(self, party: int, by: int) -> None:
        self.said[party] = pub((self.shares[party] + by) % Q)

    @property
    def sampled(self) -> Sampled:
        return Sampled(self.index, pub(self.polynomial[0]), self.said, self.order)


def drop(key: Key, parties: Iterable[int]) -> Key:
    for party in parties:
        del key.said[party]
    return key


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(SUPPORTED_SIZES), st.integers(0, 1 << 32), st.data())
def test_any_k_points_open_under_the_first_of_the_random_order(n: int, seed: int, pick: st.DataObject) -> None:
    committee = Committee.of(n)
    key = drop(Key(committee, seed), pick.draw(st.sets(st.integers(1, n), max_size=n - committee.k)))
    opening = open_key(committee, key.sampled)
    assert (opening.opens, opening.off) == (True, ())
    assert list(opening.subset) == sorted([j for j in key.order if j in key.said][: committee.k])


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(SUPPORTED_SIZES), st.integers(0, 1 << 32), st.data())
def test_up_to_t_wrong_points_are_named_and_the_key_still_opens(n: int, seed: int, pick: st.DataObject) -> None:
    committee = Committee.of(n)
    key = Key(committee, seed)
    liars = pick.draw(st.sets(st.integers(1, n), max_size=committee.t))
    for liar in liars:
        key.shift(liar, pick.draw(st.integers(1, Q - 1)))
    opening = open_key(committee, key.sampled)
    assert opening.opens
    assert set(opening.off) == liars
    assert not liars & set(opening.subset)


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(SUPPORTED_SIZES), st.integers(0, 1 << 32), st.data())
def test_nobody_honest_is_named_for_points_without_a_plan(n: int, seed: int, pick: st.DataObject) -> None:
    """However many are wrong: all but the k that open the key."""
    committee = Committee.of(n)
    key = Key(committee, seed)
    liars = pick.draw(st.sets(st.integers(1, n), max_size=n - committee.k))
    for liar in liars:
        key.shift(liar, pick.draw(st.integers(0, Q - 1)))
    opening = open_key(committee, key.sampled)
    assert opening.opens
    assert set(opening.off) <= liars


@pytest.mark.parametrize(("n", "with_liars"), [(5, (1, 2, 3)), (9, (1, 2, 3, 4, 5))])
def test_liars_whose_errors_cancel_get_nobody_else_named(n: int, with_liars: tuple[int, ...]) -> None:
    """The subset with both of them opens the key, and honest points are off that polynomial. Two are more than t of
    five, so nobody is named there; of nine the polynomial of the seven others shows who lies."""
    committee = Committee.of(n)
    key = Key(committee)
    weights = shamir.lagrange(with_liars)
    key.shift(1, weights[2])
    key.shift(2, -weights[1])
    key.order = [*with_liars, *(j for j in range(1, n + 1) if j not in with_liars)]
    opening = open_key(committee, key.sampled)
    assert opening.opens
    assert (opening.subset, opening.off) == ((with_liars, ()) if committee.t < 2 else ((3, 4, 5, 6, 7), (1, 2)))


def test_what_is_no_point_is_off_and_opens_nothing() -> None:
    key = Key(FIVE)
    junk = next(raw for raw in (b"\x02" + bytes([b]) * 32 for b in range(256)) if not is_point(raw))
    key.said[4] = junk
    opening = open_key(FIVE, key.sampled)
    assert (opening.opens, opening.off) == (True, (4,))


def test_shares_of_another_key_do_not_open_this_one() -> None:
    key, other = Key(FIVE, 1, index=7), Key(FIVE, 2)
    key.said = other.said
    found = judge(3, FIVE, [key.sampled, Key(FIVE, 3, index=9).sampled])
    assert (found.epoch, found.keys, found.wrong, found.off, found.untested) == (3, 2, [7], [], [])
    assert len(found.subsets) == 2
    assert not found.is_good
    assert "keys 7 DO NOT OPEN" in str(found)


def test_who_is_silent_and_who_lacks_shares_is_told_apart() -> None:
    one, two = drop(Key(FIVE, 1, index=1), [5]), drop(Key(FIVE, 2, index=2), [5])
    two.said[4] = b""
    found = judge(2, FIVE, [one.sampled, two.sampled])
    assert (found.wrong, found.off, found.silent, found.lacking) == ([], [], [5], [4])
    assert found.is_good
    assert not found.is_whole
    assert (
        str(found) == "2 sampled keys open under random 3-subsets; no answer: party 5; without shares of some: party 4"
    )


def test_too_few_points_are_no_verdict_while_somebody_is_silent() -> None:
    key = drop(Key(FIVE, 1, index=1), [3, 4, 5])
    found = judge(2, FIVE, [key.sampled])
    assert (found.wrong, found.untested, found.subsets) == ([], [1], [])
    assert not found.is_whole


@pytest.mark.parametrize("third", [b"", b"\x02" + b"\xff" * 32])
def test_a_key_that_all_have_answered_for_and_fewer_than_k_hold_is_wrong(third: bytes) -> None:
    key = Key(FIVE, 1, index=1)
    key.said |= {3: third, 4: b"", 5: b""}
    found = judge(2, FIVE, [key.sampled])
    assert (found.wrong, found.untested, found.subsets) == ([1], [], [])


def test_without_keys_there_is_nothing_to_say() -> None:
    found = judge(1, FIVE, [])
    assert (found.keys, found.is_good, found.is_whole, str(found)) == (0, True, True, "no keys yet")


@pytest.mark.parametrize("n", SUPPORTED_SIZES)
def test_interpolation_in_the_exponent_is_that_of_the_scalars(n: int) -> None:
    committee = Committee.of(n)
    key = Key(committee, n)
    points = {j: parse_point(said) for j, said in key.said.items()}
    for chosen in combinations(points, committee.k):
        for at in range(n + 1):
            found = serialize(interpolate({j: points[j] for j in chosen}, at))
            assert found == pub(shamir.evaluate(key.polynomial, at))
