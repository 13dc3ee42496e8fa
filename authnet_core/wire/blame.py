"""Evidence of a conviction in key generation: what the chain judged, so that anybody can judge it again, offline. Pure.

It holds the session's parameters, the dealer's signed DEAL and the complainer's signed COMPLAIN. The two signatures
name a sid, which binds chain, epoch, committee and encryption keys; the COMPLAIN names the DEAL. So nobody can be
convicted by evidence who did not sign what convicts it. Foreign bytes are refused with EVIDENCE_INVALID.
That of a resharing (schema 2) is in reshare_blame.py; `verify` takes both.
Source: docs/protocol/dkg.md step 2, docs/protocol/chain.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from authnet_core.protocol.committee import Committee
from authnet_core.protocol.dkg import check, complaint, messages
from authnet_core.protocol.dkg.params import SessionParams
from authnet_core.protocol.dkg.strings import committee_hash
from authnet_core.wire import authnet_pb2 as pb
from authnet_core.wire import reshare_blame
from authnet_core.wire.verdicts import MAX_BYTES, Side, Verdict, committee_of, hex_bytes, refuse

__all__ = ["MAX_BYTES", "Case", "Verdict", "judge_case", "to_json", "verify"]


@dataclass(frozen=True, slots=True)
class Case:
    """What a judgement needs: a session, its committee's identity keys in order, the two signed transactions."""

    params: SessionParams
    identities: tuple[bytes, ...]
    deal: bytes
    complain: bytes


class _Evidence(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="schema", tag=1):
    """The JSON form, schema 1. Bytes are lowercase hex."""

    chain_id: str
    epoch: int
    n: int
    k: int
    t: int
    identities: tuple[str, ...]
    curve: str
    counter: int
    rows: int
    eks: tuple[str, ...]
    sid: str
    convict: int
    accuser: int
    reason: str
    deal: str
    complain: str


def deal_of(message: pb.Deal) -> messages.Deal:
    """The protocol's form of a DEAL transaction."""
    return messages.Deal(
        sid=message.sid,
        e=message.e,
        pok=message.pok,
        root=message.root,
        list_hash=message.list_hash,
        nonce_hash=message.nonce_hash,
        u=tuple(message.u),
    )


def complain_of(message: pb.Complain) -> messages.Complain:
    """The protocol's form of a COMPLAIN transaction."""
    return messages.Complain(
        sid=message.sid,
        dealer=message.dealer,
        shared=message.shared,
        dleq=message.dleq,
        ciphertext=message.ciphertext,
        leaves=tuple(message.leaves),
        deal_hash=message.deal_hash,
    )


def judge_case(case: Case) -> Verdict:
    """Judge again. Raises AuthnetError(EVIDENCE_INVALID) unless the two transactions convict one of the signers."""
    side = Side(case.params.chain_id, case.params.epoch, case.identities)
    dealer, dealt = side.open(case.deal, "deal", case.params.sid)
    complainer, complained = side.open(case.complain, "complain", case.params.sid)
    deal, complain = deal_of(dealt.deal), complain_of(complained.complain)
    if complain.dealer != dealer or complainer == dealer:
        raise refuse("the complaint is not about the signer of the deal")
    if not case.params.eks[complainer - 1]:
        raise refuse("the complainer has no encryption key in the session")
    reason = check.refuse_deal(case.params, dealer, deal) or complaint.malformed(case.params, complain)
    if reason is not None:
        raise refuse(reason)
    if not complaint.is_about(deal, complain):
        raise refuse("the complaint is about another deal")
    judgement = complaint.judge(case.params, deal, complainer, complain)
    convict, accuser = (dealer, complainer) if judgement.convict_is_dealer else (complainer, dealer)
    return Verdict(
        convict=convict,
        accuser=accuser,
        identity=case.identities[convict - 1],
        upheld=judgement.convict_is_dealer,
        reason=judgement.reason,
        chain_id=case.params.chain_id,
        epoch=case.params.epoch,
        sid=case.params.sid,
        committee_hash=case.params.committee_hash,
    )


def to_json(case: Case, verdict: Verdict) -> dict[str, Any]:
    """The evidence as an object for JSON."""
    params = case.params
    made = _Evidence(
        chain_id=params.chain_id,
        epoch=params.epoch,
        n=params.committee.n,
        k=params.committee.k,
        t=params.committee.t,
        identities=tuple(key.hex() for key in case.identities),
        curve=params.curve,
        counter=params.counter,
        rows=params.rows,
        eks=tuple(ek.hex() for ek in params.eks),
        sid=params.sid.hex(),
        convict=verdict.convict,
        accuser=verdict.accuser,
        reason=verdict.reason,
        deal=case.deal.hex(),
        complain=case.complain.hex(),
    )
    found: dict[str, Any] = msgspec.to_builtins(made)
    return found


def verify(evidence: bytes | dict[str, Any]) -> Verdict:
    """The verdict of evidence as JSON, if all of it holds. Raises AuthnetError(EVIDENCE_INVALID)."""
    found = _parse(evidence)
    if isinstance(found, reshare_blame.Evidence):
        return reshare_blame.verify(found)
    case = _case_of(found)
    if case.params.sid.hex() != found.sid:
        raise refuse("its parameters do not give its sid")
    verdict = judge_case(case)
    if (verdict.convict, verdict.accuser, verdict.reason) != (found.convict, found.accuser, found.reason):
        raise refuse(f"it convicts member {verdict.convict}, not as it says: {verdict.reason}")
    return verdict


def _parse(evidence: bytes | dict[str, Any]) -> _Evidence | reshare_blame.Evidence:
    try:
        if isinstance(evidence, bytes):
            if len(evidence) > MAX_BYTES:
                raise refuse(f"it has more than {MAX_BYTES} bytes")
            return msgspec.json.decode(evidence, type=_Evidence | reshare_blame.Evidence)
        return msgspec.convert(evidence, type=_Evidence | reshare_blame.Evidence)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise refuse(f"it is no evidence of a schema that is known ({type(error).__name__})") from None


def _case_of(found: _Evidence) -> Case:
    committee, identities = committee_of(found.identities)
    if committee != Committee(found.n, found.k, found.t):
        raise refuse("its committee has not as many identity keys as members, or other thresholds")
    numbers = (found.epoch, found.counter)
    if not all(0 <= number < 2**63 for number in numbers):
        raise refuse("a number is out of range")
    try:
        params = SessionParams(
            chain_id=found.chain_id,
            epoch=found.epoch,
            counter=found.counter,
            committee=committee,
            committee_hash=committee_hash(committee, identities),
            rows=found.rows,
            eks=tuple(hex_bytes(text) for text in found.eks),
            curve=found.curve,
        )
        params.sid  # noqa: B018  # a chain id that is no text has no sid
    except (ValueError, OverflowError):
        raise refuse("its parameters make no session") from None
    return Case(params, identities, hex_bytes(found.deal), hex_bytes(found.complain))
