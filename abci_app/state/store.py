"""The committed state in LevelDB: one synced batch per Commit, snapshots of the last heights for queries.

Touches: the LevelDB folder. Only Commit writes, and before the first Commit whoever stages a state that came from
elsewhere (restore.py, imports.py). What is staged is of no use until it is finished or a block is committed on it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol, TypeVar

import plyvel

from abci_app.faults import Faults
from abci_app.state import journal, tables
from abci_app.state import records as r
from abci_app.state.state import decode, encode
from abci_app.state.tables import Slot
from authnet_core.crypto import smt
from authnet_core.errors import ConfigError

R = TypeVar("R", bound=r.Record)
KEPT_SNAPSHOTS = 8
_CACHED_POSITIONS = 1 << 17
"""Tree levels 0 to 15 stay in memory; each leaf's path below them is a few reads."""
_CACHED_VALUES = 8_192
EMPTY = r.Meta(0, 0, smt.ZERO, 0)


class _Readable(Protocol):
    """A plyvel database or snapshot."""

    def get(self, key: bytes) -> bytes | None: ...

    def iterator(self, **bounds: Any) -> Iterator[tuple[bytes, bytes]]: ...


class Snapshot:
    """The state as of one height. Reads never see a later one."""

    def __init__(self, source: _Readable, meta: r.Meta) -> None:
        self._source = source
        self._uses = 1
        self.meta = meta

    def retain(self) -> Snapshot:
        """One more user, who closes it too."""
        self._uses += 1
        return self

    def get(self, slot: Slot[R]) -> R | None:
        raw = self.raw(slot.key)
        return None if raw is None else decode(raw, slot.kind)

    def raw(self, tree_key: bytes) -> bytes | None:
        return self._source.get(tables.value(tree_key))

    def bulk(self, key: bytes) -> bytes | None:
        return self._source.get(key)

    def is_seen(self, expiry: int, replay_id: bytes) -> bool:
        """Replay protection is no matter of queries."""
        raise NotImplementedError

    def node(self, position: int) -> bytes | None:
        return self._source.get(tables.node(position))

    def prove(self, tree_key: bytes) -> smt.Presence | smt.Absence:
        return smt.prove(self.node, tree_key, self.raw)

    def between(self, first: bytes, last: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Bulk entries with first <= key < last, in order."""
        return self._source.iterator(start=first, stop=last)

    def last_before(self, prefix: bytes, key: bytes) -> bytes | None:
        """The greatest bulk key in [prefix, key]."""
        for found, _ in self._source.iterator(start=prefix, stop=key, include_stop=True, reverse=True):
            return found
        return None

    def close(self) -> None:
        self._uses -= 1
        if not self._uses and hasattr(self._source, "close"):
            self._source.close()


@dataclass(frozen=True, slots=True)
class Pending:
    """One finalized block, computed and not yet written."""

    meta: r.Meta
    values: dict[bytes, bytes | None]
    records: Mapping[bytes, r.Record | None]
    nodes: dict[int, bytes | None]
    bulk: dict[bytes, bytes | None]
    remembered: Mapping[int, Mapping[bytes, None]]
    forgotten: tuple[int, ...] = field(default=())


class Store:
    """Owner of the database."""

    def __init__(self, folder: Path, faults: Faults) -> None:
        self._db = _open(folder)
        self._faults = faults
        self._nodes: dict[int, bytes | None] = {}
        self._values: dict[bytes, r.Record | None] = {}
        self._snapshots: dict[int, Snapshot] = {}
        self.is_staged = False
        """Whether a state lies here that no block was committed on yet."""
        if self._db.get(tables.STAGED) is not None:
            # The process died on the way: what it had is not known to be anything.
            self.drop_staged()
        else:
            self._load()

    def _load(self) -> None:
        """Read what is committed; forget what was remembered of something else."""
        raw = self._db.get(tables.META)
        self.meta = decode(raw, r.Meta) if raw is not None else EMPTY
        self._nodes.clear()
        self._values.clear()
        self._seen = self._load_seen()
        while self._snapshots:
            self._snapshots.popitem()[1].close()
        self._keep_snapshot()

    def _load_seen(self) -> dict[int, dict[bytes, None]]:
        """Read the replay ids and check them against the running hashes in the tree."""
        seen: dict[int, dict[bytes, None]] = {}
        for key, replay_id in self._db.iterator(prefix=tables.REPLAY_IDS):
            seen.setdefault(int.from_bytes(key[1:9], "big"), {})[replay_id] = None
        for expiry, ids in seen.items():
            digest = bytes(32)
            for replay_id in ids:
                digest = sha256(digest + replay_id).digest()
            bucket = self.get(tables.bucket(expiry))
            if bucket != r.Bucket(len(ids), digest):
                raise RuntimeError(f"replay list {expiry} is damaged: restore this node's state")
        return seen

    def get(self, slot: Slot[R]) -> R | None:
        key = slot.key
        if key in self._values:
            return self._values[key]  # type: ignore[return-value]
        raw = self._db.get(tables.value(key))
        found = None if raw is None else decode(raw, slot.kind)
        self._remember_value(key, found)
        return found

    def _remember_value(self, key: bytes, record: r.Record | None) -> None:
        if len(self._values) >= _CACHED_VALUES:
            self._values.clear()
        self._values[key] = record

    def raw(self, tree_key: bytes) -> bytes | None:
        """The committed bytes under a key of the tree."""
        found: bytes | None = self._db.get(tables.value(tree_key))
        return found

    def bulk(self, key: bytes) -> bytes | None:
        found: bytes | None = self._db.get(key)
        return found

    def is_seen(self, expiry: int, replay_id: bytes) -> bool:
        return replay_id in self._seen.get(expiry, ())

    def seen_expiries(self) -> list[int]:
        """Heights that have a replay list, in order."""
        return sorted(self._seen)

    def node(self, position: int) -> bytes | None:
        if position >= _CACHED_POSITIONS:
            found: bytes | None = self._db.get(tables.node(position))
            return found
        if position not in self._nodes:
            self._nodes[position] = self._db.get(tables.node(position))
        return self._nodes[position]

    def commit(self, pending: Pending) -> None:
        """Write a block: all of it or nothing, on disk when this returns."""
        self._faults.reach("commit_before_write")
        # Without `transaction` plyvel writes the half that was put when something raises in between.
        with self._db.write_batch(sync=True, transaction=True) as batch:
            for key, value in pending.values.items():
                _write(batch, tables.value(key), value)
            for position, node in pending.nodes.items():
                _write(batch, tables.node(position), node)
            for key, value in pending.bulk.items():
                _write(batch, key, value)
            meta = pending.meta
            for key, value in journal.entries(meta.height, meta.app_hash, pending.values, pending.bulk).items():
                _write(batch, key, value)
            batch.put(tables.META, encode(meta))
            if self.is_staged:
                batch.delete(tables.STAGED)
        self.is_staged = False
        self._faults.reach("commit_after_write")
        self._absorb(pending)
        self._keep_snapshot()

    def _absorb(self, pending: Pending) -> None:
        """Bring the caches to the new state."""
        self.meta = pending.meta
        for position, node in pending.nodes.items():
            if position < _CACHED_POSITIONS:
                self._nodes[position] = node
        for key, record in pending.records.items():
            self._remember_value(key, record)
        for expiry, ids in pending.remembered.items():
            self._seen.setdefault(expiry, {}).update(ids)
        for expiry in pending.forgotten:
            self._seen.pop(expiry, None)

    def _keep_snapshot(self) -> None:
        self._snapshots[self.meta.height] = Snapshot(self._db.snapshot(), self.meta)
        while len(self._snapshots) > KEPT_SNAPSHOTS:
            self._snapshots.pop(min(self._snapshots)).close()

    # a state that comes from elsewhere

    def begin_staging(self) -> None:
        """Make room for a state from elsewhere. Only where no block was ever committed."""
        if self.meta.height:
            raise RuntimeError("a state that grew here is never replaced")
        self.drop_staged()
        self._db.put(tables.STAGED, b"", sync=True)
        self.is_staged = True
        self._faults.reach("stage_begun")

    def stage(self, values: Mapping[bytes, bytes], bulk: Mapping[bytes, bytes]) -> None:
        """Add values of the tree, and entries beside it."""
        _, nodes = smt.update(self.node, values)
        self._values.clear()
        with self._db.write_batch() as batch:
            for key, value in values.items():
                batch.put(tables.value(key), value)
            for position, node in nodes.items():
                _write(batch, tables.node(position), node)
            for key, value in bulk.items():
                batch.put(key, value)
        for position, node in nodes.items():
            if position < _CACHED_POSITIONS:
                self._nodes[position] = node
        self._faults.reach("stage_chunk")

    def staged(self) -> Snapshot:
        """What is staged so far, with its root. The caller closes it."""
        root = smt.node_hash(self.node(1))
        return Snapshot(self._db.snapshot(), r.Meta(0, 0, root, 0))

    def finish_staging(self, meta: r.Meta) -> None:
        """What is staged is the committed state of `meta.height` from now on."""
        self._faults.reach("stage_before_finish")
        with self._db.write_batch(sync=True, transaction=True) as batch:
            batch.put(tables.META, encode(meta))
            batch.delete(tables.STAGED)
        self._faults.reach("stage_after_finish")
        self.is_staged = False
        self._load()

    def drop_staged(self) -> None:
        """Remove every entry; the mark goes last, so that a crash here drops again."""
        while keys := [key for key, _ in zip(self._db.iterator(include_value=False), range(10_000), strict=False)]:
            rest = [key for key in keys if key != tables.STAGED]
            with self._db.write_batch(sync=not rest) as batch:
                for key in rest or keys:
                    batch.delete(key)
        self.is_staged = False
        self._load()

    # reading

    def hold(self) -> Snapshot:
        """The newest state for as long as the caller wants it; the caller closes it."""
        return Snapshot(self._db.snapshot(), self.meta)

    def newest(self) -> Snapshot:
        return self._snapshots[self.meta.height]

    def at(self, height: int) -> Snapshot | None:
        """The state as of `height`, if it is still kept."""
        return self._snapshots.get(height)

    def heights(self) -> list[int]:
        """Heights whose state is still kept."""
        return list(self._snapshots)

    def close(self) -> None:
        for snapshot in self._snapshots.values():
            snapshot.close()
        self._db.close()


def _open(folder: Path) -> Any:
    """The database. Raises ConfigError when another process has it or it can not be read."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        return plyvel.DB(
            str(folder), create_if_missing=True, bloom_filter_bits=10, lru_cache_size=8 << 20, max_open_files=128
        )
    except plyvel.Error as error:
        raise ConfigError(f"node.dir: the state in {folder} can not be opened: {error}") from None


def _write(batch: Any, key: bytes, value: bytes | None) -> None:
    if value is None:
        batch.delete(key)
    else:
        batch.put(key, value)
