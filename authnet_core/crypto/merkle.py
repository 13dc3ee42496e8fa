"""RFC 6962 Merkle trees: the list of a session's keys hangs below its record by one such root.

Leaf SHA256(00 || leaf), inner SHA256(01 || left || right), split at the largest power of two below the size.
An aligned run of 2^h leaves, and the shorter run at the end, is a subtree of its own, so a chunk of keys
is proven by one path. Pure. Source: RFC 6962 section 2.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

EMPTY_ROOT = sha256(b"").digest()


def leaf_hash(leaf: bytes) -> bytes:
    """Hash of one list entry."""
    return sha256(b"\x00" + leaf).digest()


def _inner(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def _split(size: int) -> int:
    """Largest power of two below `size` (size >= 2)."""
    return 1 << ((size - 1).bit_length() - 1)


def _fold(nodes: Sequence[bytes]) -> bytes:
    """Root over hashes. Pairing level by level gives RFC 6962's shape: the odd one out moves up."""
    level = list(nodes)
    while len(level) > 1:
        paired = [_inner(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
        level = paired + level[len(paired) * 2 :]
    return level[0]


def root(leaves: Sequence[bytes]) -> bytes:
    """Root over the list entries; SHA256 of nothing for an empty list."""
    return _fold([leaf_hash(leaf) for leaf in leaves]) if leaves else EMPTY_ROOT


def _path(nodes: Sequence[bytes], index: int) -> list[bytes]:
    if len(nodes) == 1:
        return []
    split = _split(len(nodes))
    if index < split:
        return [*_path(nodes[:split], index), _fold(nodes[split:])]
    return [*_path(nodes[split:], index - split), _fold(nodes[:split])]


def path(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """Audit path of entry `index`, from its sibling to the root's child. Raises IndexError."""
    if not 0 <= index < len(leaves):
        raise IndexError("no such leaf")
    return _path([leaf_hash(leaf) for leaf in leaves], index)


def _chunk_count(total: int, size: int) -> int:
    if size < 1 or size & (size - 1):
        raise ValueError("chunk size must be a power of two")
    return -(-total // size)


def chunk_path(leaves: Sequence[bytes], chunk: int, size: int = 1024) -> list[bytes]:
    """Audit path of the aligned run `chunk` of `size` (a power of two) entries. Raises IndexError."""
    count = _chunk_count(len(leaves), size)
    if not 0 <= chunk < count:
        raise IndexError("no such chunk")
    hashes = [leaf_hash(leaf) for leaf in leaves]
    return _path([_fold(hashes[at : at + size]) for at in range(0, len(hashes), size)], chunk)


def _climb(node: bytes, index: int, count: int, siblings: Sequence[bytes]) -> bytes | None:
    """Root from a node at `index` of `count` and its path; None when the path has another length."""
    for sibling in siblings:
        # A last node without a partner moves up unhashed until it is a right child.
        while index % 2 == 0 and index == count - 1 and count > 1:
            index, count = index // 2, (count + 1) // 2
        if count <= 1 or len(sibling) != 32:
            return None
        node = _inner(sibling, node) if index % 2 else _inner(node, sibling)
        index, count = index // 2, (count + 1) // 2
    while index % 2 == 0 and index == count - 1 and count > 1:
        index, count = index // 2, (count + 1) // 2
    return node if count == 1 else None


def verify(expected: bytes, leaf: bytes, index: int, total: int, siblings: Sequence[bytes]) -> bool:
    """Whether `leaf` is entry `index` of the list of `total` entries with root `expected`."""
    return 0 <= index < total and _climb(leaf_hash(leaf), index, total, siblings) == expected


def verify_chunk(
    expected: bytes, leaves: Sequence[bytes], chunk: int, total: int, siblings: Sequence[bytes], size: int = 1024
) -> bool:
    """Whether `leaves` are the aligned run `chunk` of the list of `total` entries with root `expected`."""
    count = _chunk_count(total, size)
    if not 0 <= chunk < count or len(leaves) != min(size, total - chunk * size):
        return False
    return _climb(_fold([leaf_hash(leaf) for leaf in leaves]), chunk, count, siblings) == expected
