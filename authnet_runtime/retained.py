"""What members hold and lack, page by page: the whole list may be longer than one message."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

RETAINED_COUNT = "/sessions/retained/count"
RETAINED_PAGE = 250
BATCH_PAGE = 100


def retained_pages(count: int) -> Iterator[str]:
    """The query paths of all `count` of them, the last page first.

    When a session goes from the list meanwhile, those behind it move to the front: into a page that comes later.
    """
    first = count
    while first > 0:
        first = max(0, first - RETAINED_PAGE)
        yield f"/sessions/retained/{first}/{RETAINED_PAGE}"


def all_retained(ask: Callable[[str], Any]) -> list[dict[str, Any]]:
    """Every retained session as plain JSON; `ask` answers a query path and may raise, or give None for no answer."""
    found: dict[str, dict[str, Any]] = {}
    for path in retained_pages(ask(RETAINED_COUNT) or 0):
        found |= {session["sid"]: session for session in ask(path) or ()}
    return list(found.values())


def all_batches(ask: Callable[[str], Any], epoch: int) -> list[dict[str, Any]]:
    """The batches that resharings brought to a committee; those it made itself are among the retained sessions."""
    found: list[dict[str, Any]] = []
    first = 0
    while epoch > 1:
        page = ask(f"/batches/{epoch}/{first}/{BATCH_PAGE}") or []
        found += page
        if len(page) < BATCH_PAGE:
            break
        first = page[-1]["first_index"] + page[-1]["count"]
    return found


def hold_all(listed: list[dict[str, Any]], index: int) -> bool:
    """Whether member `index` holds every one of these sessions or batches."""
    return all(index in entry["holders"] for entry in listed)
