"""RHAVE: a new member that was away now holds its shares of a final resharing, on disk (epochs.md)."""

from __future__ import annotations

from abci_app.reshare.reshares import FINAL, add_holder, as_receiver, require_phase
from abci_app.rules.events import Event
from abci_app.rules.transactions import Tx
from abci_app.state.bits import bit
from abci_app.state.state import State
from authnet_core.errors import Code, Rejected


def check(state: State, tx: Tx) -> None:
    """Raise Rejected unless the resharing is final and the member could and did not hold yet."""
    reshare, member = as_receiver(state, tx)
    require_phase(reshare, FINAL)
    if reshare.holders & bit(member):
        raise Rejected(Code.ALREADY_DONE, "the chain knows that this member holds the batch")


def apply(state: State, tx: Tx) -> tuple[bytes, list[Event]]:
    """Count the member among the holders."""
    reshare, member = as_receiver(state, tx)
    add_holder(state, reshare, member)
    return b"", []
