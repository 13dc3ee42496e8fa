"""Which tables travel with a state that is handed over, and what proves the bulk that lies outside of the tree.

The tree's values are proven by the app hash. Every other table is either covered by records in the tree and checked
here, or follows from other tables and is written anew here, so that nobody is believed about it. A table that is in
none of the lists stops the tests.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import sha256
from itertools import chain
from typing import Final

import msgspec

from abci_app.sessions.sessions import FINAL
from abci_app.state import records as r
from abci_app.state import tables
from abci_app.state.batch_records import Batch
from abci_app.state.state import decode
from abci_app.state.store import Snapshot, Store
from authnet_core.crypto import merkle
from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.dkg.messages import CHUNK_KEYS, KEY_PAIR

TRAVELS: Final = (tables.POOL_KEYS, tables.KEY_PATHS, tables.REPLAY_IDS, tables.VALUES)
DERIVED: Final = (tables.KEYS_BY_PUB, tables.SESSION_STARTS)
LOCAL: Final = (tables.META, tables.NODES, tables.JOURNAL, tables.STAGED)
_NODE = 32
_WRITTEN_AT_ONCE = 8_192


def invalid(reason: str) -> AuthnetError:
    """The refusal of a state that does not prove itself."""
    return AuthnetError(Code.SNAPSHOT_INVALID, reason)


def settle(store: Store) -> None:
    """Check the staged bulk against the staged tree, whose root the caller has compared, and add what follows from
    them. Raises AuthnetError(SNAPSHOT_INVALID)."""
    staged = store.staged()
    try:
        _check_replay(staged)
        for run in _runs(chain(_check_keys(staged), _session_starts(staged))):
            store.stage({}, run)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise invalid("a record of the tree can not be read") from None
    finally:
        staged.close()


def _runs(entries: Iterable[tuple[bytes, bytes]]) -> Iterator[dict[bytes, bytes]]:
    found: dict[bytes, bytes] = {}
    for key, value in entries:
        found[key] = value
        if len(found) >= _WRITTEN_AT_ONCE:
            yield found
            found = {}
    yield found


def _table(staged: Snapshot, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Entries whose key starts with `prefix`, without it."""
    end = prefix[:-1] + bytes([prefix[-1] + 1])
    for key, value in staged.between(prefix, end):
        yield key[len(prefix) :], value


def _final_sessions(staged: Snapshot) -> Iterator[r.Session]:
    for _, raw in _table(staged, tables.value(tables.session(b"").key)):
        session = decode(raw, r.Session)
        if session.phase == FINAL:
            yield session


def _session_starts(staged: Snapshot) -> Iterator[tuple[bytes, bytes]]:
    for session in _final_sessions(staged):
        yield tables.session_start(session.first_index), session.sid


def _key_ranges(staged: Snapshot) -> Iterator[tuple[int, int, bytes, int]]:
    """(first index, count, root, keys on chain) of all that was ever made, in order of index.

    The same keys have a record in each epoch that held them: they must say the same.
    """
    found: dict[int, tuple[int, bytes, int]] = {}
    for session in _final_sessions(staged):
        chunks = range(-(-session.count // CHUNK_KEYS))
        there = sum(min(CHUNK_KEYS, session.count - c * CHUNK_KEYS) for c in chunks if session.chunks >> c & 1)
        found[session.first_index] = (session.count, session.root, there)
    for _, raw in _table(staged, tables.value(b"batch/")):
        batch = decode(raw, Batch)
        covered = (batch.count, batch.root, batch.on_chain)
        if found.setdefault(batch.first_index, covered) != covered:
            raise invalid(f"two records of the keys from {batch.first_index} on differ")
    for first, (count, root, there) in sorted(found.items()):
        yield first, count, root, there


def _check_keys(staged: Snapshot) -> Iterator[tuple[bytes, bytes]]:
    """Each chunk of keys leads to its batch's root, and there are no others. Yields the index by public key."""
    total = paths = 0
    for first, count, root, there in _key_ranges(staged):
        for chunk in range(-(-count // CHUNK_KEYS)):
            start = first + chunk * CHUNK_KEYS
            pairs = _chunk(staged, start, min(CHUNK_KEYS, first + count - start))
            if not pairs:
                continue
            path = staged.bulk(tables.key_path(start))
            paths += path is not None
            steps = [path[at : at + _NODE] for at in range(0, len(path), _NODE)] if path else []
            if not merkle.verify_chunk(root, pairs, chunk, count, steps, CHUNK_KEYS):
                raise invalid(f"the keys from {start} on do not lead to their root")
            total, there = total + len(pairs), there - len(pairs)
            for place, pair in enumerate(pairs):
                yield tables.key_by_pub(pair[:33]), (start + place).to_bytes(8, "big")
        if there:
            raise invalid(f"the keys from {first} on are not those that are on chain")
    if total != sum(1 for _ in _table(staged, tables.POOL_KEYS)):
        raise invalid("there are keys of no session")
    if paths != sum(1 for _ in _table(staged, tables.KEY_PATHS)):
        raise invalid("there are paths of no chunk")


def _chunk(staged: Snapshot, start: int, count: int) -> list[bytes]:
    """The keys of a chunk: all of them, or none."""
    entries = list(staged.between(tables.pool_key(start), tables.pool_key(start + count)))
    if entries and (len(entries) != count or any(len(pair) != KEY_PAIR for _, pair in entries)):
        raise invalid(f"a part of the keys from {start} on is missing")
    return [pair for _, pair in entries]


def _check_replay(staged: Snapshot) -> None:
    """The ids lead to the running hashes in the tree, list by list, and there are no others."""
    total = 0
    for raw_expiry, raw in _table(staged, tables.value(tables.bucket(0).key[:-8])):
        expiry, bucket = int.from_bytes(raw_expiry, "big"), decode(raw, r.Bucket)
        digest = bytes(32)
        for place in range(bucket.count):
            replay_id = staged.bulk(tables.replay_id(expiry, place))
            if replay_id is None:
                raise invalid(f"the replay list of height {expiry} is short")
            digest = sha256(digest + replay_id).digest()
        if digest != bucket.digest:
            raise invalid(f"the replay list of height {expiry} is not the one in the tree")
        total += bucket.count
    if total != sum(1 for _ in _table(staged, tables.REPLAY_IDS)):
        raise invalid("there are replay ids of no list")
