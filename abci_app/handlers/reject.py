"""REJECT: a member of the committee in charge does not hand its keys to the next one. More than t end the hand-over.

This stops an owner of the registry that announces nodes of its own; it can be said until the switch.
"""

from __future__ import annotations

from abci_app.handover import handover
from abci_app.handover.phases import ABORTED
from abci_app.rules.events import Event
from abci_app.rules.members import get_party
from abci_app.rules.transactions import Tx
from abci_app.state import tables
from abci_app.state.bits import bit
from abci_app.state.state import State
from authnet_core.errors import Code, Rejected
from authnet_core.wire.authnet_pb2 import Reject


def check(state: State, tx: Tx) -> None:
    """Raise Rejected unless it names the hand-over under way and the member has not rejected it yet."""
    message: Reject = tx.message
    _, member = get_party(state, tx.signer)
    known = state.get(tables.HANDOVER)
    if known is None or known.epoch != message.epoch:
        epoch = state.get(tables.epoch(message.epoch))
        if epoch is not None and epoch.status == ABORTED:
            raise Rejected(Code.EPOCH_REJECTED, f"the hand-over to epoch {message.epoch} has ended already")
        raise Rejected(Code.NO_HANDOVER, f"epoch {message.epoch} is not taking over")
    if known.record_hash != message.record_hash:
        raise Rejected(Code.NO_HANDOVER, f"epoch {message.epoch} was announced with another record")
    if known.rejected & bit(member):
        raise Rejected(Code.ALREADY_DONE, "this member has rejected it")


def apply(state: State, tx: Tx) -> tuple[bytes, list[Event]]:
    """Count it; the one after the t-th ends the hand-over."""
    _, member = get_party(state, tx.signer)
    return b"", handover.reject(state, member)
