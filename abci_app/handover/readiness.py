"""Encryption keys of an epoch and the next one: which counter is next, and who of the next committee is ready."""

from __future__ import annotations

from abci_app.state import records_handover as rh
from abci_app.state import tables
from abci_app.state.state import Reader


def get_next_counter(state: Reader, epoch: int) -> int:
    """The counter of the next session of this epoch, or while it is the next one of the next resharing."""
    handover = state.get(tables.HANDOVER)
    if handover is not None and handover.epoch == epoch:
        return handover.next_counter
    keygen = state.get(tables.KEYGEN)
    return 0 if keygen is None else keygen.next_counter


def ready_members(state: Reader, handover: rh.Handover) -> tuple[int, ...]:
    """Those whose chain is up and that have an encryption key for the next resharing."""
    found = []
    for member, node in enumerate(handover.ready_nodes, start=1):
        keys = state.get(tables.enckeys(handover.epoch, member)) if node is not None else None
        if keys is not None and keys.key_at(handover.next_counter):
            found.append(member)
    return tuple(found)


def count_ready(state: Reader, handover: rh.Handover) -> int:
    return len(ready_members(state, handover))
