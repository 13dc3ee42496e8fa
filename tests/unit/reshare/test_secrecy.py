"""What k-1 old and k'-1 new members see, with all that is on chain, says nothing about any key or combination of keys.

Everything they see is linear in the secrets: the coefficients of the old sharings f and of what honest dealers drew.
So the question is one of ranks, and the answer holds for every value of the secrets.
"""

from dataclasses import dataclass
from itertools import product
from random import Random

import pytest

from authnet_core.crypto.secp256k1 import Q

K, NEW_K, OLD_N = 3, 3, 5
USERS, INSIDE, OUTSIDE = (0, 1), (2, 3), 4
"""Rows: two users' keys and two kept ones in the batch, and a mask in another batch."""
BATCH = (*USERS, *INSIDE)
Vector = dict[tuple[object, ...], int]


def rank(vectors: list[Vector]) -> int:
    """Gauss over the scalars."""
    found: dict[tuple[object, ...], Vector] = {}
    for vector in vectors:
        vector = {key: value % Q for key, value in vector.items() if value % Q}
        while vector and (pivot := min(vector, key=repr)) in found:
            factor = vector[pivot]
            for key, value in found[pivot].items():
                vector[key] = (vector.get(key, 0) - factor * value) % Q
            vector = {key: value for key, value in vector.items() if value}
        if vector:
            pivot = min(vector, key=repr)
            inverse = pow(vector[pivot], -1, Q)
            found[pivot] = {key: value * inverse % Q for key, value in vector.items()}
    return len(found)


def share(row: int, dealer: int) -> Vector:
    """x_row(dealer)."""
    return {("f", row, c): dealer**c for c in range(K)}


@dataclass(frozen=True)
class Attempt:
    """One resharing of the batch: its challenge, its mask, and what dealers drew for it."""

    number: int
    mask: int

    @property
    def gamma(self) -> list[int]:
        rng = Random(self.number)
        return [rng.getrandbits(128) for _ in BATCH]

    @property
    def rows(self) -> list[tuple[object, int]]:
        """(name of the polynomial, row that is its constant): the mask has one of its own, in the batch or not."""
        return [*((row, row) for row in BATCH), ("mask", self.mask)]

    def drawn(self, dealer: int, name: object, c: int) -> tuple[object, ...]:
        return ("g", self.number, dealer, name, c)

    def reshared(self, dealer: int, receiver: int) -> list[Vector]:
        """g_{dealer,row}(receiver) of every row."""
        return [
            share(row, dealer) | {self.drawn(dealer, name, c): receiver**c for c in range(1, NEW_K)}
            for name, row in self.rows
        ]

    def answered(self, dealer: int, c: int) -> Vector:
        """Coefficient c of u_dealer."""
        total: Vector = {}
        for weight, (name, row) in zip([*self.gamma, 1], self.rows, strict=True):
            part = share(row, dealer) if c == 0 else {self.drawn(dealer, name, c): 1}
            for key, value in part.items():
                total[key] = total.get(key, 0) + weight * value
        return total

    def seen(self, old: range, new: range) -> list[Vector]:
        """By these corrupt old and new members; the test polynomials of all are on chain."""
        dealers = range(1, OLD_N + 1)
        vectors = [vector for j, m in product(dealers, new) for vector in self.reshared(j, m)]
        vectors += [{self.drawn(j, name, c): 1} for j, (name, _), c in product(old, self.rows, range(1, NEW_K))]
        return vectors + [self.answered(j, c) for j, c in product(dealers, range(NEW_K))]


def learnt(old: range, new: range, *attempts: Attempt) -> int:
    """How many independent combinations of users' keys follow from what was seen."""
    vectors = [share(row, j) for row, j in product((*BATCH, OUTSIDE), old)]
    vectors += [vector for attempt in attempts for vector in attempt.seen(old, new)]
    keys: list[Vector] = [{("f", row, 0): 1} for row in USERS]
    return rank(vectors) + len(keys) - rank(vectors + keys)


NOBODY = range(0)
FEW_OLD, FEW_NEW = range(1, K), range(1, NEW_K)


@pytest.mark.parametrize("mask", [OUTSIDE, INSIDE[0]])
def test_k_less_one_old_and_k_less_one_new_learn_nothing(mask: int) -> None:
    assert learnt(FEW_OLD, FEW_NEW, Attempt(1, mask)) == 0


def test_nor_over_several_attempts_each_with_a_mask_of_its_own() -> None:
    attempts = [Attempt(number, mask) for number, mask in enumerate((*INSIDE, OUTSIDE))]
    assert learnt(FEW_OLD, FEW_NEW, *attempts) == 0


@pytest.mark.parametrize(("old", "new"), [(range(1, K + 1), NOBODY), (NOBODY, range(1, NEW_K + 1))])
def test_k_of_either_committee_learn_all(old: range, new: range) -> None:
    """The measure has teeth."""
    assert learnt(old, new, Attempt(1, OUTSIDE)) == len(USERS)


@pytest.mark.parametrize("mask", [OUTSIDE, INSIDE[0]])
def test_a_mask_used_by_enough_attempts_gives_users_keys_away_to_everybody(mask: int) -> None:
    """Each further answer under it is one more equation; kept keys in the batch hide the first few."""
    assert learnt(NOBODY, NOBODY, Attempt(1, mask)) == 0
    repeated = [Attempt(number, mask) for number in range(1, 6)]
    assert learnt(NOBODY, NOBODY, *repeated) == len(USERS)


def test_two_answers_under_one_mask_leak_where_nothing_else_is_kept() -> None:
    """As with a batch whose other masks are burnt: known to be in no use, but known to the ranks here."""
    burnt: list[Vector] = [{("f", row, c): 1} for row, c in product(INSIDE, range(K))]
    twice = [vector for number in (1, 2) for vector in Attempt(number, OUTSIDE).seen(NOBODY, NOBODY)]
    keys: list[Vector] = [{("f", row, 0): 1} for row in USERS]
    assert rank(burnt + twice) + len(keys) - rank(burnt + twice + keys) == 1
