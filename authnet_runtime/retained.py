"""The sessions that some member still lacks, page by page: their whole list may be longer than one message."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

RETAINED_PAGE = 250


def all_retained(ask: Callable[[str], Any]) -> list[dict[str, Any]]:
    """Every retained session as plain JSON; `ask` answers a query path and may raise, or give None for no answer.

    The last page first: when a session goes from the list meanwhile, those behind it move to the front.
    """
    found: dict[str, dict[str, Any]] = {}
    first = ask("/sessions/retained/count") or 0
    while first > 0:
        first = max(0, first - RETAINED_PAGE)
        found |= {session["sid"]: session for session in ask(f"/sessions/retained/{first}/{RETAINED_PAGE}") or ()}
    return list(found.values())


def hold_all(sessions: list[dict[str, Any]], index: int) -> bool:
    """Whether member `index` holds every one of these sessions."""
    return all(index in session["holders"] for session in sessions)
