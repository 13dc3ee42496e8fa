"""The sparse Merkle tree against a naive model, fixed vectors, and forged proofs."""

from __future__ import annotations

import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abci_app.state.proofs import to_ics23, to_json
from authnet_core.crypto import smt

VECTORS = json.loads((Path(__file__).parents[2] / "vectors/smt_v1.json").read_text())["cases"]


def naive_root(entries: dict[bytes, bytes]) -> bytes:
    """The definition, word for word."""

    def subtree(leaves: list[tuple[bytes, bytes]], depth: int) -> bytes:
        if not leaves:
            return bytes(32)
        if len(leaves) == 1:
            key_hash, value = leaves[0]
            return sha256(b"\x00" + key_hash + sha256(value).digest()).digest()
        sides: tuple[list[tuple[bytes, bytes]], list[tuple[bytes, bytes]]] = ([], [])
        for leaf in leaves:
            sides[leaf[0][depth // 8] >> (7 - depth % 8) & 1].append(leaf)
        return sha256(b"\x01" + subtree(sides[0], depth + 1) + subtree(sides[1], depth + 1)).digest()

    return subtree([(sha256(key).digest(), value) for key, value in entries.items()], 0)


class Tree:
    """A tree with its nodes in a dict."""

    def __init__(self, entries: dict[bytes, bytes] | None = None) -> None:
        self.nodes: dict[int, bytes] = {}
        self.entries: dict[bytes, bytes] = {}
        self.root = smt.ZERO
        self.apply(dict(entries or {}))

    def apply(self, changes: dict[bytes, bytes | None]) -> None:
        self.root, writes = smt.update(self.nodes.get, changes)
        for position, node in writes.items():
            if node is None:
                self.nodes.pop(position, None)
            else:
                self.nodes[position] = node
        for key, value in changes.items():
            if value is None:
                self.entries.pop(key, None)
            else:
                self.entries[key] = value

    def prove(self, key: bytes) -> smt.Presence | smt.Absence:
        return smt.prove(self.nodes.get, key, self.entries.get)


keys = st.integers(0, 30).map(lambda number: b"key%d" % number)
changes = st.dictionaries(keys, st.one_of(st.none(), st.binary(max_size=4)), max_size=12)


@settings(max_examples=60, deadline=None)
@given(st.lists(changes, max_size=8))
def test_batches_give_the_root_of_the_model_and_leave_no_stale_node(batches: list[dict[bytes, bytes | None]]) -> None:
    tree = Tree()
    for batch in batches:
        tree.apply(batch)
        assert tree.root == naive_root(tree.entries)
        assert tree.nodes == Tree(tree.entries).nodes


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(keys, st.binary(max_size=4), max_size=25), keys)
def test_every_proof_verifies_and_says_the_truth(entries: dict[bytes, bytes], key: bytes) -> None:
    tree = Tree(entries)
    proof = tree.prove(key)
    if key in entries:
        assert isinstance(proof, smt.Presence)
        assert smt.verify_presence(tree.root, key, entries[key], proof)
        assert not smt.verify_presence(tree.root, key, entries[key] + b"x", proof)
    else:
        assert isinstance(proof, smt.Absence)
        assert smt.verify_absence(tree.root, key, proof)
    assert not smt.verify_absence(tree.root, key, smt.Absence(key, None, None)) or not entries


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(keys, st.binary(max_size=4), min_size=2, max_size=25),
    st.data(),
)
def test_a_present_key_is_never_proven_absent(entries: dict[bytes, bytes], data: st.DataObject) -> None:
    """Any pair of true presence proofs as "neighbours" is tried around a key that is there."""
    tree = Tree(entries)
    proofs = [tree.prove(key) for key in sorted(entries)]
    sides: list[Any] = [None, *proofs]
    for key in entries:
        left, right = data.draw(st.sampled_from(sides)), data.draw(st.sampled_from(sides))
        assert not smt.verify_absence(tree.root, key, smt.Absence(key, left, right))


@pytest.mark.parametrize("case", VECTORS, ids=lambda case: f"{len(case['entries'])} entries")
def test_vectors(case: dict[str, Any]) -> None:
    tree = Tree({bytes.fromhex(key): bytes.fromhex(value) for key, value in case["entries"]})
    assert tree.root.hex() == case["root"]
    for expected in case["proofs"]:
        proof = tree.prove(bytes.fromhex(expected["proof"]["key"]))
        assert to_json(proof) == expected["proof"]
        assert to_ics23(proof).hex() == expected["ics23"]


@pytest.fixture
def tree() -> Tree:
    return Tree({b"key%d" % number: b"value" for number in range(20)})


def test_a_proof_is_of_one_key_value_and_root(tree: Tree) -> None:
    proof = tree.prove(b"key3")
    assert isinstance(proof, smt.Presence)
    assert not smt.verify_presence(tree.root, b"key4", b"value", proof)
    assert not smt.verify_presence(tree.root, b"key4", b"value", replace(proof, key=b"key4"))
    assert not smt.verify_presence(bytes(32), b"key3", b"value", proof)
    assert not smt.verify_presence(tree.root, b"key3", b"other", replace(proof, value=b"other"))


@pytest.mark.parametrize("siblings", [(), (b"short",), (bytes(32),) * 300])
def test_malformed_paths_are_refused(tree: Tree, siblings: tuple[bytes, ...]) -> None:
    proof = tree.prove(b"key3")
    assert isinstance(proof, smt.Presence)
    assert not smt.verify_presence(tree.root, b"key3", b"value", replace(proof, siblings=siblings))


def test_neighbours_that_are_not_side_by_side_prove_nothing(tree: Tree) -> None:
    ordered = sorted(tree.entries, key=lambda key: sha256(key).digest())
    first, last = tree.prove(ordered[0]), tree.prove(ordered[-1])
    assert isinstance(first, smt.Presence)
    assert isinstance(last, smt.Presence)
    absent = next(
        b"absent%d" % number
        for number in range(1000)
        if sha256(ordered[0]).digest() < sha256(b"absent%d" % number).digest() < sha256(ordered[-1]).digest()
    )
    assert not smt.verify_absence(tree.root, absent, smt.Absence(absent, first, last))
    assert not smt.verify_absence(tree.root, absent, smt.Absence(absent, first, None))
    assert not smt.verify_absence(tree.root, absent, smt.Absence(absent, None, last))
    true = tree.prove(absent)
    assert isinstance(true, smt.Absence)
    assert smt.verify_absence(tree.root, absent, true)
    assert not smt.verify_absence(tree.root, absent, smt.Absence(absent, true.right, true.left))
    assert not smt.verify_absence(tree.root, b"other", true)


def test_the_empty_tree() -> None:
    tree = Tree()
    assert tree.root == bytes(32)
    proof = tree.prove(b"x")
    assert isinstance(proof, smt.Absence)
    assert smt.verify_absence(tree.root, b"x", proof)


def test_removing_what_is_not_there_changes_nothing(tree: Tree) -> None:
    before = tree.root
    tree.apply({b"nobody": None})
    assert tree.root == before
