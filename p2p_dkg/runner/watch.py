"""The newest block this keeper knows, who waits for the next one, and the fork guard (architecture.md section 1).

A keeper remembers the newest block it acted on. If its chain shows another block at that height it stops: with
committee sizes 5, 6 and 9 that takes k double signers.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import anyio
from anyio import to_thread

from authnet_core.errors import AuthnetError, Code
from authnet_runtime.chain import BlockNote, ChainReader
from authnet_runtime.comet import CometRpc
from authnet_runtime.logs import get_logger
from p2p_dkg.keystore.store import Keystore, SeenBlock

REMEMBER_EVERY_S = 20.0
_RECHECK_S = 2.0
_log = get_logger("chain")


def fork_error(height: int) -> AuthnetError:
    """The refusal that stops a keeper."""
    return AuthnetError(Code.FORK_SEEN, f"the chain shows another block at height {height} than it did before")


def header_time_ms(text: str) -> int:
    """Milliseconds of an RFC 3339 time with up to nine digits after the point."""
    whole, _, fraction = text.rstrip("Z").partition(".")
    seconds = int(datetime.fromisoformat(whole + "+00:00").timestamp())
    return seconds * 1000 + int((fraction + "000")[:3])


class ChainWatch:
    """Feeds block notes to those who wait. `newest` is None until the chain is there."""

    def __init__(self, chain: ChainReader, keystore: Keystore) -> None:
        self._chain, self._keystore = chain, keystore
        self._changed = anyio.Event()
        self._remembered_at = 0.0
        self.newest: BlockNote | None = None
        self.received_at = 0.0
        self.listeners: list[Callable[[BlockNote], None]] = []

    async def run(self) -> None:
        """Follow block notes until cancelled. Raises AuthnetError(FORK_SEEN)."""
        async for note in self._chain.blocks():
            self._guard(note)
            self.newest, self.received_at = note, time.monotonic()
            for listener in self.listeners:
                listener(note)
            changed, self._changed = self._changed, anyio.Event()
            changed.set()

    @property
    def is_behind(self) -> bool:
        """Whether the chain shown is older than what this keeper acted on: then it acts on nothing."""
        seen, newest = self._keystore.seen, self.newest
        return seen is not None and (newest is None or newest.height < seen.height)

    async def next_block(self) -> BlockNote:
        """Wait for the next note."""
        while True:
            await self._changed.wait()
            if self.newest is not None:
                return self.newest

    async def first(self) -> BlockNote:
        """The newest block, waiting for the first one."""
        return self.newest if self.newest is not None else await self.next_block()

    async def remember(self, note: BlockNote, *, acting: bool) -> None:
        """Store `note` as acted on; when nothing is acted on, a few times a minute is enough."""
        seen, now = self._keystore.seen, time.monotonic()
        if seen is not None and seen.height >= note.height:
            return
        if not acting and now - self._remembered_at < REMEMBER_EVERY_S:
            return
        self._remembered_at = now
        await to_thread.run_sync(self._keystore.see, SeenBlock(note.height, note.time_ms, note.app_hash))

    async def check_history(self, comet: CometRpc) -> None:
        """Compare the block remembered from an earlier life with what CometBFT has. Raises FORK_SEEN."""
        seen = self._keystore.seen
        if seen is None:
            return
        while True:
            note = await self.first()
            if note.height == seen.height:
                return  # compared when it came in
            if note.height > seen.height and await self._agrees(comet, seen):
                return
            if note.height < seen.height:
                _log.warning("chain.behind_memory", height=note.height, remembered=seen.height)
            await anyio.sleep(_RECHECK_S)

    def _guard(self, note: BlockNote) -> None:
        seen = self._keystore.seen
        shown = (note.time_ms, note.app_hash)
        if seen is not None and seen.height == note.height and (seen.time_ms, seen.app_hash) != shown:
            raise fork_error(note.height)
        newest = self.newest
        if newest is not None and newest.height == note.height and (newest.time_ms, newest.app_hash) != shown:
            raise fork_error(note.height)

    async def _agrees(self, comet: CometRpc, seen: SeenBlock) -> bool:
        try:
            at: dict[str, Any] = (await comet.get("header", {"height": str(seen.height)}))["header"]
            after: dict[str, Any] = (await comet.get("header", {"height": str(seen.height + 1)}))["header"]
        except AuthnetError as refusal:
            return refusal.code is Code.BAD_PARAMS  # pruned there: nothing left to compare with
        if header_time_ms(at["time"]) != seen.time_ms or after["app_hash"].lower() != seen.app_hash.lower():
            raise fork_error(seen.height)
        return True
