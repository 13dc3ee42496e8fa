"""One self-test: keys drawn among all that an epoch holds, points asked of every fellow at once, keys opened in the
exponent. Secret keys are made nowhere."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Protocol

import trio
from anyio import to_thread

from authnet_core.protocol.committee import Committee
from authnet_core.protocol.opening import Sampled, judge
from authnet_core.protocol.selftest import SelfTest
from authnet_core.protocol.views import EpochView, KeyView, PoolView
from p2p_dkg.keystore.shares import BatchIndex, Queries
from p2p_dkg.selftest.points import PointDesk

PAUSE_S = 1.5
"""From one test to the next: fellows answer one ask a second."""
_DRAWN_PER_KEY = 4
"""Candidates for each key wanted: masks and keys that came later are passed over."""


class Fellows(Protocol):
    """The part of Mesh that is used here."""

    async def ask_points(self, epoch: int, indexes: Sequence[int]) -> dict[int, tuple[bytes, ...]]:
        """Party index -> its points of these keys."""


class SelfTester:
    """One at a time."""

    def __init__(self, chain: Queries, desk: PointDesk, batches: BatchIndex, fellows: Fellows) -> None:
        self._chain, self._desk, self._batches, self._fellows = chain, desk, batches, fellows
        self._random = random.SystemRandom()
        self._lock = trio.Lock()
        self._next = 0.0

    async def run(self, view: EpochView, sample: int) -> SelfTest:
        """Test `sample` keys of an epoch, fewer if there are not so many.

        Raises AuthnetError: NOT_A_MEMBER, WRONG_EPOCH, UNAVAILABLE, KEYSTORE_DAMAGED.
        """
        async with self._lock:
            await trio.sleep_until(self._next)
            self._next = trio.current_time() + PAUSE_S
            me = self._desk.require_place(view.epoch)
            keys = await self._draw(view.epoch, sample)
            indexes = [key.index for key in keys]
            said = {me: await self._desk.own(view.epoch, indexes)}
            if keys:
                said |= await self._fellows.ask_points(view.epoch, indexes)
        committee = Committee(view.n, view.k, view.t)
        sampled = [
            Sampled(key.index, bytes.fromhex(key.Y), {j: points[at] for j, points in said.items()}, self._order(view.n))
            for at, key in enumerate(keys)
        ]
        return await to_thread.run_sync(judge, view.epoch, committee, sampled)

    async def _draw(self, epoch: int, sample: int) -> list[KeyView]:
        """Random keys in the order of their indexes: no masks, and only such that the epoch's members were given."""
        pool = await self._chain.query("/pool", PoolView)
        made = pool.free + pool.assigned + pool.masks if pool is not None else 0
        found: list[KeyView] = []
        for index in self._random.sample(range(made), min(made, _DRAWN_PER_KEY * sample)):
            key = await self._chain.query(f"/key/{index}", KeyView)
            if key is None or key.mask or await self._batches.place_of(epoch, key) is None:
                continue
            found.append(key)
            if len(found) == sample:
                break
        return sorted(found, key=lambda key: key.index)

    def _order(self, n: int) -> list[int]:
        return self._random.sample(range(1, n + 1), n)
