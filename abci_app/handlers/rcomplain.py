"""RCOMPLAIN: a new member shows that an old dealer's ciphertext for it fails the test, or is convicted itself.

As COMPLAIN of the key generation: well-formed bytes are accepted whoever they convict, and judged in their block.
"""

from __future__ import annotations

from msgspec.structs import replace

from abci_app.reshare.blame import convict, judge, kept_case, malformed
from abci_app.reshare.reshares import (
    ACK,
    FINAL,
    READY,
    TEST,
    as_receiver,
    old_committee,
    put,
    require_phase,
    upheld_dealers,
)
from abci_app.rules.events import Event
from abci_app.rules.quotas import charge, require_complaint
from abci_app.rules.transactions import Tx
from abci_app.sessions.dealers import get_convicts
from abci_app.state import batch_records as b
from abci_app.state import records as r
from abci_app.state import tables
from abci_app.state.bits import bit
from abci_app.state.state import State
from authnet_core.errors import Code, Rejected
from authnet_core.wire.authnet_pb2 import ReshareComplain
from authnet_core.wire.reshare_blame import complain_of


def check(state: State, tx: Tx) -> None:
    """Raise Rejected unless the member may complain about this dealer, once, in bytes that can be judged."""
    message: ReshareComplain = tx.message
    reshare, member = as_receiver(state, tx)
    require_phase(reshare, TEST, ACK, READY, FINAL)
    if not 1 <= message.dealer <= len(reshare.deals) or not reshare.tests[message.dealer - 1]:
        raise Rejected(Code.NOT_A_DEALER, "the dealer has no RTEST on chain")
    if state.get(tables.reshare_signed(reshare.rid)) is None:
        raise Rejected(Code.WRONG_PHASE, "all hold the batch")
    if reshare.holders & bit(member):
        raise Rejected(Code.ALREADY_DONE, "the member holds the batch")
    if any((c.dealer, c.complainer) == (message.dealer, member) for c in reshare.complaints):
        raise Rejected(Code.ALREADY_DONE, "one RCOMPLAIN per resharing, dealer and complainer")
    if get_convicts(state, reshare.to_epoch).liars & bit(member):
        raise Rejected(Code.CONVICTED, "the member lied in a complaint of its epoch")
    _check_recoverable(reshare, message.dealer)
    require_complaint(state, reshare.to_epoch, member)
    if reason := malformed(state, reshare, complain_of(message)):
        raise Rejected(Code.MALFORMED, reason)


def _check_recoverable(reshare: b.Reshare, dealer: int) -> None:
    """Late recovery of Q' answers for at most t dealers: k - t of it stay unread."""
    if reshare.phase == FINAL and dealer in reshare.q:
        named = upheld_dealers(reshare) & set(reshare.q) | {dealer}
        if len(named) > old_committee(reshare).t:
            raise Rejected(Code.RECOVERY_CLOSED, "as many dealers of this resharing as may be are convicted already")


def apply(state: State, tx: Tx) -> tuple[bytes, list[Event]]:
    """Judge it, keep the result, convict."""
    message: ReshareComplain = tx.message
    reshare, member = as_receiver(state, tx)
    upheld = judge(state, reshare, member, complain_of(message)).convict_is_dealer
    found = r.Complaint(message.dealer, member, upheld, state.block.height)
    reshare = replace(reshare, complaints=(*reshare.complaints, found))
    put(state, reshare)
    state.complaints[reshare.to_epoch, member] += 1
    charge(state, reshare.to_epoch, member, complaints=1)
    return b"", convict(state, reshare, found, kept_case(state, reshare, message.dealer), tx.raw)
