"""FINAL: a member vouches for the keys' root, its own shares and nonces being on disk (dkg.md step 7).

n-t equal roots make the session final. One that comes later, with the final root, says that its sender holds.
"""

from __future__ import annotations

from msgspec.structs import replace

from abci_app.rules.events import Event
from abci_app.rules.transactions import Tx
from abci_app.sessions.sessions import FINAL, OPENED, add_holder, get_session, require_ek, require_phase, with_item
from abci_app.state import tables
from abci_app.state.bits import bit
from abci_app.state.state import State
from authnet_core.errors import Code, Rejected
from authnet_core.wire.authnet_pb2 import Final


def check(state: State, tx: Tx) -> None:
    """Raise Rejected unless this is the member's only root for an opened or final session."""
    message: Final = tx.message
    _, session, member = get_session(state, tx.signer, message.sid)
    require_phase(session, OPENED, FINAL)
    require_ek(session, member)
    if len(message.root) != 32:
        raise Rejected(Code.MALFORMED, "the root must have 32 bytes")
    if session.finals[member - 1] or session.holders & bit(member):
        raise Rejected(Code.ALREADY_DONE, "one FINAL per member and session")
    if session.phase == FINAL and message.root != session.root:
        raise Rejected(Code.ROOT_MISMATCH, "the session became final with another root")


def apply(state: State, tx: Tx) -> tuple[bytes, list[Event]]:
    """Keep the root; whether n-t agree is seen at the end of the block."""
    message: Final = tx.message
    _, session, member = get_session(state, tx.signer, message.sid)
    session = replace(session, finals=with_item(session.finals, member, message.root))
    state.put(tables.session(session.sid), session)
    if session.phase == FINAL:
        add_holder(state, session, member)
    return b"", []
