"""HAVE: a member that was away now holds all its shares of a final session, on disk (dkg.md step 7)."""

from __future__ import annotations

from abci_app.rules.events import Event
from abci_app.rules.transactions import Tx
from abci_app.sessions.sessions import FINAL, add_holder, get_session, require_ek, require_phase
from abci_app.state.bits import bit
from abci_app.state.state import State
from authnet_core.errors import Code, Rejected
from authnet_core.wire.authnet_pb2 import Have


def check(state: State, tx: Tx) -> None:
    """Raise Rejected unless the session is final and the member could and did not hold yet."""
    message: Have = tx.message
    _, session, member = get_session(state, tx.signer, message.sid)
    require_phase(session, FINAL)
    require_ek(session, member)
    if session.holders & bit(member):
        raise Rejected(Code.ALREADY_DONE, "the chain knows that this member holds the session")


def apply(state: State, tx: Tx) -> tuple[bytes, list[Event]]:
    """Count the member among the holders."""
    message: Have = tx.message
    _, session, member = get_session(state, tx.signer, message.sid)
    add_holder(state, session, member)
    return b"", []
