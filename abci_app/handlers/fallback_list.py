"""FALLBACK_LIST: hash of the member's own points of a dealer of Q that did not open (dkg.md section 4, F)."""

from __future__ import annotations

from msgspec.structs import replace

from abci_app.rules.events import Event
from abci_app.rules.transactions import Tx
from abci_app.sessions.fallbacks import require_fallback, with_fallback
from abci_app.sessions.sessions import get_session, with_item
from abci_app.state import tables
from abci_app.state.state import State
from authnet_core.errors import Code, Rejected
from authnet_core.wire.authnet_pb2 import FallbackList


def check(state: State, tx: Tx) -> None:
    """Raise Rejected unless it is the member's only hash, before the challenge is fixed."""
    message: FallbackList = tx.message
    _, session, member = get_session(state, tx.signer, message.sid)
    fallback = require_fallback(session, member, message.dealer)
    if fallback.seed:
        raise Rejected(Code.WRONG_PHASE, "the challenge is fixed: no list may be chosen after it")
    if fallback.lists[member - 1]:
        raise Rejected(Code.ALREADY_DONE, "one FALLBACK_LIST per session, dealer and member")
    if len(message.list_hash) != 32:
        raise Rejected(Code.MALFORMED, "list_hash must have 32 bytes")


def apply(state: State, tx: Tx) -> tuple[bytes, list[Event]]:
    """Keep the hash; the challenge is fixed at the end of the block."""
    message: FallbackList = tx.message
    _, session, member = get_session(state, tx.signer, message.sid)
    fallback = require_fallback(session, member, message.dealer)
    changed = replace(fallback, lists=with_item(fallback.lists, member, message.list_hash))
    state.put(tables.session(session.sid), with_fallback(session, changed))
    return b"", []
