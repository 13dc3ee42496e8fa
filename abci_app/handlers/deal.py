"""DEAL: a dealer commits to its sharings of one session (dkg.md step 1). One per dealer and session, ever."""

from __future__ import annotations

from functools import lru_cache

from msgspec.structs import replace

from abci_app.rules.events import Event
from abci_app.rules.transactions import Tx
from abci_app.sessions.sessions import DEAL, get_session, require_phase, require_scalars, with_item
from abci_app.state import records as r
from abci_app.state import tables
from abci_app.state.bits import bit
from abci_app.state.state import State
from authnet_core.crypto import pok
from authnet_core.errors import Code, Rejected
from authnet_core.protocol.dkg.strings import deal_context
from authnet_core.wire.authnet_pb2 import Deal

_verify = lru_cache(maxsize=256)(pok.verify)


def check(state: State, tx: Tx) -> None:
    """Raise Rejected unless this is the dealer's only and well-formed deal of an open session."""
    message: Deal = tx.message
    epoch, session, dealer = get_session(state, tx.signer, message.sid)
    require_phase(session, DEAL)
    if session.left_out & bit(dealer):
        raise Rejected(
            Code.NOT_A_DEALER, "left out of this session: convicted in this epoch, or its lists did not open"
        )
    if session.deals[dealer - 1] is not None:
        raise Rejected(Code.ALREADY_DONE, "one DEAL per dealer and session, ever")
    for name in ("root", "list_hash", "nonce_hash"):
        if len(getattr(message, name)) != 32:
            raise Rejected(Code.MALFORMED, f"{name} must have 32 bytes")
    require_scalars(message.u, epoch.k)
    if any(deal is not None and deal.e == message.e for deal in session.deals):
        raise Rejected(Code.BAD_PROOF, "another dealer of this session uses this E")
    chain_id = state.need(tables.GENESIS).chain_id
    if not _verify(message.e, deal_context(chain_id, session.sid, dealer), message.pok):
        raise Rejected(Code.BAD_PROOF, "proof of knowledge of e does not verify")


def apply(state: State, tx: Tx) -> tuple[bytes, list[Event]]:
    """Keep the deal, and its signed bytes as long as somebody may complain about it."""
    message: Deal = tx.message
    _, session, dealer = get_session(state, tx.signer, message.sid)
    deal = r.Deal(
        e=message.e,
        pok=message.pok,
        root=message.root,
        list_hash=message.list_hash,
        nonce_hash=message.nonce_hash,
        u=tuple(message.u),
        height=state.block.height,
    )
    deals = with_item(session.deals, dealer, deal)
    state.put(tables.session(session.sid), replace(session, deals=deals))
    signed = state.get(tables.dealt(session.sid)) or r.Dealt((b"",) * len(deals))
    state.put(tables.dealt(session.sid), r.Dealt(with_item(signed.txs, dealer, tx.raw)))
    return b"", []
