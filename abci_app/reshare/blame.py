"""Convictions in a resharing: of old dealers whose shares fail the test or whose constant is not their own share, and
of new members whose complaint is a lie. The evidence is what was signed.
"""

from __future__ import annotations

from functools import lru_cache

from msgspec.structs import replace

from abci_app.reshare.reshares import params_of, params_of_case, tested_dealers
from abci_app.rules.events import Event, event
from abci_app.sessions.dealers import get_convicts
from abci_app.state import batch_records as b
from abci_app.state import records as r
from abci_app.state import tables
from abci_app.state.bits import bit
from abci_app.state.state import Reader, State, decode, encode
from authnet_core.protocol.reshare import complaint, messages
from authnet_core.wire.reshare_blame import Case
from authnet_core.wire.tx import decode_signed

_judge = lru_cache(maxsize=64)(complaint.judge)


def _dealt(reshare: b.Reshare, dealer: int) -> tuple[messages.ReshareDeal, messages.ReshareTest]:
    deal = reshare.deals[dealer - 1]
    if deal is None:
        raise LookupError("a complaint about a dealer without an RDEAL was let in")
    return (
        messages.ReshareDeal(reshare.rid, deal.e, deal.pok, deal.root),
        messages.ReshareTest(reshare.rid, reshare.tests[dealer - 1], reshare.gamma_seed),
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


def kept_case(state: State, reshare: b.Reshare, *dealers: int) -> b.ReshareCase:
    """What these dealers answered, and the parameters that a conviction is judged under."""
    signed = state.need(tables.reshare_signed(reshare.rid))
    return b.ReshareCase(
        from_epoch=reshare.from_epoch,
        to_epoch=reshare.to_epoch,
        first_index=reshare.first_index,
        count=reshare.count,
        mask_index=reshare.mask_index,
        attempt=reshare.attempt,
        tests=tuple(signed.tests[dealer - 1] for dealer in dealers),
    )


def convict(state: State, reshare: b.Reshare, found: r.Complaint, case: b.ReshareCase, complain: bytes) -> list[Event]:
    """Whom a judged complaint convicts: the dealer in its epoch, or the complainer in the next one."""
    deal = state.need(tables.reshare_signed(reshare.rid)).deals[found.dealer - 1]
    if found.upheld:
        return _record(state, reshare, reshare.from_epoch, found.dealer, found.complainer, deal, complain, case)
    return _record(state, reshare, reshare.to_epoch, found.complainer, found.dealer, deal, complain, case)


def convict_liars(state: State, reshare: b.Reshare) -> list[Event]:
    """Dealers off the polynomial of constants on which k + t agree. What those answered shows it."""
    events = []
    right = [dealer for dealer in tested_dealers(reshare) if dealer not in reshare.blamed]
    for dealer in reshare.blamed:
        case = kept_case(state, reshare, *sorted((dealer, *right)))
        events += _record(state, reshare, reshare.from_epoch, dealer, 0, b"", b"", case)
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


def _identities(state: Reader, number: int) -> tuple[bytes, ...]:
    epoch = state.get(tables.epoch(number))
    return tuple(member.identity for member in epoch.members) if epoch is not None else ()


def case_of(state: Reader, record: r.Blame) -> Case:
    """What a conviction in a resharing can be judged again from."""
    case = decode(record.reshare, b.ReshareCase)
    # A chain that began from another one's state keeps the other's convictions: what was signed names its chain.
    chain_id = decode_signed(case.tests[0])[1].chain_id
    old, new = (_identities(state, number) for number in (case.from_epoch, case.to_epoch))
    params = params_of_case(state, record, case, chain_id)
    return Case(params, old, new, record.convict, record.deal, case.tests, record.complain)
