"""RTEST: a dealer answers the common challenge with u_j, which tests its ciphertexts and its constant (epochs.md)."""

from __future__ import annotations

from msgspec.structs import replace

from abci_app.reshare.reshares import TEST, as_dealer, new_committee, put, require_phase
from abci_app.rules.events import Event
from abci_app.rules.transactions import Tx
from abci_app.sessions.sessions import require_scalars, with_item
from abci_app.state import tables
from abci_app.state.state import State
from authnet_core.errors import Code, Rejected
from authnet_core.wire.authnet_pb2 import ReshareTest


def check(state: State, tx: Tx) -> None:
    """Raise Rejected unless this is the only answer of a dealer in D, before the cut-off."""
    message: ReshareTest = tx.message
    reshare, dealer = as_dealer(state, tx)
    require_phase(reshare, TEST)
    if dealer not in reshare.dealers:
        raise Rejected(Code.NOT_A_DEALER, "the dealer is not in D")
    if reshare.tests[dealer - 1]:
        raise Rejected(Code.ALREADY_DONE, "one RTEST per dealer and resharing, ever")
    if message.gamma_seed != reshare.gamma_seed:
        raise Rejected(Code.MALFORMED, "an answer to another challenge than the chain's")
    require_scalars(message.u, new_committee(reshare).k)


def apply(state: State, tx: Tx) -> tuple[bytes, list[Event]]:
    """Keep it, and its signed bytes as long as somebody may complain about the dealer."""
    message: ReshareTest = tx.message
    reshare, dealer = as_dealer(state, tx)
    put(state, replace(reshare, tests=with_item(reshare.tests, dealer, tuple(message.u))))
    signed = state.need(tables.reshare_signed(reshare.rid))
    signed = replace(signed, tests=with_item(signed.tests, dealer, tx.raw))
    state.put(tables.reshare_signed(reshare.rid), signed)
    return b"", []
