"""Networks that the acceptance tests share: `net` as shipped, `small` with a pool that is always being refilled."""

from __future__ import annotations

import pytest

from tests.conftest import group_of
from tests.e2e.net import Net
from tests.e2e.networks import QUICK, SHARED, SMALL_POOL


@pytest.fixture(scope="module")
def net() -> Net:
    """Five nodes in the shipped configuration. Tests leave it with all of them up."""
    return SHARED.get("net", {})


@pytest.fixture(scope="module")
def small() -> Net:
    """Five nodes with a small pool and quick hand-overs. Tests kill its nodes and leave it with all of them up."""
    return SHARED.get("small", SMALL_POOL | QUICK)


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """A network that no later test of this worker needs goes down at once: the machine is small."""
    if nextitem is None or group_of(nextitem.nodeid) != group_of(item.nodeid):
        SHARED.stop()
