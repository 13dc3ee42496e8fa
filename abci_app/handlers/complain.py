"""COMPLAIN: a receiver shows that a dealer's ciphertext for it fails the test, or is convicted itself (dkg.md step 2).

Well-formed bytes are accepted whoever they convict, so nothing is judged before a block: CheckTx stays cheap.
"""

from __future__ import annotations

from msgspec.structs import replace

from abci_app.rules.events import Event
from abci_app.rules.quotas import charge, require_complaint
from abci_app.rules.transactions import Tx
from abci_app.sessions.complaints import convict, deal_of, judge, params_of
from abci_app.sessions.dealers import get_convicts
from abci_app.sessions.sessions import (
    CERTIFIED,
    DEAL,
    FINAL,
    OPENED,
    committee_of,
    get_session,
    require_ek,
    require_phase,
    upheld_dealers,
)
from abci_app.state import records as r
from abci_app.state import tables
from abci_app.state.bits import bit
from abci_app.state.state import State
from authnet_core.errors import Code, Rejected
from authnet_core.protocol.dkg.complaint import is_about, malformed
from authnet_core.wire.authnet_pb2 import Complain
from authnet_core.wire.blame import complain_of


def check(state: State, tx: Tx) -> None:
    """Raise Rejected unless the member may complain about this dealer, once, in bytes that can be judged."""
    message: Complain = tx.message
    epoch, session, member = get_session(state, tx.signer, message.sid)
    require_phase(session, DEAL, CERTIFIED, OPENED, FINAL)
    require_ek(session, member)
    _check_dealer(session, member, message.dealer)
    if state.get(tables.dealt(session.sid)) is None:
        raise Rejected(Code.WRONG_PHASE, "the session is retained no longer")
    if any((c.dealer, c.complainer) == (message.dealer, member) for c in session.complaints):
        raise Rejected(Code.ALREADY_DONE, "one COMPLAIN per session, dealer and complainer")
    if get_convicts(state, epoch.epoch).liars & bit(member):
        raise Rejected(Code.CONVICTED, "the member lied in a complaint of this epoch")
    _check_recoverable(session, message.dealer)
    require_complaint(state, epoch.epoch, member)
    _check_form(state, session, message)


def _check_dealer(session: r.Session, member: int, dealer: int) -> None:
    if not 1 <= dealer <= len(session.deals) or session.deals[dealer - 1] is None:
        raise Rejected(Code.NOT_A_DEALER, "the dealer has no DEAL on chain")
    if dealer == member:
        raise Rejected(Code.NOT_A_DEALER, "nobody complains about its own deal")


def _check_recoverable(session: r.Session, dealer: int) -> None:
    """Late recovery of a final session answers for at most t dealers (dkg.md step C)."""
    if session.phase == FINAL and dealer in session.q:
        named = upheld_dealers(session) & set(session.q) | {dealer}
        if len(named) > committee_of(session).t:
            raise Rejected(Code.RECOVERY_CLOSED, "as many dealers of this session as may be are convicted already")


def _check_form(state: State, session: r.Session, message: Complain) -> None:
    complain, deal = complain_of(message), session.deals[message.dealer - 1]
    if reason := malformed(params_of(state, session), complain):
        raise Rejected(Code.MALFORMED, reason)
    if deal is None or not is_about(deal_of(session.sid, deal), complain):
        raise Rejected(Code.MALFORMED, "complaint about another DEAL than the one on chain")


def apply(state: State, tx: Tx) -> tuple[bytes, list[Event]]:
    """Judge it, keep the result, convict."""
    message: Complain = tx.message
    _, session, member = get_session(state, tx.signer, message.sid)
    judgement = judge(state, session, member, complain_of(message))
    found = r.Complaint(message.dealer, member, judgement.convict_is_dealer, state.block.height)
    session = replace(session, complaints=(*session.complaints, found))
    state.put(tables.session(session.sid), session)
    state.complaints[session.epoch, member] += 1
    charge(state, session.epoch, member, complaints=1)
    deal = state.need(tables.dealt(session.sid)).txs[message.dealer - 1]
    return b"", convict(state, session, found, deal, tx.raw)
