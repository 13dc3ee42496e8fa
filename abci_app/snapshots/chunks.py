"""A state as a row of chunks: the same bytes for everybody who has the same state.

Entries in the order of their LevelDB keys, each with its key's and its value's length (4 bytes big-endian) in front;
a chunk ends with the entry that makes it reach CHUNK_BYTES. A manifest names each chunk's hash. Pure but for the
reads.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256

from abci_app.snapshots.coverage import TRAVELS, invalid
from abci_app.state import tables
from abci_app.state.store import Snapshot
from authnet_core.crypto.hashing import tagged_hash

FORMAT = 1
CHUNK_BYTES = 1 << 20
MAX_CHUNK = 4 << 20
"""A chunk is at most CHUNK_BYTES and one value; the longest are the signed deals of a session, 131,072 bytes each."""
MAX_CHUNKS = 4_096
"""What a peer makes up is refused at the end only: this is the most of a disk that it can fill until then."""
HASH = 32
_LENGTH = 4


def entries(state: Snapshot, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
    """All that travels, in order, from the key `start` on."""
    for table in sorted(TRAVELS):
        first, end = max(table, start), bytes([table[0] + 1])
        if first < end:
            yield from state.between(first, end)


def pack(key: bytes, value: bytes) -> bytes:
    """One entry."""
    return len(key).to_bytes(_LENGTH, "big") + key + len(value).to_bytes(_LENGTH, "big") + value


def cut(found: Iterator[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
    """(key of the first entry, chunk), until the entries end. A state has at least one."""
    first, parts, size = b"", list[bytes](), 0
    for key, value in found:
        first = first or key
        parts.append(pack(key, value))
        size += len(parts[-1])
        if size >= CHUNK_BYTES:
            yield first, b"".join(parts)
            first, parts, size = b"", [], 0
    if parts:
        yield first, b"".join(parts)


def read(chunk: bytes, after: bytes, *, is_last: bool) -> list[tuple[bytes, bytes]]:
    """The entries of a chunk. `after` is the last key before it. Raises AuthnetError(SNAPSHOT_INVALID).

    Only tables that travel, in strict order, cut where everybody cuts: a state has one row of chunks and no other.
    """
    found, at = list[tuple[bytes, bytes]](), 0
    while at < len(chunk):
        key, at = _read_part(chunk, at)
        value, at = _read_part(chunk, at)
        if key <= after or key[:1] not in TRAVELS:
            raise invalid("a chunk has an entry that is out of place")
        after = key
        found.append((key, value))
    if not found:
        raise invalid("a chunk is empty")
    before_last = len(chunk) - len(pack(*found[-1]))
    if before_last >= CHUNK_BYTES or (len(chunk) < CHUNK_BYTES and not is_last):
        raise invalid("a chunk is cut elsewhere than all cut it")
    return found


def _read_part(chunk: bytes, at: int) -> tuple[bytes, int]:
    body = at + _LENGTH
    end = body + int.from_bytes(chunk[at:body], "big")
    if body > len(chunk) or end > len(chunk):
        raise invalid("a chunk ends in the midst of an entry")
    return chunk[body:end], end


def split(found: list[tuple[bytes, bytes]]) -> tuple[dict[bytes, bytes], dict[bytes, bytes]]:
    """Entries as (values of the tree by tree key, bulk by LevelDB key)."""
    values = {key[1:]: value for key, value in found if key[:1] == tables.VALUES}
    return values, {key: value for key, value in found if key[:1] != tables.VALUES}


def snapshot_hash(height: int, hashes: bytes) -> bytes:
    """What a snapshot is called by: `hashes` are its chunks' hashes, 32 bytes each."""
    return tagged_hash("authnet/snapshot/v1", FORMAT, height, hashes)


def chunk_hash(chunk: bytes) -> bytes:
    return sha256(chunk).digest()
