"""ERASED: a member of a former committee says that its shares of that epoch are gone for good."""

from __future__ import annotations

from msgspec.structs import replace

from abci_app.rules.events import Event
from abci_app.rules.members import get_party
from abci_app.rules.transactions import Tx
from abci_app.state import tables
from abci_app.state.bits import bit
from abci_app.state.state import State
from authnet_core.errors import Code, Rejected
from authnet_core.wire.authnet_pb2 import Erased


def check(state: State, tx: Tx) -> None:
    """Raise Rejected before the grace is over: until then others count on the shares."""
    message: Erased = tx.message
    epoch, member = get_party(state, tx.signer, tx.epoch)
    if message.epoch != tx.epoch:
        raise Rejected(Code.MALFORMED, "the body names another epoch")
    if state.block.time_ms < epoch.grace_ends_ms:
        wait_ms = epoch.grace_ends_ms - state.block.time_ms
        raise Rejected(Code.WRONG_PHASE, f"shares of epoch {epoch.epoch} serve for {wait_ms} ms more")
    if epoch.erased & bit(member):
        raise Rejected(Code.ALREADY_DONE, "this member has erased its shares")


def apply(state: State, tx: Tx) -> tuple[bytes, list[Event]]:
    """Note it for everybody to see."""
    epoch, member = get_party(state, tx.signer, tx.epoch)
    state.put(tables.epoch(epoch.epoch), replace(epoch, erased=epoch.erased | bit(member)))
    return b"", []
