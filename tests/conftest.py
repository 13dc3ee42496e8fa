"""Which tests may run side by side: all of one network in one worker, else those of a module.

(The marks of xdist's own `loadgroup` get lost with pytest 9.)
"""

from __future__ import annotations

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

NETWORKS = {
    "moving": ("tests/e2e/test_fork.py", "tests/e2e/test_keeper_crashes.py", "tests/e2e/test_rotation.py"),
    "small": (
        "tests/e2e/test_absence.py",
        "tests/e2e/test_coalition.py",
        "tests/e2e/test_leak.py",
        "tests/e2e/test_soak.py",
        "tests/e2e/test_genesis.py",
    ),
    "shipped": (
        "tests/e2e/test_abuse.py",
        "tests/e2e/test_accounts.py",
        "tests/e2e/test_conformance.py",
        "tests/e2e/test_ethereum.py",
        "tests/e2e/test_keys.py",
        "tests/e2e/test_localnet.py",
        "tests/e2e/test_thief.py",
    ),
}
"""Modules that share a network, in the order they run in: the last may break it. The longest group comes first, so
that no worker is left alone with one at the end."""
_GROUP = {module: group for group, modules in NETWORKS.items() for module in modules}
_PLACE = {module: place for modules in NETWORKS.values() for place, module in enumerate(modules)}
_ORDER = [*NETWORKS, "tests/e2e/", "tests/component/", "tests/sim/", "tests/"]


def group_of(nodeid: str) -> str:
    module = nodeid.partition("::")[0]
    return _GROUP.get(module, module)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: _turn(item.nodeid))


def _turn(nodeid: str) -> tuple[int, int]:
    """When a test runs: by group, then by module."""
    group = next(n for n, prefix in enumerate(_ORDER) if group_of(nodeid).startswith(prefix))
    return group, _PLACE.get(nodeid.partition("::")[0], 0)


class GroupScheduling(LoadScopeScheduling):  # type: ignore[misc]
    """One worker per group."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    return GroupScheduling(config, log)
