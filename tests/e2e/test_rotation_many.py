"""Twenty thousand keys change hands, two thousand of them somebody's: not one of them, and no assignment, is lost."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from authnet_core.protocol.views import KeyView, PoolView, SessionsView
from tests.e2e.epoch_shares import all_keys, check_all, nodes_of, read_shares
from tests.e2e.handovers import USERS, addresses, rotate_beside_users
from tests.e2e.key_checks import assign
from tests.e2e.net import Net, wait_for
from tests.e2e.networks import QUICK, temporary

pytestmark = [pytest.mark.soak, pytest.mark.e2e, pytest.mark.timeout(1500)]
KEYS, ASSIGNED = 20_000, 2_000
AT_ONCE = 100
LARGE_POOL = {"pool_low": KEYS - 2 * ASSIGNED, "pool_high": KEYS, "quota": 1_000_000}
"""Assigning so many starts no session: what is there before the hand-over is all there is after it."""


@pytest.fixture(scope="module")
def large() -> Iterator[Net]:
    """Five nodes with all keys made, and the accounts assigned."""
    with temporary(5, LARGE_POOL | QUICK, room=10) as net:
        wait_for("the pool to fill", 120, lambda: _is_full(net), every=1.0)
        nodes = itertools.cycle(net.indexes)
        addresses(net)  # those of the users who are about meanwhile
        with ThreadPoolExecutor(AT_ONCE) as workers:
            list(workers.map(lambda _: assign(net, next(nodes)), range(ASSIGNED - len(USERS))))
        yield net


def _is_full(net: Net) -> bool:
    pool = net.query(1, "/pool", PoolView)
    return pool.free + pool.masks >= KEYS and not net.query(1, "/sessions", SessionsView).open


def test_every_key_and_every_assignment_stays(large: Net) -> None:
    before, shares = all_keys(large), read_shares(large, 1)
    assert len(before) >= KEYS
    assert sum(bool(key.account_id) for key in before) == ASSIGNED
    done = rotate_beside_users(large)
    after = all_keys(large)
    assert list(map(_lasting, after)) == list(map(_lasting, before))
    assert set(done["nodes"]).isdisjoint(nodes_of(large, 1))
    assert check_all(after, read_shares(large, done["epoch"]), shares) == len(before)


def _lasting(key: KeyView) -> tuple[object, ...]:
    """What a hand-over leaves alone. (Some free keys are burnt as masks; no mask becomes a free key.)"""
    return key.index, key.Y, key.N, key.account_id, key.assigned_ms, key.free or key.mask
