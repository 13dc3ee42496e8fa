"""A MODEL of one height of Tendermint: equal powers, rounds, locks, validators that sign whatever they are asked to.

What it answers: can d double signers make two commits of one height, however the network splits the honest? Honest
validators follow the rules of "The latest gossip on BFT consensus" (Buchman, Kwon, Milosevic, 2018), algorithm 1:
one prevote and one precommit a round, a precommit only on a quorum of prevotes, and then a lock that only a later
quorum of prevotes lifts. The adversary decides who sees which proposal, which votes, and when: all of it is tried.
Honest validators differ by their lock alone, so a state counts them by lock, and the search is exhaustive.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product

VALUES = ("A", "B")
"""The two blocks that the adversary wants committed at one height."""
FREE = ("", -1)
Lock = tuple[str, int]
"""The value a validator is locked on, and since which round."""
Crowd = tuple[tuple[Lock, int], ...]
"""How many honest validators have which lock, sorted."""


def quorum(n: int) -> int:
    """The smallest number of equal votes that is more than two thirds."""
    return next(votes for votes in range(n + 1) if 3 * votes > 2 * n)


@dataclass(frozen=True)
class Rules:
    """`locks` False takes the lock out of the protocol: the test of the test."""

    n: int
    traitors: int
    locks: bool = True

    @property
    def honest(self) -> int:
        return self.n - self.traitors

    @property
    def wanted(self) -> int:
        """Honest votes that make a quorum together with all traitors'."""
        return max(0, quorum(self.n) - self.traitors)


def one_round_forks(n: int, traitors: int) -> list[tuple[str, ...]]:
    """Every way the honest may vote in one round (A, B or neither) that makes a quorum for both with the traitors."""
    rules = Rules(n, traitors)
    splits = product(("A", "B", "-"), repeat=rules.honest)
    return [split for split in splits if all(split.count(value) >= rules.wanted for value in VALUES)]


def can_fork(rules: Rules, rounds: int) -> bool:
    """Whether some schedule of so many rounds commits both values."""
    start: Crowd = ((FREE, rules.honest),)
    seen: set[tuple[Crowd, frozenset[tuple[str, int]], frozenset[str]]] = set()
    states = {(start, frozenset[tuple[str, int]](), frozenset[str]())}
    for number in range(rounds):
        following = set()
        for crowd, polkas, committed in states:
            for polka in _polkas(rules, crowd, polkas, number):
                marks = polkas | {(value, number) for value in polka}
                for after, commits in _precommits(rules, crowd, polka, number):
                    both = committed | commits
                    if len(both) == len(VALUES):
                        return True
                    following.add((after, marks, both))
        states = following - seen
        seen |= following
    return False


def _polkas(rules: Rules, crowd: Crowd, polkas: frozenset[tuple[str, int]], number: int) -> Iterator[tuple[str, ...]]:
    """The sets of values that can get a quorum of prevotes in this round."""
    may = {lock: {v for v in VALUES if _may_prevote(rules, lock, v, polkas, number)} for lock, _ in crowd}
    only = {v: sum(count for lock, count in crowd if may[lock] == {v}) for v in VALUES}
    either = sum(count for lock, count in crowd if len(may[lock]) == len(VALUES))
    yield ()
    for value in VALUES:
        if only[value] + either >= rules.wanted:
            yield (value,)
    if sum(max(0, rules.wanted - only[v]) for v in VALUES) <= either:
        yield VALUES


def _may_prevote(rules: Rules, lock: Lock, value: str, polkas: frozenset[tuple[str, int]], number: int) -> bool:
    """Lines 22 and 28 of the algorithm: not locked, locked on this value, or shown a later polka for it."""
    held, since = lock
    if not rules.locks or held in ("", value):
        return True
    return any(v == value and since <= at < number for v, at in polkas)


def _precommits(
    rules: Rules, crowd: Crowd, polka: tuple[str, ...], number: int
) -> Iterator[tuple[Crowd, frozenset[str]]]:
    """Every way the honest may precommit: each one value of which it was shown a polka, or nil. Locks follow."""
    for parts in product(*(list(_shares(count, len(polka))) for _, count in crowd)):
        after: dict[Lock, int] = {}
        given = dict.fromkeys(VALUES, 0)
        for (lock, count), chosen in zip(crowd, parts, strict=True):
            for value, some in zip(polka, chosen, strict=True):
                given[value] += some
                after[value, number] = after.get((value, number), 0) + some
            after[lock] = after.get(lock, 0) + count - sum(chosen)
        commits = frozenset(v for v in polka if given[v] >= rules.wanted)
        yield tuple(sorted((lock, count) for lock, count in after.items() if count)), commits


@cache
def _shares(count: int, parts: int) -> tuple[tuple[int, ...], ...]:
    """All ways to give up to `count` votes to so many values."""
    return tuple(some for some in product(range(count + 1), repeat=parts) if sum(some) <= count)
