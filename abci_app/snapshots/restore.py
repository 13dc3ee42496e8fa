"""State sync, receiving side: a state in chunks from peers that nobody trusts.

The only thing known to be right is the app hash that CometBFT's light client vouches for. Each chunk's hash is
compared before it is read; after the last one the root is computed anew and compared, then all that lies outside of
the tree. A crash on the way, or a new offer, starts over.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from abci_app.snapshots import chunks, coverage
from abci_app.state import records as r
from abci_app.state.store import Store
from authnet_core.errors import AuthnetError


class Offered(Enum):
    """Verdict on a snapshot."""

    ACCEPT = "accept"
    ABORT = "abort"
    REJECT_FORMAT = "reject_format"
    REJECT_SENDER = "reject_sender"


class Applied(Enum):
    """Verdict on a chunk."""

    ACCEPT = "accept"
    RETRY = "retry"
    RETRY_SNAPSHOT = "retry_snapshot"
    REJECT_SNAPSHOT = "reject_snapshot"


@dataclass(frozen=True, slots=True)
class Offer:
    """A snapshot as peers describe it. `metadata`: its chunks' hashes, 32 bytes each, in order."""

    height: int
    format: int
    chunks: int
    hash: bytes
    metadata: bytes

    @property
    def is_sound(self) -> bool:
        """Whether it describes itself without contradiction."""
        sized = 0 < self.chunks <= chunks.MAX_CHUNKS and len(self.metadata) == self.chunks * chunks.HASH
        return self.height > 0 and sized and self.hash == chunks.snapshot_hash(self.height, self.metadata)

    def hash_of(self, index: int) -> bytes:
        return self.metadata[index * chunks.HASH : (index + 1) * chunks.HASH]


@dataclass(frozen=True, slots=True)
class Answer:
    """What CometBFT is told about a chunk."""

    verdict: Applied
    refetch: tuple[int, ...] = ()
    reject: tuple[str, ...] = ()
    """Peers that no more chunks are taken from."""
    reason: str = ""


@dataclass(slots=True)
class _Course:
    """How far the offer that was accepted is."""

    offer: Offer
    app_hash: bytes
    done: int = 0
    last_key: bytes = b""
    senders: dict[str, None] = field(default_factory=dict)


class Restorer:
    """Puts one snapshot at a time together in a store that has no block."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._course: _Course | None = None

    def offer(self, offer: Offer, app_hash: bytes) -> Offered:
        """Take the offer, or say why not. `app_hash` is the light client's word on its height."""
        if self._store.meta.height or len(app_hash) != chunks.HASH:
            return Offered.ABORT
        if offer.format != chunks.FORMAT:
            return Offered.REJECT_FORMAT
        if not offer.is_sound:
            return Offered.REJECT_SENDER
        self._store.begin_staging()
        self._course = _Course(offer, app_hash)
        return Offered.ACCEPT

    def abandon(self) -> None:
        """Something else begins here: what was put together goes."""
        if self._course is not None:
            self._course = None
            self._store.drop_staged()

    def apply(self, index: int, chunk: bytes, sender: str) -> Answer:
        """Take the next chunk. After the last one the store has the state, or nothing."""
        course = self._course
        if course is None or index != course.done:
            return Answer(Applied.RETRY_SNAPSHOT, reason="out of turn")
        if len(chunk) > chunks.MAX_CHUNK or chunks.chunk_hash(chunk) != course.offer.hash_of(index):
            return Answer(Applied.RETRY, (index,), (sender,), f"chunk {index} is not the one that was named")
        course.senders[sender] = None
        try:
            self._stage(course, chunk)
            if course.done == course.offer.chunks:
                self._finish(course)
        except AuthnetError as refusal:
            # Its chunks are the ones it named, so whoever sent one of them stands for all of it.
            self.abandon()
            return Answer(Applied.REJECT_SNAPSHOT, (), tuple(course.senders), refusal.message)
        return Answer(Applied.ACCEPT)

    def _stage(self, course: _Course, chunk: bytes) -> None:
        is_last = course.done + 1 == course.offer.chunks
        found = chunks.read(chunk, course.last_key, is_last=is_last)
        self._store.stage(*chunks.split(found))
        course.last_key, course.done = found[-1][0], course.done + 1

    def _finish(self, course: _Course) -> None:
        staged = self._store.staged()
        root = staged.meta.app_hash
        staged.close()
        if root != course.app_hash:
            raise coverage.invalid("the values do not lead to the app hash")
        coverage.settle(self._store)
        # The block's time is nobody's word here; the next block, which follows at once, has it.
        height = course.offer.height
        self._store.finish_staging(r.Meta(height, 0, root, height))
        self._course = None
