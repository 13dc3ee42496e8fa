"""Networks that the acceptance tests share: `net` as shipped, `small` with a pool that is always being refilled."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.net import Net
from tests.e2e.networks import small, temporary

__all__ = ["net", "small"]


@pytest.fixture(scope="session")
def net() -> Iterator[Net]:
    """Five nodes in the shipped configuration. Tests leave it with all of them up."""
    with temporary(5, params={}) as running:
        yield running
