"""Sparse Merkle tree over SHA256(key): the shape of the app hash (chain.md section 2, ICS23's SmtSpec).

Leaf SHA256(00 || SHA256(key) || SHA256(value)), inner SHA256(01 || left || right), an empty child is 32 zero
bytes, a subtree with one leaf is that leaf. Nodes are addressed by position: the root is 1, the children of
p are 2p and 2p + 1, so a batch update writes each touched position once and nothing needs collecting.
Pure: nodes are read through a NodeReader and the changes are returned.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import TypeAlias

ZERO = bytes(32)
"""Hash of an empty subtree, and root of the empty tree."""
_BITS = 256

NodeReader: TypeAlias = Callable[[int], bytes | None]
"""Node at a position: 64 bytes left || right, or 00 || key hash || value hash || key for a leaf."""


def node_hash(node: bytes | None) -> bytes:
    """The hash that a parent holds of `node`."""
    if node is None:
        return ZERO
    if len(node) == 64:
        return sha256(b"\x01" + node).digest()
    return sha256(node[:65]).digest()


class _Batch:
    """One update: sorted leaf changes against the tree that `read` shows."""

    def __init__(self, read: NodeReader, changes: Mapping[bytes, bytes | None]) -> None:
        self._read = read
        ordered = sorted((sha256(key).digest(), key, value) for key, value in changes.items())
        self._places = [int.from_bytes(key_hash, "big") for key_hash, _, _ in ordered]
        self._leaves = [_leaf(key_hash, key, value) for key_hash, key, value in ordered]
        self.writes: dict[int, bytes | None] = {}

    def run(self) -> bytes:
        top = self._update(1, self._read(1), 0, len(self._places))
        self.writes[1] = top
        return node_hash(top)

    def _update(self, position: int, node: bytes | None, low: int, high: int) -> bytes | None:
        """Apply changes [low, high) to the subtree at `position`; return its new top node."""
        if node is None or len(node) != 64:
            return self._rebuild(position, node, low, high)
        bits = position.bit_length() - 1
        # The first change whose next bit is 1.
        edge = (((position << 1) | 1) - (2 << bits)) << (_BITS - 1 - bits)
        middle = bisect_left(self._places, edge, low, high)
        left_hash, right_hash = node[:32], node[32:]
        left = right = None
        if low < middle:
            left = self._child(2 * position, left_hash, low, middle)
            left_hash = node_hash(left)
        if middle < high:
            right = self._child(2 * position + 1, right_hash, middle, high)
            right_hash = node_hash(right)
        if ZERO not in (left_hash, right_hash):
            return left_hash + right_hash
        return self._lift(position, (left, left_hash), (right, right_hash))

    def _child(self, position: int, known_hash: bytes, low: int, high: int) -> bytes | None:
        before = None if known_hash == ZERO else self._read(position)
        after = self._update(position, before, low, high)
        if after != before:
            self.writes[position] = after
        return after

    def _lift(self, position: int, left: tuple[bytes | None, bytes], right: tuple[bytes | None, bytes]) -> bytes | None:
        """One side is empty: a lone leaf moves up here, an inner node stays where it is."""
        if left[1] == ZERO and right[1] == ZERO:
            return None
        child = 2 * position if right[1] == ZERO else 2 * position + 1
        node = left[0] if right[1] == ZERO else right[0]
        if node is None:
            node = self._read(child)
        if node is not None and len(node) != 64:
            self.writes[child] = None
            return node
        return left[1] + right[1]

    def _rebuild(self, position: int, node: bytes | None, low: int, high: int) -> bytes | None:
        """The subtree held at most one leaf: build it from that leaf and the changes."""
        places, leaves = self._places[low:high], self._leaves[low:high]
        if node is not None:
            place = int.from_bytes(node[1:33], "big")
            at = bisect_left(places, place)
            if at == len(places) or places[at] != place:
                places.insert(at, place)
                leaves.insert(at, node)
        kept = [(place, leaf) for place, leaf in zip(places, leaves, strict=True) if leaf is not None]
        return self._build(position, kept)

    def _build(self, position: int, leaves: list[tuple[int, bytes]]) -> bytes | None:
        if len(leaves) < 2:
            return leaves[0][1] if leaves else None
        bit = _BITS - position.bit_length()
        middle = next((i for i, (place, _) in enumerate(leaves) if place >> bit & 1), len(leaves))
        hashes = b""
        for child, part in ((2 * position, leaves[:middle]), (2 * position + 1, leaves[middle:])):
            node = self._build(child, part)
            if node is not None:
                self.writes[child] = node
            hashes += node_hash(node)
        return hashes


def _leaf(key_hash: bytes, key: bytes, value: bytes | None) -> bytes | None:
    return None if value is None else b"\x00" + key_hash + sha256(value).digest() + key


def update(read: NodeReader, changes: Mapping[bytes, bytes | None]) -> tuple[bytes, dict[int, bytes | None]]:
    """Apply `changes` (None deletes) at once: shared paths are hashed once.

    Returns the new root and the positions to write (None: remove). Deleting an absent key is no change.
    """
    if not changes:
        return node_hash(read(1)), {}
    batch = _Batch(read, changes)
    new_root = batch.run()
    return new_root, batch.writes


@dataclass(frozen=True, slots=True)
class Presence:
    """`key` holds `value`. `siblings` lead from the leaf to the root."""

    key: bytes
    value: bytes
    siblings: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Absence:
    """`key` holds nothing: its neighbours by SHA256(key) are side by side. None beyond the first or last leaf."""

    key: bytes
    left: Presence | None
    right: Presence | None


def _walk(read: NodeReader, place: int) -> tuple[bytes | None, list[bytes], list[int]]:
    """Follow `place` down: the last node (leaf or None), the siblings passed, and the positions gone through."""
    position, siblings, trail = 1, list[bytes](), [1]
    node = read(1)
    while node is not None and len(node) == 64:
        bit = place >> (_BITS - position.bit_length()) & 1
        siblings.append(node[:32] if bit else node[32:])
        taken = node[32:] if bit else node[:32]
        position = 2 * position + bit
        trail.append(position)
        node = None if taken == ZERO else read(position)
    return node, siblings, trail


def _edge_leaf(read: NodeReader, position: int, rightmost: bool) -> bytes:
    """Key of the first or last leaf of a subtree that is not empty."""
    node = read(position)
    while node is not None and len(node) == 64:
        near, far = (node[32:], node[:32]) if rightmost else (node[:32], node[32:])
        take_far = near == ZERO and far != ZERO
        position = 2 * position + (rightmost != take_far)
        node = read(position)
    if node is None:
        raise LookupError("the tree lacks a node that its parent names")
    return node[65:]


def _neighbour(read: NodeReader, trail: list[int], siblings: list[bytes], rightmost: bool) -> bytes | None:
    """Key of the nearest leaf on one side of the path `trail`."""
    for position, sibling in zip(reversed(trail[1:]), reversed(siblings), strict=True):
        if position & 1 == rightmost and sibling != ZERO:
            return _edge_leaf(read, position ^ 1, rightmost)
    return None


def prove(read: NodeReader, key: bytes, value_of: Callable[[bytes], bytes | None]) -> Presence | Absence:
    """Prove what the tree says about `key`. `value_of` gives the values of the tree's keys."""
    place = int.from_bytes(sha256(key).digest(), "big")
    node, siblings, trail = _walk(read, place)
    if node is not None and node[65:] == key:
        return _presence(key, value_of, siblings)
    left = _neighbour(read, trail, siblings, True)
    right = _neighbour(read, trail, siblings, False)
    if node is not None and int.from_bytes(node[1:33], "big") < place:
        left = node[65:]
    elif node is not None:
        right = node[65:]
    return Absence(key, _side(read, left, value_of), _side(read, right, value_of))


