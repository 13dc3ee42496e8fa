"""Follows the registry at Ethereum's finalized block.

One cheap call per poll; the contract is read again only when it emitted something, when an announced change falls
due, or when the past is not what it was (a re-organisation below finalized, an Ethereum node that lost its state).
And now and then without a reason: a node behind a balancer may answer for a block whose logs it does not have yet.
Nothing that Ethereum does ends this process.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio

from authnet_core.errors import AuthnetError, Code
from authnet_runtime.ethereum import BlockRef
from authnet_runtime.logs import get_logger
from authnet_runtime.registry import Registry, Snapshot
from epoch_manager.files import Journal, load_journal, store_journal
from epoch_manager.status import Status

MAX_BACKOFF = 8
"""An Ethereum node that does not answer is asked at most this many times more seldom."""
MAX_LOG_RANGE = 1_000
"""Above this many blocks reading the contract is cheaper than asking for its logs."""
READ_EVERY = 300
"""Blocks, an hour on Ethereum, after which the contract is read though nothing was heard of it."""
STORE_EVERY = 64
"""Blocks between two writes of the stored block while the registry is silent."""
_log = get_logger("watcher")

Check = Callable[[], Awaitable[None]]
Sink = Callable[[Snapshot], Awaitable[None]]


class Watcher:
    """`run` forever; each new snapshot goes to `sink`. The stored block lies in `journal_path`."""

    def __init__(self, registry: Registry, check: Check, journal_path: Path, status: Status, sink: Sink) -> None:
        """`check` raises if the contract is not the one this node is configured for."""
        self._registry = registry
        self._eth = registry.ethereum
        self._check = check
        self._journal_path = journal_path
        self._journal = load_journal(journal_path, registry.address)
        self._status = status
        self._sink = sink
        self._on_disk = 0
        self._snapshot: Snapshot | None = None

    async def run(self, poll_s: float) -> None:
        """Poll until cancelled."""
        pause = poll_s
        while True:
            try:
                await self.poll()
                self._status.clear("ethereum")
                pause = poll_s
            except AuthnetError as problem:
                self._note(problem)
                pause = min(pause * 2, poll_s * MAX_BACKOFF)
            await anyio.sleep(pause)

    async def poll(self) -> None:
        """Look once. Raises AuthnetError for whatever keeps it from knowing the registry."""
        finalized = await self._eth.block("finalized")
        if finalized is None:
            raise AuthnetError(Code.UNAVAILABLE, "Ethereum has no finalized block yet")
        self._status.saw_block(finalized)
        stored = self._journal
        if self._snapshot is not None and stored is not None and finalized.hash == stored.hash:
            return
        if not await self._must_read(stored, finalized):
            await self._remember(finalized, to_disk=False)
            return
        snapshot = await self._registry.snapshot(finalized)
        await self._remember(finalized, to_disk=True)
        self._status.saw_snapshot(snapshot)
        self._snapshot = snapshot
        await self._sink(snapshot)

    async def _must_read(self, stored: Journal | None, finalized: BlockRef) -> bool:
        """Whether the contract may say something new at `finalized`. Notices a changed past."""
        if stored is not None and not await self._is_same_past(stored, finalized):
            self._snapshot = self._journal = None
        if self._snapshot is None or self._journal is None:
            await self._check()
            return True
        first = self._journal.number + 1
        if finalized.number - first >= MAX_LOG_RANGE or finalized.time_s >= self._snapshot.next_due_s:
            return True
        if finalized.number - self._snapshot.block.number >= READ_EVERY:
            return True
        return finalized.number >= first and await self._registry.has_changed(first, finalized.number)

    async def _is_same_past(self, stored: Journal, finalized: BlockRef) -> bool:
        """Whether the stored block still is what it was; says so in the log if not."""
        if (finalized.number, finalized.parent) == (stored.number + 1, stored.hash):
            return True
        if finalized.number >= stored.number:
            block = finalized if finalized.number == stored.number else await self._eth.block(stored.number)
            if block is not None and block.hash == stored.hash:
                return True
        if await self._first_hash() != stored.first_hash:
            why = "reset"
        elif finalized.number < stored.number:
            # A node that lags behind, as one of several behind a balancer does: wait for it.
            raise AuthnetError(Code.UNAVAILABLE, f"Ethereum's node is behind: finalized block {finalized.number}")
        else:
            why = "reorg"
        self._status.rescan(why)
        _log.error("ethereum.past_changed", why=why, stored=stored.number, finalized=finalized.number)
        return False

    async def _remember(self, finalized: BlockRef, *, to_disk: bool) -> None:
        """Move the stored block up; on disk only now and then, as an older one serves as well."""
        first_hash = self._journal.first_hash if self._journal else await self._first_hash()
        self._journal = Journal(
            registry=self._registry.address, first_hash=first_hash, number=finalized.number, hash=finalized.hash
        )
        if to_disk or finalized.number - self._on_disk >= STORE_EVERY:
            store_journal(self._journal_path, self._journal)
            self._on_disk = finalized.number

    async def _first_hash(self) -> str:
        first = await self._eth.block(0)
        return first.hash if first is not None else ""

    def _note(self, problem: AuthnetError) -> None:
        if problem.code is Code.UNAVAILABLE:
            self._status.lost_ethereum(problem)
        else:
            self._status.report("ethereum", problem)
