"""Which tests may run side by side: one worker for all tests of a shared network, one for those of a module."""

from __future__ import annotations

import pytest

SHARED_NETWORKS = ("net", "small")
_FIRST = ("tests/e2e", "tests/component", "tests/sim")
"""The longest come first, so that no worker is left alone with one at the end."""


@pytest.hookimpl(tryfirst=True)  # before xdist reads the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_group(item)))
    items.sort(key=_rank)


def _group(item: pytest.Item) -> str:
    fixtures = getattr(item, "fixturenames", ())
    shared = [name for name in SHARED_NETWORKS if name in fixtures]
    if shared and item.nodeid.startswith("tests/e2e"):
        return shared[0]
    return item.nodeid.partition("::")[0]


def _rank(item: pytest.Item) -> tuple[int, str]:
    folder = next((n for n, prefix in enumerate(_FIRST) if item.nodeid.startswith(prefix)), len(_FIRST))
    group = next(item.iter_markers("xdist_group")).args[0] if folder == 0 else ""
    return folder, group
