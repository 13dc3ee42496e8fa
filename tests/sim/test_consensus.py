"""Who can make two commits of one height: k-1 double signers can not at 5, 6 and 9 nodes; they can at 7; k can.

And what a keeper does that is shown both: the real guard, on a real keystore, with the model's two blocks.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from math import comb
from pathlib import Path
from typing import Any

import pytest
import trio

from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.committee import SUPPORTED_SIZES, Committee
from authnet_runtime.chain import BlockNote
from p2p_dkg.keystore.store import Keystore, SeenBlock, open_keystore
from p2p_dkg.runner.watch import ChainWatch
from tests.sim.consensus_model import Rules, can_fork, one_round_forks, quorum

ROUNDS = 4
SIZES = sorted(SUPPORTED_SIZES)


@pytest.mark.parametrize("n", SIZES)
def test_the_chains_quorum_is_that_of_the_protocol(n: int) -> None:
    assert quorum(n) == Committee.of(n).quorum == n - Committee.of(n).t


@pytest.mark.parametrize("n", SIZES)
def test_k_minus_one_double_signers_make_no_two_commits_in_one_round_however_the_honest_split(n: int) -> None:
    for traitors in range(Committee.of(n).k):
        assert one_round_forks(n, traitors) == []


@pytest.mark.parametrize("n", SIZES)
def test_k_minus_one_double_signers_make_no_two_commits_over_rounds_with_locks(n: int) -> None:
    assert not can_fork(Rules(n, Committee.of(n).k - 1), ROUNDS)


@pytest.mark.parametrize("n", SIZES)
def test_k_double_signers_can_fork_a_supported_size(n: int) -> None:
    k = Committee.of(n).k
    assert can_fork(Rules(n, k), 1)
    splits = one_round_forks(n, k)
    assert splits
    # The honest fall into halves whose votes, with the traitors', reach a quorum on both sides.
    assert all(split.count(side) + k >= quorum(n) for split in splits for side in "AB")


def test_at_seven_nodes_k_minus_one_can_fork_and_therefore_seven_is_not_supported() -> None:
    k = Committee.of(7).k
    assert 7 not in SUPPORTED_SIZES
    assert one_round_forks(7, k - 2) == []
    # Two honest for A, two for B, three traitors: five of seven on either side.
    assert len(one_round_forks(7, k - 1)) == comb(4, 2)
    assert can_fork(Rules(7, k - 1), 1)


def test_the_supported_sizes_are_those_that_fewer_than_k_can_not_fork() -> None:
    safe = {n for n in range(5, 14) if not can_fork(Rules(n, Committee.of(n).k - 1), 2)}
    assert safe == set(SUPPORTED_SIZES)


@pytest.mark.parametrize("n", SIZES)
def test_the_model_needs_the_locks(n: int) -> None:
    """The test of the model: without the lock the same traitors commit A in one round and B in the next."""
    assert can_fork(Rules(n, Committee.of(n).k - 1, locks=False), 2)


# -- the keeper that meets a fork


class Notes:
    """What abci_app pushes: a list, then silence."""

    def __init__(self, *notes: BlockNote) -> None:
        self._notes = notes

    async def blocks(self) -> AsyncIterator[BlockNote]:
        for note in self._notes:
            yield note


def branch(side: str, *heights: int) -> list[BlockNote]:
    """Blocks 1 to 4 are common; from 5 on the two sides differ in their state, not in their times."""
    return [BlockNote(h, 1000 * h, "common" if h < 5 else side) for h in heights]


def opened(folder: Path) -> Keystore:
    passphrase = folder / "passphrase"
    passphrase.write_text("x")
    passphrase.chmod(0o600)
    return open_keystore(folder / "keeper", "test", passphrase, 2)


def shown(keystore: Keystore, *notes: BlockNote) -> ChainWatch:
    chain: Any = Notes(*notes)
    watch = ChainWatch(chain, keystore)
    trio.run(watch.run)
    return watch


def stopped_by(keystore: Keystore, *notes: BlockNote) -> None:
    with pytest.raises(AuthnetError) as caught:
        shown(keystore, *notes)
    assert caught.value.code is Code.FORK_SEEN


@pytest.mark.parametrize("n", SIZES)
def test_a_keeper_on_one_side_of_a_fork_of_k_stops_when_it_meets_the_other_and_stays_stopped(
    tmp_path: Path, n: int
) -> None:
    split = one_round_forks(n, Committee.of(n).k)[0]
    sides = sorted(set(split) - {"-"})
    assert sides == ["A", "B"], "both commits are there"
    keystore = opened(tmp_path)
    shown(keystore, *branch("A", 4, 5))
    keystore.see(SeenBlock(5, 5000, "A"))
    stopped_by(opened(tmp_path), *branch("B", 4, 5))
    # After that no chain makes it go on: not the first side either, and not one that looks harmless.
    for notes in (branch("A", 5, 6), branch("B", 6, 7), branch("A", 4)):
        stopped_by(opened(tmp_path), *notes)


def test_a_fork_at_a_height_that_was_seen_but_not_acted_on_is_not_forgotten_by_a_restart(tmp_path: Path) -> None:
    keystore = opened(tmp_path)
    keystore.see(SeenBlock(3, 3000, "common"))
    stopped_by(keystore, *branch("A", 3, 4, 5), *branch("B", 5))
    stopped_by(opened(tmp_path), *branch("B", 3, 4, 5, 6))
