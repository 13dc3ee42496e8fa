"""RDEAL: an old member commits to its shares of a batch, dealt anew (epochs.md). One per dealer and resharing, ever."""

from __future__ import annotations

from functools import lru_cache

from msgspec.structs import replace

from abci_app.reshare.reshares import DEAL, as_dealer, put, require_phase
from abci_app.rules.events import Event
from abci_app.rules.transactions import Tx
from abci_app.sessions.sessions import with_item
from abci_app.state import batch_records as b
from abci_app.state import tables
from abci_app.state.state import State
from authnet_core.crypto import pok
from authnet_core.errors import Code, Rejected
from authnet_core.protocol.reshare.strings import deal_context
from authnet_core.wire.authnet_pb2 import ReshareDeal

_verify = lru_cache(maxsize=256)(pok.verify)


def check(state: State, tx: Tx) -> None:
    """Raise Rejected unless this is the dealer's only and well-formed deal of a resharing that still takes deals."""
    message: ReshareDeal = tx.message
    reshare, dealer = as_dealer(state, tx)
    require_phase(reshare, DEAL)
    if reshare.deals[dealer - 1] is not None:
        raise Rejected(Code.ALREADY_DONE, "one RDEAL per dealer and resharing, ever")
    if len(message.root) != 32:
        raise Rejected(Code.MALFORMED, "root must have 32 bytes")
    if any(deal is not None and deal.e == message.e for deal in reshare.deals):
        raise Rejected(Code.BAD_PROOF, "another dealer of this resharing uses this E")
    chain_id = state.need(tables.GENESIS).chain_id
    if not _verify(message.e, deal_context(chain_id, reshare.rid, dealer), message.pok):
        raise Rejected(Code.BAD_PROOF, "proof of knowledge of e does not verify")


def apply(state: State, tx: Tx) -> tuple[bytes, list[Event]]:
    """Keep the deal, and its signed bytes as long as somebody may complain about it."""
    message: ReshareDeal = tx.message
    reshare, dealer = as_dealer(state, tx)
    deal = b.ReshareDeal(e=message.e, pok=message.pok, root=message.root, height=state.block.height)
    put(state, replace(reshare, deals=with_item(reshare.deals, dealer, deal)))
    signed = state.need(tables.reshare_signed(reshare.rid))
    signed = replace(signed, deals=with_item(signed.deals, dealer, tx.raw))
    state.put(tables.reshare_signed(reshare.rid), signed)
    return b"", []
