"""FALLBACK_SCALAR: the member's combination w_j under the one challenge that the chain fixed (dkg.md section 4, F)."""

from __future__ import annotations

from msgspec.structs import replace

from abci_app.rules.events import Event
from abci_app.rules.transactions import Tx
from abci_app.sessions.fallbacks import require_fallback, with_fallback
from abci_app.sessions.sessions import get_session, with_item
from abci_app.state import tables
from abci_app.state.state import State
from authnet_core.crypto.secp256k1 import parse_scalar
from authnet_core.errors import Code, Rejected
from authnet_core.wire.authnet_pb2 import FallbackScalar


def check(state: State, tx: Tx) -> None:
    """Raise Rejected unless it is the member's only scalar, canonical, and the challenge is fixed."""
    message: FallbackScalar = tx.message
    _, session, member = get_session(state, tx.signer, message.sid)
    fallback = require_fallback(session, member, message.dealer)
    if not fallback.seed:
        raise Rejected(Code.WRONG_PHASE, "the challenge is not fixed yet")
    if fallback.scalars[member - 1]:
        raise Rejected(Code.ALREADY_DONE, "one FALLBACK_SCALAR per session, dealer and member")
    try:
        parse_scalar(message.w)
    except ValueError:
        raise Rejected(Code.MALFORMED, "w is no canonical scalar") from None


def apply(state: State, tx: Tx) -> tuple[bytes, list[Event]]:
    """Keep the scalar."""
    message: FallbackScalar = tx.message
    _, session, member = get_session(state, tx.signer, message.sid)
    fallback = require_fallback(session, member, message.dealer)
    changed = replace(fallback, scalars=with_item(fallback.scalars, member, message.w))
    state.put(tables.session(session.sid), with_fallback(session, changed))
    return b"", []
