"""OPENED: a member holds good point lists of these dealers of Q and serves them (dkg.md step 6)."""

from __future__ import annotations

from msgspec.structs import replace

from abci_app.rules.events import Event
from abci_app.rules.transactions import Tx
from abci_app.sessions.sessions import CERTIFIED, OPENED, get_session, require_new_bits, require_phase, with_item
from abci_app.state import tables
from abci_app.state.bits import parties
from abci_app.state.state import State
from authnet_core.errors import Code, Rejected
from authnet_core.wire.authnet_pb2 import Opened


def check(state: State, tx: Tx) -> None:
    """Raise Rejected unless the bitmap gains bits, all of dealers in Q."""
    message: Opened = tx.message
    epoch, session, member = get_session(state, tx.signer, message.sid)
    require_phase(session, CERTIFIED, OPENED)
    require_new_bits(session.opened[member - 1], message.dealers, epoch.n)
    if not set(parties(message.dealers)) <= set(session.q):
        raise Rejected(Code.NOT_A_DEALER, "a dealer in the bitmap is not in Q")


def apply(state: State, tx: Tx) -> tuple[bytes, list[Event]]:
    """Add the bits."""
    message: Opened = tx.message
    _, session, member = get_session(state, tx.signer, message.sid)
    opened = with_item(session.opened, member, session.opened[member - 1] | message.dealers)
    state.put(tables.session(session.sid), replace(session, opened=opened))
    return b"", []
