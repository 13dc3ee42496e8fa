"""The newest app hashes, while a committee hands over: an incoming node shows by one that its chain has caught up.

The list is a part of the state, so a block that changes nothing else must not write it: an idle chain comes to rest.
"""

from __future__ import annotations

from collections.abc import Callable

from abci_app.state import records_handover as rh
from abci_app.state import tables
from abci_app.state.state import State, encode

KEPT = 64


def is_root(state: State, height: int, app_hash: bytes) -> bool:
    """Whether `app_hash` was the root after block `height`, as far as is remembered."""
    if height >= state.block.height:
        return False
    for root in (state.get(tables.ROOTS) or rh.Roots()).roots:
        if height <= root.height:
            return app_hash == root.app_hash
    return app_hash == state.root


def note(state: State, committed: Callable[[bytes], bytes | None]) -> None:
    """Last thing in a block: remember the root that it replaces. `committed` gives the value under a tree key."""
    if state.get(tables.HANDOVER) is None or not _has_news(state, committed):
        return
    known = (state.get(tables.ROOTS) or rh.Roots()).roots
    newest = rh.Root(state.block.height - 1, state.root)
    state.put(tables.ROOTS, rh.Roots((*known, newest)[-KEPT:]))


def _has_news(state: State, committed: Callable[[bytes], bytes | None]) -> bool:
    return any((None if record is None else encode(record)) != committed(key) for key, record in state.changes.items())
