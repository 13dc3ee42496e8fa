"""ACK: a member holds good shares and the bundle of these dealers, on disk (dkg.md step 2)."""

from __future__ import annotations

from msgspec.structs import replace

from abci_app.rules.events import Event
from abci_app.rules.transactions import Tx
from abci_app.sessions.sessions import DEAL, get_session, require_ek, require_new_bits, require_phase, with_item
from abci_app.state import tables
from abci_app.state.bits import parties
from abci_app.state.state import State
from authnet_core.errors import Code, Rejected
from authnet_core.wire.authnet_pb2 import Ack


def check(state: State, tx: Tx) -> None:
    """Raise Rejected unless the bitmap gains bits, all of dealers whose DEAL is on chain."""
    message: Ack = tx.message
    epoch, session, member = get_session(state, tx.signer, message.sid)
    require_phase(session, DEAL)
    require_ek(session, member)
    require_new_bits(session.acks[member - 1], message.dealers, epoch.n)
    if any(session.deals[dealer - 1] is None for dealer in parties(message.dealers)):
        raise Rejected(Code.NOT_A_DEALER, "a dealer in the bitmap has no DEAL on chain")


def apply(state: State, tx: Tx) -> tuple[bytes, list[Event]]:
    """Add the bits; Q is fixed at the end of the block."""
    message: Ack = tx.message
    _, session, member = get_session(state, tx.signer, message.sid)
    acks = with_item(session.acks, member, session.acks[member - 1] | message.dealers)
    state.put(tables.session(session.sid), replace(session, acks=acks))
    return b"", []
