"""State sync, giving side: which states of this node can be had, and their chunks.

A state is taken at the first block of each period of block time, the same for all nodes, and held as a LevelDB
snapshot: nothing is copied. A thread reads it once, slowly, to name its chunks; a chunk is read again when somebody
asks for it. Blocks wait for neither.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from abci_app.snapshots import chunks
from abci_app.snapshots.restore import Offer
from abci_app.state.store import Snapshot, Store

KEPT = 4
_CACHED_CHUNKS = 4
_LEISURE = 4.0
"""The thread rests this much longer than it works."""
_TURN = 256
"""Entries between two looks at whether the process ends."""


@dataclass(slots=True)
class Held:
    """One state that can be had."""

    state: Snapshot
    offer: Offer
    starts: list[bytes]
    """First key of each chunk."""


class _Ended(Exception):
    """The process ends."""


class Shelf:
    """States of the last periods."""

    def __init__(self, store: Store, period_ms: int) -> None:
        self._store, self._period_ms = store, period_ms
        self._held: list[Held] = []
        self._cache: OrderedDict[tuple[int, int], bytes] = OrderedDict()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._ended = threading.Event()

    def on_commit(self, before_ms: int) -> None:
        """A block was committed; `before_ms` is the time of the one before it."""
        if self._store.meta.time_ms // self._period_ms != before_ms // self._period_ms:
            self.take()

    def take(self) -> None:
        """Begin to take the newest state, unless the one before is not done yet."""
        if self._store.meta.height == 0 or (self._thread is not None and self._thread.is_alive()):
            return
        if any(held.offer.height == self._store.meta.height for held in self._held):
            return
        self._thread = threading.Thread(target=self._index, args=(self._store.hold(),), daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Until what was begun is done."""
        if self._thread is not None:
            self._thread.join()

    def offers(self) -> list[Offer]:
        """What can be had, newest first."""
        return [held.offer for held in self._held]

    def at(self, height: int) -> Held | None:
        """The state of `height`, if it can be had."""
        return next((held for held in self._held if held.offer.height == height), None)

    def chunk(self, height: int, index: int) -> bytes:
        """A chunk, b"" when there is none."""
        with self._lock:
            held = self.at(height)
            if held is None or not 0 <= index < len(held.starts):
                return b""
            found = self._cache.get((height, index))
            if found is None:
                found = next(chunks.cut(chunks.entries(held.state, held.starts[index])))[1]
                self._cache[height, index] = found
                if len(self._cache) > _CACHED_CHUNKS:
                    self._cache.popitem(last=False)
            return found

    def close(self) -> None:
        """End the thread and let go of all states."""
        self._ended.set()
        self.wait()
        for held in self._held:
            held.state.close()
        self._held = []

    def _index(self, state: Snapshot) -> None:
        try:
            held = self._read(state)
        except _Ended:
            state.close()
            return
        with self._lock:
            kept = [held, *self._held]
            self._held, gone = kept[:KEPT], kept[KEPT:]
            for old in gone:
                old.state.close()

    def _read(self, state: Snapshot) -> Held:
        """Read it all once. Slow on purpose: this thread and the blocks share one interpreter."""
        starts, hashes = list[bytes](), list[bytes]()
        for first, chunk in chunks.cut(self._leisurely(state)):
            starts.append(first)
            hashes.append(chunks.chunk_hash(chunk))
        named = b"".join(hashes)
        height = state.meta.height
        offer = Offer(height, chunks.FORMAT, len(hashes), chunks.snapshot_hash(height, named), named)
        return Held(state, offer, starts)

    def _leisurely(self, state: Snapshot) -> Iterator[tuple[bytes, bytes]]:
        found = chunks.entries(state)
        while True:
            began = time.monotonic()
            turn = list(islice(found, _TURN))
            if not turn:
                return
            yield from turn
            if self._ended.wait(_LEISURE * (time.monotonic() - began)):
                raise _Ended
