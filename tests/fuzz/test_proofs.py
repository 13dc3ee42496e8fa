"""Proofs that somebody else made: whatever is spoilt in one, checking it raises nothing and it proves nothing new."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from typing import Any

import pytest

from authnet_core.crypto import dleq, ecdsa, merkle, pok, smt
from authnet_core.crypto.secp256k1 import pub
from tests.fuzz.target import Target

LEAVES = [b"leaf-%d" % number for number in range(11)]
ROOT = merkle.root(LEAVES)
SECRET, BASE = bytes([7]) * 32, pub(bytes([9]) * 32)
SHARED, PROOF = dleq.prove(SECRET, BASE, b"context", bytes(32))


@cache
def tree() -> tuple[bytes, dict[bytes, bytes], dict[int, bytes | None]]:
    values = {b"key-%d" % number: b"value-%d" % number for number in range(20)}
    root, nodes = smt.update(lambda _: None, values)
    return root, values, nodes


def dump(proof: Any) -> bytes:
    def plain(value: Any) -> Any:
        if isinstance(value, bytes):
            return value.hex()
        if isinstance(value, tuple | list):
            return [plain(each) for each in value]
        if isinstance(value, smt.Presence):
            return {"key": value.key.hex(), "value": value.value.hex(), "siblings": plain(value.siblings)}
        return value

    return json.dumps({name: plain(getattr(proof, name)) for name in proof.__slots__}).encode()


def _loaded(raw: bytes) -> Any:
    """The JSON object; None when it is no object or a field is no hex."""
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def presence(value: Any) -> smt.Presence:
    siblings = tuple(bytes.fromhex(sibling) for sibling in value["siblings"])
    return smt.Presence(bytes.fromhex(value["key"]), bytes.fromhex(value["value"]), siblings)


def check_presence(raw: bytes) -> None:
    root, values, _ = tree()
    try:
        proof = presence(_loaded(raw))
    except (KeyError, TypeError, ValueError):
        return
    if smt.verify_presence(root, proof.key, proof.value, proof):
        assert values.get(proof.key) == proof.value, "a proof of what is not there"


def check_absence(raw: bytes) -> None:
    root, values, _ = tree()
    value = _loaded(raw)
    try:
        sides = [presence(value[name]) if value[name] is not None else None for name in ("left", "right")]
        proof = smt.Absence(bytes.fromhex(value["key"]), *sides)
    except (KeyError, TypeError, ValueError):
        return
    for key in (proof.key, *list(values)[:3]):
        if smt.verify_absence(root, key, proof):
            assert key not in values, "a proof that what is there is not"


def proofs(present: bool) -> Callable[[], tuple[bytes, ...]]:
    def made() -> tuple[bytes, ...]:
        _, values, nodes = tree()
        names = list(values)[:4] if present else [b"nobody-%d" % number for number in range(6)]
        return tuple(dump(smt.prove(nodes.get, name, values.get)) for name in names)

    return made


def paths() -> tuple[bytes, ...]:
    return tuple(
        json.dumps(
            {"leaf": LEAVES[i].hex(), "index": i, "total": 11, "path": [p.hex() for p in merkle.path(LEAVES, i)]}
        ).encode()
        for i in (0, 5, 10)
    )


def check_path(raw: bytes) -> None:
    value = _loaded(raw)
    try:
        leaf, siblings = bytes.fromhex(value["leaf"]), [bytes.fromhex(each) for each in value["path"]]
        index, total = value["index"], value["total"]
    except (KeyError, TypeError, ValueError):
        return
    if type(index) is not int or type(total) is not int or total > 2**32:
        return
    if merkle.verify(ROOT, leaf, index, total, siblings):
        # The total is the chain's word, never the prover's; with the true one there is one leaf to a place.
        assert total != 11 or LEAVES[index] == leaf
    merkle.verify_chunk(ROOT, [leaf], index, total, siblings, 4)


def check_equality_proof(raw: bytes) -> None:
    shared, proof = raw[:33], raw[33:]
    if dleq.verify(pub(SECRET), BASE, shared, b"context", proof):
        assert (shared, proof) == (SHARED, PROOF) or shared == SHARED
    dleq.verify(shared, BASE, pub(SECRET), b"context", proof)
    dleq.verify(pub(SECRET), shared, BASE, b"context", proof)


def check_knowledge_proof(raw: bytes) -> None:
    public, proof = raw[:33], raw[33:]
    if pok.verify(public, b"context", proof):
        assert public == pub(SECRET)


def check_signature(raw: bytes) -> None:
    digest = sha256(b"signed").digest()
    if ecdsa.verify(pub(SECRET), digest, raw[:64]):
        assert raw[:64] == ecdsa.sign(SECRET, digest), "one signature, one encoding"
    found = ecdsa.recover(digest, raw[:65])
    assert found is None or len(found) == 33
    ecdsa.verify(raw[:33], digest, raw[33:97])
    ecdsa.verify_recoverable(raw[:33], digest, raw[33:98])


def _known() -> tuple[bytes, ...]:
    return (pub(SECRET) + pok.prove(SECRET, b"context", bytes(32)),)


def _signed() -> tuple[bytes, ...]:
    return (ecdsa.sign_recoverable(SECRET, sha256(b"signed").digest()),)


TARGETS = (
    Target("presence", "json", proofs(True), check_presence),
    Target("absence", "json", proofs(False), check_absence),
    Target("merkle_paths", "json", paths, check_path),
    Target("dleq", "bytes", lambda: (SHARED + PROOF,), check_equality_proof, 40),
    Target("pok", "bytes", _known, check_knowledge_proof, 40),
    Target("signatures", "bytes", _signed, check_signature),
)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_proofs_of_others(target: Target) -> None:
    target.slice()
