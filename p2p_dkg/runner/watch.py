"""The newest block this keeper knows, who waits for the next one, and the fork guard (architecture.md section 1).

A keeper remembers the newest block it acted on. If its chain ever shows another block at that height it stops, and
no restart makes it go on: with committee sizes 5, 6 and 9 a fork takes k double signers. A chain that does not follow
block by block from what was remembered is compared with CometBFT's headers before anything is done on it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import anyio
import anyio.lowlevel
from anyio import to_thread

from authnet_core.errors import AuthnetError, Code
from authnet_runtime.chain import BlockNote, ChainReader
from authnet_runtime.comet import CometRpc
from authnet_runtime.logs import get_logger
from p2p_dkg.keystore.store import Fork, Keystore, SeenBlock

REMEMBER_EVERY_S = 20.0
SETTLE_S = 8.0
"""Longest wait for the block after. An idle chain makes one at once when the state has changed."""
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
        self._writing = anyio.Lock()
        self._remembered_at = 0.0
        self._compared = keystore.seen is None
        """Whether `newest` is known to continue what is remembered."""
        self._jumps = 0
        self.newest: BlockNote | None = None
        self.received_at = 0.0
        self.listeners: list[Callable[[BlockNote], None]] = []

    async def run(self) -> None:
        """Follow block notes until cancelled. Raises AuthnetError(FORK_SEEN)."""
        self.require_no_fork()
        async for note in self._chain.blocks():
            await self._take(note)

    async def compare(self, comet: CometRpc) -> None:
        """After each jump of the chain compare it with what is remembered, until cancelled. Raises FORK_SEEN."""
        while True:
            await self.check_history(comet)
            await self.next_block()

    def require_no_fork(self) -> None:
        """Raise FORK_SEEN if this keeper ever met a fork, in whichever life."""
        fork = self._keystore.fork
        if fork is not None:
            raise fork_error(fork.height)

    @property
    def is_behind(self) -> bool:
        """Whether the chain shown is older than what this keeper acted on, or not known to continue it: then it
        acts on nothing."""
        seen, newest = self._keystore.seen, self.newest
        if seen is None:
            return False
        return newest is None or newest.height < seen.height or not self._compared

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
        async with self._writing:
            seen, now = self._keystore.seen, time.monotonic()
            if seen is not None and seen.height >= note.height:
                return
            if not acting and now - self._remembered_at < REMEMBER_EVERY_S:
                return
            self._remembered_at = now
            await to_thread.run_sync(self._keystore.see, SeenBlock(note.height, note.time_ms, note.app_hash))

    async def stand_on(self, height: int) -> bool:
        """Remember the block of `height`, or a later one, before something is done that rests on it.

        A state may be read a moment before its note comes. False if there is no standing on this chain now.
        """
        await anyio.lowlevel.checkpoint()  # a note of another chain that came in with the state is taken first
        with anyio.move_on_after(_RECHECK_S):
            while self.newest is None or self.newest.height < height:
                await self.next_block()
        newest = self.newest
        if newest is None or newest.height < height or self.is_behind:
            return False
        await self.remember(newest, acting=True)
        return True

    async def settle(self, time_ms: int) -> None:
        """Return when the block after the one of `time_ms` is here and a block from then on is remembered.

        What n - t members have signed is in the header of the block after; block times only grow. Raises CHAIN_STALE.
        """
        await anyio.lowlevel.checkpoint()  # as in stand_on
        if self.is_behind:
            raise AuthnetError(Code.CHAIN_STALE, "this node's chain is behind what it has acted on before")
        seen = self._keystore.seen
        if seen is not None and seen.time_ms > time_ms:
            return
        with anyio.move_on_after(SETTLE_S):
            while self.newest is None or self.newest.time_ms <= time_ms:
                await self.next_block()
        newest = self.newest
        if newest is None or newest.time_ms <= time_ms or self.is_behind:
            raise AuthnetError(Code.CHAIN_STALE, "no block has come after the one that assigned the key")
        await self.remember(newest, acting=True)

    async def check_history(self, comet: CometRpc) -> None:
        """Return when the chain is known to continue what is remembered. Raises FORK_SEEN."""
        while not self._compared:
            note, seen, jumps = await self.first(), self._keystore.seen, self._jumps
            if seen is None or (note.height > seen.height and await self._agrees(comet, seen)):
                # Unless it has jumped again while CometBFT was asked.
                self._compared = self._compared or jumps == self._jumps
                continue
            if note.height < seen.height:
                _log.warning("chain.behind_memory", height=note.height, remembered=seen.height)
            if not self._compared:
                await anyio.sleep(_RECHECK_S)

    async def _take(self, note: BlockNote) -> None:
        seen, newest = self._keystore.seen, self.newest
        if seen is not None and seen.height == note.height:
            await self._require_same(note, seen)
            self._compared = True
        elif newest is None or not _follows(note, newest):
            self._jumps += 1
            self._compared = seen is None
        if newest is not None and newest.height == note.height:
            await self._require_same(note, newest)
        self.newest, self.received_at = note, time.monotonic()
        for listener in self.listeners:
            listener(note)
        changed, self._changed = self._changed, anyio.Event()
        changed.set()

    async def _require_same(self, note: BlockNote, known: BlockNote | SeenBlock) -> None:
        if (note.time_ms, note.app_hash) != (known.time_ms, known.app_hash):
            await self._stop(Fork(note.height, (known.app_hash, note.app_hash)))

    async def _stop(self, fork: Fork) -> None:
        """On disk first: the supervisor starts a keeper again, and the chain may then look harmless."""
        self._compared = False
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(self._keystore.stop_at, fork)
        raise fork_error(fork.height)

    async def _agrees(self, comet: CometRpc, seen: SeenBlock) -> bool:
        try:
            at: dict[str, Any] = (await comet.get("header", {"height": str(seen.height)}))["header"]
            after: dict[str, Any] = (await comet.get("header", {"height": str(seen.height + 1)}))["header"]
        except AuthnetError as refusal:
            # Also when the headers are gone there: a chain that can not be compared is not acted on.
            _log.warning("chain.not_compared", remembered=seen.height, code=refusal.code.value)
            return False
        if header_time_ms(at["time"]) != seen.time_ms or after["app_hash"].lower() != seen.app_hash.lower():
            await self._stop(Fork(seen.height, (seen.app_hash, after["app_hash"].lower())))
        return True


def _follows(note: BlockNote, newest: BlockNote) -> bool:
    """Whether `note` is the next block on an unbroken link, or the one that is known already."""
    if note.height == newest.height:
        return (note.time_ms, note.app_hash) == (newest.time_ms, newest.app_hash)
    return not note.is_first and note.height == newest.height + 1
