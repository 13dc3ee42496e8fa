"""What the door knows of the chain: typed reads over read.sock, and small caches kept honest by block notes.

A block with events drops every cached record, and so does a reconnect; five seconds drop it anyway. Reads
nothing but read.sock.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import quote

import anyio

from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.views import (
    AccountView,
    EpochView,
    KeyView,
    StatusView,
    VerifierView,
)
from authnet_runtime.chain import BlockNote, ChainReader

T = TypeVar("T")
CACHE_S = 5.0
CACHE_ENTRIES = 256
NEW_KEY_MS = 10_000
"""An account counts as new for this much block time (retrieval.md section 1)."""
LATE_S, STILL_S = 30.0, 10.0


class ChainView:
    """Use as an async context manager."""

    def __init__(self, read_sock: Path) -> None:
        self._reader = ChainReader(read_sock)
        self._stack = AsyncExitStack()
        self._cache: dict[str, tuple[float, Any]] = {}
        self._generation = 0
        self.newest: BlockNote | None = None
        self.heard_at = 0.0
        """Monotonic time of the newest block note."""
        self.late_s = 0.0
        """How long after its own time the newest block was heard of."""

    async def __aenter__(self) -> ChainView:
        await self._stack.enter_async_context(self._reader)
        group = await self._stack.enter_async_context(anyio.create_task_group())
        self._stack.callback(group.cancel_scope.cancel)
        group.start_soon(self._follow)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(kind, error, trace)

    async def _follow(self) -> None:
        async for note in self._reader.blocks():
            # A note that is no successor of the last one comes after a reconnect: anything may have happened.
            gap = self.newest is None or note.height != self.newest.height + 1
            self.newest, self.heard_at = note, time.monotonic()
            self.late_s = time.time() - note.time_ms / 1000
            if note.events or gap:
                self._generation += 1
                self._cache.clear()

    @property
    def height(self) -> int:
        """Height of the newest block heard of; 0 before the first."""
        return self.newest.height if self.newest else 0

    @property
    def is_in_the_past(self) -> bool:
        """Whether blocks keep coming that were made long ago. CometBFT says that it has caught up when it fetches them
        by consensus. A chain that stands still is as new as it gets."""
        return self.late_s > LATE_S and time.monotonic() - self.heard_at < STILL_S

    def is_new(self, assigned_ms: int) -> bool:
        """Whether a key was assigned within the last ten seconds of block time: replicated state decides."""
        return self.newest is None or self.newest.time_ms - assigned_ms < NEW_KEY_MS

    async def status(self) -> StatusView:
        return await self._cached("status", lambda: self._present("/status", StatusView))

    async def serving_epoch(self) -> EpochView:
        """The committee that serves now: the former one while the current one's interval has not begun.

        By this node's clock, as its keeper: blocks of an idle chain are seconds apart.
        """
        current = await self._cached("epoch", lambda: self._present("/epoch/current", EpochView))
        if time.time() * 1000 >= current.serving_from_ms:
            return current
        return await self._cached("serving", lambda: self._present("/epoch/serving", EpochView))

    async def verifier(self, name: str) -> VerifierView:
        """Raises VERIFIER_UNKNOWN for a name that no record has, or whose record was removed."""
        if not 0 < len(name) <= 64 or not all(c.isascii() and (c.isalnum() or c in "-._") for c in name):
            raise AuthnetError(Code.VERIFIER_UNKNOWN, "verifier not supported")
        record = await self._cached(f"verifier/{name}", lambda: self._reader.query(f"/verifier/{name}", VerifierView))
        if record is None or record.removed:
            raise AuthnetError(Code.VERIFIER_UNKNOWN, "verifier not supported")
        return record

    async def key_of(self, account_id: bytes, curve: str) -> KeyView | None:
        """The account's first key of `curve`: one query, never cached."""
        path = f"/account/{account_id.hex()}?curve={quote(curve)}"
        found = await self._reader.query(path, AccountView)
        return next((key for key in found.keys if key.curve == curve), None) if found else None

    async def key_by_pub(self, point: bytes) -> KeyView | None:
        return await self._reader.query(f"/key/by-pub/{point.hex()}", KeyView)

    async def metrics(self) -> str:
        """The Prometheus text of abci_app."""
        return await self._reader.metrics()

    async def _present(self, path: str, kind: type[T]) -> T:
        value = await self._reader.query(path, kind)
        if value is None:
            raise AuthnetError(Code.UNAVAILABLE, f"the chain has no {path} yet")
        return value

    async def _cached(self, name: str, read: Callable[[], Awaitable[T]]) -> T:
        now = time.monotonic()
        found = self._cache.get(name)
        if found is not None and now - found[0] < CACHE_S:
            value: T = found[1]
            return value
        generation = self._generation
        value = await read()
        # An answer that a newer block overtook is used once and not kept; nor are absent names, which are
        # the client's choice and could fill the table.
        if value is not None and generation == self._generation:
            if len(self._cache) >= CACHE_ENTRIES:
                self._cache.clear()
            self._cache[name] = (now, value)
        return value
