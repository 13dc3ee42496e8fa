"""RFC 6962 trees: vectors, all small sizes, and what must not verify."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from authnet_core.crypto import merkle

VECTORS = json.loads((Path(__file__).parents[2] / "vectors/merkle_v1.json").read_text())["cases"]


def leaves_of(count: int) -> list[bytes]:
    return [b"%d" % number for number in range(count)]


@pytest.mark.parametrize("case", VECTORS, ids=lambda case: f"{len(case['leaves'])} leaves")
def test_vectors(case: dict[str, Any]) -> None:
    leaves = [bytes.fromhex(leaf) for leaf in case["leaves"]]
    assert merkle.root(leaves).hex() == case["root"]
    for index, path in enumerate(case["paths"]):
        assert [step.hex() for step in merkle.path(leaves, index)] == path
    for chunk, path in enumerate(case["chunk_paths_of_2"]):
        assert [step.hex() for step in merkle.chunk_path(leaves, chunk, 2)] == path


@pytest.mark.parametrize("count", [*range(1, 34), 1023, 1024, 1025, 2500])
def test_paths_of_leaves_and_chunks_verify(count: int) -> None:
    leaves = leaves_of(count)
    root = merkle.root(leaves)
    for index in {0, count // 2, count - 1}:
        path = merkle.path(leaves, index)
        assert merkle.verify(root, leaves[index], index, count, path)
        assert not merkle.verify(root, b"other", index, count, path)
        assert not merkle.verify(root, leaves[index], index, count, [*path, bytes(32)])
        if count > 1:
            assert not merkle.verify(root, leaves[index], (index + 1) % count, count, path)
            assert not merkle.verify(root, leaves[index], index, count, path[:-1])
    for size in (1, 4, 1024):
        for chunk in {0, (count - 1) // size}:
            part = leaves[chunk * size : (chunk + 1) * size]
            path = merkle.chunk_path(leaves, chunk, size)
            assert merkle.verify_chunk(root, part, chunk, count, path, size)
            assert not merkle.verify_chunk(root, [b"other", *part[1:]], chunk, count, path, size)
            assert not merkle.verify_chunk(root, part, chunk + 1, count, path, size)
            assert not merkle.verify_chunk(root, part[:-1], chunk, count, path, size)


def test_what_is_not_there_has_no_path() -> None:
    with pytest.raises(IndexError):
        merkle.path(leaves_of(3), 3)
    with pytest.raises(IndexError):
        merkle.chunk_path(leaves_of(3), 1, 4)
    with pytest.raises(ValueError, match="power of two"):
        merkle.chunk_path(leaves_of(3), 0, 3)
    assert not merkle.verify(merkle.root(leaves_of(3)), b"0", -1, 3, [])
    assert not merkle.verify(merkle.root(leaves_of(2)), b"0", 0, 2, [b"short"])
