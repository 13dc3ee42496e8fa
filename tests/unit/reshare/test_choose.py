"""Q' and blame: pure functions of what is on chain."""

from itertools import combinations
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authnet_core.crypto.secp256k1 import Q, pub
from authnet_core.crypto.shamir import evaluate, lagrange
from authnet_core.protocol.committee import Committee
from authnet_core.protocol.reshare.choose import choose_q, fits, liars, seeded_order

RID = bytes(range(32))
NINE = Committee.of(9)


def line(k: int, n: int, seed: int = 1) -> tuple[dict[int, int], bytes]:
    """(u_j(0) of n honest dealers, M)."""
    rng = Random(seed)
    f = [rng.randrange(1, Q) for _ in range(k)]
    return {j: evaluate(f, j) for j in range(1, n + 1)}, pub(f[0])


def off(values: dict[int, int], *dealers: int) -> dict[int, int]:
    """With errors that do not cancel each other in any W(0)."""
    return {j: value + (j in dealers) * 1_000_003**j for j, value in values.items()}


def test_errors_that_cancel_change_no_key_and_are_named_all_the_same() -> None:
    """Two liars may choose errors that some Q' hides: then the secret is the old one, and both are off the line."""
    values, total = line(5, 9)
    chosen = tuple(sorted(seeded_order(RID, values)[:5]))
    first, second = chosen[0], chosen[1]
    weights = lagrange(chosen)
    spoilt = {**values, first: values[first] + weights[second], second: values[second] - weights[first]}
    assert choose_q(RID, spoilt, spoilt, total, 5) == chosen
    assert liars(spoilt, NINE.k, NINE.t) == (first, second)


def test_the_first_k_in_seeded_order_count() -> None:
    values, total = line(5, 9)
    assert choose_q(RID, values, values, total, 5) == tuple(sorted(seeded_order(RID, values)[:5]))


@pytest.mark.parametrize("wrong", [(1,), (4, 9), (1, 2, 3, 4)])
def test_q_is_the_first_in_order_without_a_liar(wrong: tuple[int, ...]) -> None:
    values, total = line(5, 9)
    expected = next(c for c in combinations(seeded_order(RID, values), 5) if not set(c) & set(wrong))
    assert choose_q(RID, values, off(values, *wrong), total, 5) == tuple(sorted(expected))


def test_only_candidates_count() -> None:
    values, total = line(5, 9)
    candidates = [2, 3, 5, 7, 9]
    assert choose_q(RID, candidates, values, total, 5) == (2, 3, 5, 7, 9)
    assert choose_q(RID, candidates[:4], values, total, 5) == ()


def test_no_q_when_all_agree_on_another_key() -> None:
    values, _ = line(5, 9)
    _, total = line(5, 9, seed=2)
    assert choose_q(RID, values, values, total, 5) == ()
    assert choose_q(RID, values, values, b"", 5) == ()


def test_another_rid_is_another_order() -> None:
    assert len({tuple(seeded_order(bytes([i]) * 32, range(1, 10))) for i in range(20)}) == 20


def test_who_is_off_the_line_of_k_plus_t_is_named() -> None:
    values, _ = line(5, 9)
    assert liars(values, NINE.k, NINE.t) == ()
    assert liars(off(values, 3), NINE.k, NINE.t) == (3,)
    assert liars(off(values, 3, 8), NINE.k, NINE.t) == (3, 8)


def test_nobody_is_named_without_k_plus_t_that_agree() -> None:
    """k liars fit a polynomial of their own, so with fewer honest ones it is open who lies."""
    values, _ = line(5, 9)
    other, _ = line(5, 9, seed=2)
    assert liars({**values, **{j: other[j] for j in (1, 2, 3)}}, NINE.k, NINE.t) == ()
    assert liars({j: values[j] for j in range(1, 7)}, NINE.k, NINE.t) == ()


@settings(deadline=None, max_examples=25)
@given(st.data())
def test_up_to_t_liars_are_named_and_no_key_changes(data: st.DataObject) -> None:
    committee = Committee.of(data.draw(st.sampled_from((5, 6, 9))))
    values, total = line(committee.k, committee.n, data.draw(st.integers(0, 99)))
    wrong = data.draw(st.sets(st.integers(1, committee.n), max_size=committee.t))
    spoilt = off(values, *wrong)
    assert set(liars(spoilt, committee.k, committee.t)) == wrong
    q = choose_q(RID, spoilt, spoilt, total, committee.k)
    assert len(q) == committee.k
    assert not set(q) & wrong


def test_a_sum_of_zero_fits_nothing() -> None:
    assert not fits({1: 0, 2: 0, 3: 0}, b"")
