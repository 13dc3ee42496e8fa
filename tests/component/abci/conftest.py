"""A node with a fresh chain; skipped when the pinned CometBFT is not installed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.component.abci.node import Node, find_cometbft


@pytest.fixture
def node() -> Iterator[Node]:
    binary = find_cometbft()
    if binary is None:
        pytest.skip("cometbft is not installed: run make setup")
    # A short path: unix socket names have 108 bytes.
    with tempfile.TemporaryDirectory(prefix="an") as folder:
        one = Node(Path(folder), binary)
        yield one
        one.close()
