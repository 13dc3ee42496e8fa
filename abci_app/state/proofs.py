"""Proofs as they travel: JSON on read.sock, and ICS23's CommitmentProof (SmtSpec) in ABCI's proof ops.

Source: cosmos/ics23 v0.11, proofs.proto; the shape is in docs/protocol/chain.md.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from authnet_core.crypto import smt

ICS23_OP = "ics23:smt"
_LEAF_OP = bytes.fromhex("08011001180120002a0100")
"""LeafOp{hash SHA256, prehash_key SHA256, prehash_value SHA256, length NO_PREFIX, prefix 00}."""


def to_json(proof: smt.Presence | smt.Absence) -> dict[str, Any]:
    """{"key", "value", "siblings"} from leaf to root, or {"key", "left", "right"} for absence; bytes in hex."""
    if isinstance(proof, smt.Presence):
        siblings = [sibling.hex() for sibling in proof.siblings]
        return {"key": proof.key.hex(), "value": proof.value.hex(), "siblings": siblings}
    left, right = proof.left, proof.right
    return {
        "key": proof.key.hex(),
        "left": None if left is None else to_json(left),
        "right": None if right is None else to_json(right),
    }


def _field(number: int, content: bytes) -> bytes:
    size, length = len(content), b""
    while size > 127:
        length += bytes([size & 127 | 128])
        size >>= 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + content


def _inner_op(bit: int, sibling: bytes) -> bytes:
    """InnerOp{hash SHA256, prefix, suffix}: a right child has its sibling in front."""
    prefix, suffix = (b"\x01" + sibling, b"") if bit else (b"\x01", sibling)
    return b"\x08\x01" + _field(2, prefix) + (_field(3, suffix) if suffix else b"")


def _existence(proof: smt.Presence) -> bytes:
    place, depth = int.from_bytes(sha256(proof.key).digest(), "big"), len(proof.siblings)
    encoded = _field(1, proof.key) + _field(2, proof.value) + _field(3, _LEAF_OP)
    for level, sibling in enumerate(proof.siblings):
        encoded += _field(4, _inner_op(place >> (256 - depth + level) & 1, sibling))
    return encoded


def to_ics23(proof: smt.Presence | smt.Absence) -> bytes:
    """CommitmentProof{exist} or CommitmentProof{nonexist}."""
    if isinstance(proof, smt.Presence):
        return _field(1, _existence(proof))
    encoded = _field(1, proof.key)
    for number, neighbour in ((2, proof.left), (3, proof.right)):
        if neighbour is not None:
            encoded += _field(number, _existence(neighbour))
    return _field(2, encoded)