def _side(read: NodeReader, key: bytes | None, value_of: Callable[[bytes], bytes | None]) -> Presence | None:
    if key is None:
        return None
    _, siblings, _ = _walk(read, int.from_bytes(sha256(key).digest(), "big"))
    return _presence(key, value_of, siblings)


def _presence(key: bytes, value_of: Callable[[bytes], bytes | None], down: list[bytes]) -> Presence:
    value = value_of(key)
    if value is None:
        raise LookupError("the tree has a leaf without a value")
    return Presence(key, value, tuple(reversed(down)))


def presence_root(proof: Presence) -> bytes | None:
    """The root that `proof` leads to, or None if it is malformed."""
    if len(proof.siblings) > _BITS or any(len(sibling) != 32 for sibling in proof.siblings):
        return None
    key_hash = sha256(proof.key).digest()
    place, depth = int.from_bytes(key_hash, "big"), len(proof.siblings)
    node = sha256(b"\x00" + key_hash + sha256(proof.value).digest()).digest()
    for level, sibling in enumerate(proof.siblings):
        bit = place >> (_BITS - depth + level) & 1
        node = sha256(b"\x01" + (sibling + node if bit else node + sibling)).digest()
    return node


def verify_presence(expected: bytes, key: bytes, value: bytes, proof: Presence) -> bool:
    """Whether the tree with root `expected` holds `value` at `key`."""
    return (proof.key, proof.value) == (key, value) and presence_root(proof) == expected


def _bits_down(proof: Presence) -> list[tuple[int, bytes]]:
    """(bit taken, sibling) from the root down."""
    place = int.from_bytes(sha256(proof.key).digest(), "big")
    return [(place >> (_BITS - 1 - depth) & 1, sibling) for depth, sibling in enumerate(reversed(proof.siblings))]


def _hugs(steps: list[tuple[int, bytes]], side: int) -> bool:
    """Whether nothing lies further to `side` (1 = right) than this path."""
    return all(bit == side or sibling == ZERO for bit, sibling in steps)


def _adjacent(left: Presence, right: Presence) -> bool:
    left_steps, right_steps = _bits_down(left), _bits_down(right)
    shared = 0
    limit = min(len(left_steps), len(right_steps))
    while shared < limit and left_steps[shared] == right_steps[shared]:
        shared += 1
    if shared == limit or (left_steps[shared][0], right_steps[shared][0]) != (0, 1):
        return False
    return _hugs(left_steps[shared + 1 :], 1) and _hugs(right_steps[shared + 1 :], 0)


def verify_absence(expected: bytes, key: bytes, proof: Absence) -> bool:
    """Whether the tree with root `expected` holds nothing at `key`."""
    if proof.key != key:
        return False
    left, right, place = proof.left, proof.right, sha256(key).digest()
    if left is None and right is None:
        return expected == ZERO
    if left is not None and (presence_root(left) != expected or sha256(left.key).digest() >= place):
        return False
    if right is not None and (presence_root(right) != expected or sha256(right.key).digest() <= place):
        return False
    if left is not None and right is not None:
        return _adjacent(left, right)
    if left is not None:
        return _hugs(_bits_down(left), 1)
    return right is not None and _hugs(_bits_down(right), 0)
