"""Convictions in a resharing: of old dealers whose shares fail the test or whose constant is not their own share, and
of new members whose complaint is a lie. The evidence is what was signed.
"""

from __future__ import annotations

from functools import lru_cache

from msgspec.structs import replace

from abci_app.reshare.reshares import params_of, params_of_case
from abci_app.rules.events import Event, event
from abci_app.sessions.dealers import get_convicts
from abci_app.state import batch_records as b
from abci_app.state import records as r
from abci_app.state import tables
from abci_app.state.bits import bit
from abci_app.state.state import Reader, State, decode, encode
from authnet_core.protocol.reshare import complaint, messages
from authnet_core.wire.authnet_pb2 import ReshareComplain
from authnet_core.wire.tx import decode_signed

LIAR = "the constant of its answer is off the polynomial on which k + t dealers and the public keys agree"
_judge = lru_cache(maxsize=64)(complaint.judge)


def complain_of(message: ReshareComplain) -> messages.ReshareComplain:
    """The protocol's form of an RCOMPLAIN transaction."""
    return messages.ReshareComplain(
        rid=message.rid,
        dealer=message.dealer,
        shared=message.shared,
        dleq=message.dleq,
        ciphertext=message.ciphertext,
        leaves=tuple(message.leaves),
        deal_hash=message.deal_hash,
    )


def _dealt(reshare: b.Reshare, dealer: int) -> tuple[messages.ReshareDeal, messages.ReshareTest]:
    deal = reshare.deals[dealer - 1]
    if deal is None:
        raise LookupError("a complaint about a dealer without an RDEAL was let in")
    return (
        messages.ReshareDeal(reshare.rid, deal.e, deal.pok, deal.root),
        messages.ReshareTest(reshare.rid, reshare.tests[dealer - 1]),
    )


def malformed(state: Reader, reshare: b.Reshare, complain: messages.ReshareComplain) -> str | None:
    """Why nobody can be judged by it: lengths, or it is about another RDEAL, challenge or RTEST."""
    if reason := complaint.malformed(params_of(state, reshare), complain):
        return reason
    deal, test = _dealt(reshare, complain.dealer)
    if not complaint.is_about(deal, reshare.gamma_seed, test, complain):
        return "complaint about another RDEAL or RTEST than those on chain"
    return None


def judge(
    state: Reader, reshare: b.Reshare, complainer: int, complain: messages.ReshareComplain
) -> complaint.Judgement:
    """Who is convicted by a complaint that the rules let in."""
    deal, test = _dealt(reshare, complain.dealer)
    return _judge(params_of(state, reshare), deal, reshare.gamma_seed, test, complainer, complain)


def case_of(state: State, reshare: b.Reshare, *dealers: int) -> b.ReshareCase:
    """What the convicted signed, and the parameters that it is judged under."""
    signed = state.need(tables.reshare_signed(reshare.rid))
    return b.ReshareCase(
        from_epoch=reshare.from_epoch,
        to_epoch=reshare.to_epoch,
        first_index=reshare.first_index,
        count=reshare.count,
        root=reshare.root,
        mask_index=reshare.mask_index,
        attempt=reshare.attempt,
        gamma_seed=reshare.gamma_seed,
        tests=tuple(signed.tests[dealer - 1] for dealer in dealers),
    )


def convict(state: State, reshare: b.Reshare, found: r.Complaint, case: b.ReshareCase, complain: bytes) -> list[Event]:
    """Whom a judged complaint convicts: the dealer in its epoch, or the complainer in the next one."""
    deal = state.need(tables.reshare_signed(reshare.rid)).deals[found.dealer - 1]
    if found.upheld:
        return _record(state, reshare, reshare.from_epoch, found.dealer, found.complainer, deal, complain, case)
    return _record(state, reshare, reshare.to_epoch, found.complainer, found.dealer, deal, complain, case)


def convict_liars(state: State, reshare: b.Reshare) -> list[Event]:
    """Dealers off the polynomial of constants on which k + t agree. What all of D answered shows it."""
    events = []
    answered = tuple(dealer for dealer in reshare.dealers if reshare.tests[dealer - 1])
    for dealer in reshare.blamed:
        case = replace(case_of(state, reshare, *answered), total=reshare.total)
        deal = state.need(tables.reshare_signed(reshare.rid)).deals[dealer - 1]
        events += _record(state, reshare, reshare.from_epoch, dealer, 0, deal, b"", case)
    return events


def _record(
    state: State,
    reshare: b.Reshare,
    epoch: int,
    convict: int,
    accuser: int,
    deal: bytes,
    complain: bytes,
    case: b.ReshareCase,
) -> list[Event]:
    """Keep the conviction, and its evidence if the convict has none in this epoch."""
    known, is_dealer = get_convicts(state, epoch), epoch == reshare.from_epoch
    if is_dealer:
        convicts = replace(known, dealers=known.dealers | bit(convict))
    else:
        convicts = replace(known, liars=known.liars | bit(convict))
    state.put(tables.convicts(epoch), convicts)
    if known.all & bit(convict):
        return []
    number = (state.get(tables.BLAME_COUNT) or r.BlameCount()).count
    record = r.Blame(
        number=number,
        epoch=epoch,
        convict=convict,
        accuser=accuser,
        height=state.block.height,
        sid=reshare.rid,
        curve=reshare.curve,
        counter=reshare.counter,
        rows=0,
        eks=reshare.eks,
        deal=deal,
        complain=complain,
        reshare=encode(case),
    )
    state.put(tables.blame(number), record)
    state.put(tables.BLAME_COUNT, r.BlameCount(number + 1))
    return [event("blame", number=number, epoch=epoch, convict=convict, accuser=accuser, sid=reshare.rid.hex())]


def reason_of(state: Reader, record: r.Blame) -> str:
    """Why a conviction in a resharing was made; judged again, so that no text is under the app hash."""
    if not record.complain:
        return LIAR
    case = decode(record.reshare, b.ReshareCase)
    is_dealer = record.epoch == case.from_epoch
    dealer, complainer = (record.convict, record.accuser) if is_dealer else (record.accuser, record.convict)
    deal, test = (decode_signed(raw)[1] for raw in (record.deal, case.tests[0]))
    complain = complain_of(decode_signed(record.complain)[1].rcomplain)
    message = deal.rdeal
    judgement = _judge(
        params_of_case(state, record, case, deal.chain_id),
        messages.ReshareDeal(message.rid, message.e, message.pok, message.root),
        case.gamma_seed,
        messages.ReshareTest(message.rid, tuple(test.rtest.u)),
        complainer,
        complain,
    )
    if judgement.convict_is_dealer != is_dealer or complain.dealer != dealer:
        raise ValueError(f"conviction {record.number} does not follow from its evidence")
    return judgement.reason
