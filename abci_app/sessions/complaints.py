"""Complaints on chain: what one is judged by, who is convicted for it, and the evidence that is kept.

A judgement is a function of the session's parameters, the DEAL and the COMPLAIN alone, so it is made once per node.
Source: docs/protocol/dkg.md step 2 and section 4 (R).
"""

from __future__ import annotations

from functools import lru_cache

from msgspec.structs import replace

from abci_app.rules.events import Event, event
from abci_app.sessions.dealers import get_convicts
from abci_app.state import records as r
from abci_app.state import tables
from abci_app.state.bits import bit
from abci_app.state.state import Reader, State
from authnet_core.protocol.committee import Committee
from authnet_core.protocol.dkg import complaint, messages
from authnet_core.protocol.dkg.params import SessionParams
from authnet_core.wire.blame import Case
from authnet_core.wire.tx import decode_signed

_session_params = lru_cache(maxsize=64)(SessionParams)
_judge = lru_cache(maxsize=64)(complaint.judge)


def params_of(state: Reader, session: r.Session | r.Blame, chain_id: str = "") -> SessionParams:
    """The session's parameters as the protocol has them. `chain_id`: if it is not this chain's own."""
    genesis, epoch = state.get(tables.GENESIS), state.get(tables.epoch(session.epoch))
    if genesis is None or epoch is None:
        raise LookupError(f"the state lacks epoch {session.epoch}")
    return _session_params(
        chain_id=chain_id or genesis.chain_id,
        epoch=session.epoch,
        counter=session.counter,
        committee=Committee.of(epoch.n),
        committee_hash=epoch.committee_hash,
        rows=session.rows,
        eks=session.eks,
        curve=session.curve,
    )


def deal_of(sid: bytes, deal: r.Deal) -> messages.Deal:
    """The protocol's form of a DEAL in a session's record."""
    return messages.Deal(sid, deal.e, deal.pok, deal.root, deal.list_hash, deal.nonce_hash, deal.u)


def judge(state: State, session: r.Session, complainer: int, complain: messages.Complain) -> complaint.Judgement:
    """Who is convicted by a complaint that the rules let in."""
    deal = session.deals[complain.dealer - 1]
    if deal is None:
        raise LookupError("a complaint about a dealer without a DEAL was let in")
    return _judge(params_of(state, session), deal_of(session.sid, deal), complainer, complain)


def convict(state: State, session: r.Session, found: r.Complaint, deal: bytes, complain: bytes) -> list[Event]:
    """Keep the conviction, and its evidence if the convict has none in this epoch: at most n a epoch."""
    party, accuser = (found.dealer, found.complainer) if found.upheld else (found.complainer, found.dealer)
    known = get_convicts(state, session.epoch)
    if found.upheld:
        convicts = replace(known, dealers=known.dealers | bit(party))
    else:
        convicts = replace(known, liars=known.liars | bit(party))
    state.put(tables.convicts(session.epoch), convicts)
    if known.all & bit(party):
        return []
    number = (state.get(tables.BLAME_COUNT) or r.BlameCount()).count
    record = r.Blame(
        number=number,
        epoch=session.epoch,
        convict=party,
        accuser=accuser,
        height=state.block.height,
        sid=session.sid,
        curve=session.curve,
        counter=session.counter,
        rows=session.rows,
        eks=session.eks,
        deal=deal,
        complain=complain,
    )
    state.put(tables.blame(number), record)
    state.put(tables.BLAME_COUNT, r.BlameCount(number + 1))
    return [event("blame", number=number, epoch=session.epoch, convict=party, accuser=accuser, sid=session.sid.hex())]


def case_of(state: Reader, record: r.Blame) -> Case:
    """What a conviction can be judged again from."""
    epoch = state.get(tables.epoch(record.epoch))
    identities = tuple(member.identity for member in epoch.members) if epoch is not None else ()
    # A chain that began from another one's state keeps the other's convictions: what was signed names its chain.
    chain_id = decode_signed(record.deal)[1].chain_id
    return Case(params_of(state, record, chain_id), identities, record.deal, record.complain)
