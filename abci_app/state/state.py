"""State as the rules see it: a reader below (what is committed) and this block's changes above it.

Nothing here touches the disk. Values are immutable, so a value read twice is the same object.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Protocol, TypeVar

import msgspec

from abci_app.state.records import Record
from abci_app.state.tables import Slot

R = TypeVar("R", bound=Record)
_encoder = msgspec.msgpack.Encoder()
_decoders: dict[type[Record], msgspec.msgpack.Decoder[Record]] = {}


def encode(record: Record) -> bytes:
    """The bytes under the app hash."""
    return _encoder.encode(record)


def decode(raw: bytes, kind: type[R]) -> R:
    """Inverse of encode."""
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.msgpack.Decoder(kind)
    return decoder.decode(raw)  # type: ignore[return-value]


@dataclass(frozen=True, slots=True)
class Block:
    """The block that rules run in. CheckTx uses the next height and the newest block's time."""

    height: int
    time_ms: int


class Reader(Protocol):
    """What lies below a State."""

    def get(self, slot: Slot[R]) -> R | None:
        """The value at a place of the tree."""

    def bulk(self, key: bytes) -> bytes | None:
        """A value outside of the tree."""

    def is_seen(self, expiry: int, replay_id: bytes) -> bool:
        """Whether a transaction is remembered."""


class State:
    """Reads fall through to `below`; writes stay here until somebody takes `changes`."""

    def __init__(self, below: Reader, block: Block) -> None:
        self._below = below
        self.block = block
        self.changes: dict[bytes, Record | None] = {}
        self.bulk_changes: dict[bytes, bytes | None] = {}
        self.remembered: dict[int, dict[bytes, None]] = {}
        self.root = b""
        """App hash before this block; set by who builds the state for one."""
        self.validator_updates: tuple[tuple[bytes, int], ...] = ()
        """(ed25519 key, power) that this block tells CometBFT, by key; 0 takes one out."""
        self.complaints: Counter[tuple[int, int]] = Counter()
        """Complaints per (epoch, member) in this block. It ends with the block, so it is no part of what is hashed."""

    def get(self, slot: Slot[R]) -> R | None:
        if slot.key in self.changes:
            return self.changes[slot.key]  # type: ignore[return-value]
        return self._below.get(slot)

    def need(self, slot: Slot[R]) -> R:
        """The value at a place that is never empty after genesis."""
        found = self.get(slot)
        if found is None:
            raise LookupError(f"the state lacks {slot.key!r}")
        return found

    def put(self, slot: Slot[R], record: R) -> None:
        self.changes[slot.key] = record

    def delete(self, slot: Slot[R]) -> None:
        self.changes[slot.key] = None

    def bulk(self, key: bytes) -> bytes | None:
        if key in self.bulk_changes:
            return self.bulk_changes[key]
        return self._below.bulk(key)

    def put_bulk(self, key: bytes, value: bytes) -> None:
        self.bulk_changes[key] = value

    def is_seen(self, expiry: int, replay_id: bytes) -> bool:
        return replay_id in self.remembered.get(expiry, ()) or self._below.is_seen(expiry, replay_id)

    def remember(self, expiry: int, replay_id: bytes) -> None:
        self.remembered.setdefault(expiry, {})[replay_id] = None
