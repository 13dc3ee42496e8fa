"""Evidence of a conviction in a resharing, schema 2: as that of the key generation, from what was signed alone. Pure.

An RTEST names the challenge that it answers, so the chain's word for which dealings gave it is not needed: an honest
dealer's answer fits its own RDEAL under whatever challenge it signed, and it answers one for a rid, ever. The rid
binds chain, both epochs and committees, keys, mask, attempt and encryption keys; the RCOMPLAIN names RDEAL, challenge
and answer. So nobody is convicted by a complaint who did not sign what convicts it.

A wrong constant has no complaint: k + t dealers signed answers under one challenge whose constants are on one
polynomial, and the convict signed another one. At most t of them lie, as everywhere; more could frame a dealer.
Source: docs/protocol/resharing.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from authnet_core.crypto.shamir import interpolate
from authnet_core.protocol.dkg.strings import committee_hash
from authnet_core.protocol.reshare import check, complaint, messages
from authnet_core.protocol.reshare.params import ReshareParams
from authnet_core.wire import authnet_pb2 as pb
from authnet_core.wire.verdicts import Side, Verdict, committee_of, hex_bytes, refuse

WRONG_CONSTANT = "the constant of its answer is off the polynomial on which k + t dealers agree"


@dataclass(frozen=True, slots=True)
class Case:
    """What a judgement needs: the resharing, the identity keys of both committees in order, what was signed.

    With `complain`: the dealer's RDEAL and its RTEST. Without: the RTESTs of k + t agreeing dealers at least and the
    convict's, nobody else's.
    """

    params: ReshareParams
    old: tuple[bytes, ...]
    new: tuple[bytes, ...]
    convict: int
    """Whose constant is wrong; a complaint says itself who is convicted."""
    deal: bytes
    tests: tuple[bytes, ...]
    complain: bytes

    @property
    def old_side(self) -> Side:
        return Side(self.params.chain_id, self.params.from_epoch, self.old)

    @property
    def new_side(self) -> Side:
        return Side(self.params.chain_id, self.params.to_epoch, self.new)


class Evidence(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="schema", tag=2):
    """The JSON form. Bytes are lowercase hex; sizes of committees follow from their members."""

    chain_id: str
    from_epoch: int
    to_epoch: int
    old: tuple[str, ...]
    new: tuple[str, ...]
    curve: str
    first_index: int
    count: int
    mask_index: int
    attempt: int
    counter: int
    eks: tuple[str, ...]
    rid: str
    epoch: int
    """The convict's."""
    convict: int
    accuser: int
    reason: str
    deal: str
    tests: tuple[str, ...]
    complain: str


def deal_of(message: pb.ReshareDeal) -> messages.ReshareDeal:
    """The protocol's form of an RDEAL transaction."""
    return messages.ReshareDeal(message.rid, message.e, message.pok, message.root)


def answer_of(message: pb.ReshareTest) -> messages.ReshareTest:
    """The protocol's form of an RTEST transaction."""
    return messages.ReshareTest(message.rid, tuple(message.u), message.gamma_seed)


def complain_of(message: pb.ReshareComplain) -> messages.ReshareComplain:
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


def judge_case(case: Case) -> Verdict:
    """Judge again. Raises AuthnetError(EVIDENCE_INVALID) unless what was signed convicts a signer."""
    return _judge_complaint(case) if case.complain else _judge_constants(case)


def _judge_complaint(case: Case) -> Verdict:
    params, old = case.params, case.old_side
    if len(case.tests) != 1:
        raise refuse("a complaint is about one answer")
    dealer, dealt = old.open(case.deal, "rdeal", params.rid)
    tester, tested = old.open(case.tests[0], "rtest", params.rid)
    complainer, complained = case.new_side.open(case.complain, "rcomplain", params.rid)
    deal, test, complain = deal_of(dealt.rdeal), answer_of(tested.rtest), complain_of(complained.rcomplain)
    if (tester, complain.dealer) != (dealer, dealer):
        raise refuse("the complaint is not about the signer of the deal and of the answer")
    if not params.eks[complainer - 1]:
        raise refuse("the complainer has no encryption key in the resharing")
    reason = check.refuse_deal(params, dealer, deal) or check.refuse_test(params, test)
    reason = reason or complaint.malformed(params, complain)
    if reason is not None:
        raise refuse(reason)
    if not complaint.is_about(deal, test.gamma_seed, test, complain):
        raise refuse("the complaint is about another deal, challenge or answer")
    found = complaint.judge(params, deal, test.gamma_seed, test, complainer, complain)
    if found.convict_is_dealer:
        return _verdict(case, dealer, complainer, found.reason)
    return _verdict(case, complainer, dealer, found.reason, upheld=False)


def _judge_constants(case: Case) -> Verdict:
    params = case.params
    constants: dict[int, int] = {}
    seeds = set()
    for raw in case.tests:
        dealer, body = case.old_side.open(raw, "rtest", params.rid)
        test = answer_of(body.rtest)
        if reason := check.refuse_test(params, test):
            raise refuse(reason)
        if dealer <= max(constants, default=0):
            raise refuse("its answers are not one of each dealer, in their order")
        constants[dealer] = int.from_bytes(test.u[0], "big")
        seeds.add(test.gamma_seed)
    if case.deal or len(seeds) != 1 or case.convict not in constants:
        raise refuse("its answers are not all to one challenge, the convict's among them")
    wrong, (k, t) = constants.pop(case.convict), (params.old.k, params.old.t)
    chosen = dict(sorted(constants.items())[:k])
    if len(constants) < k + t or any(interpolate(chosen, j) != value for j, value in constants.items()):
        raise refuse("no k + t dealers agree")
    if interpolate(chosen, case.convict) == wrong:
        raise refuse("the convict agrees with the others")
    return _verdict(case, case.convict, 0, WRONG_CONSTANT)


def _verdict(case: Case, convict: int, accuser: int, reason: str, *, upheld: bool = True) -> Verdict:
    params, side = case.params, case.old_side if upheld else case.new_side
    return Verdict(
        convict=convict,
        accuser=accuser,
        identity=side.identities[convict - 1],
        upheld=upheld,
        reason=reason,
        chain_id=params.chain_id,
        epoch=side.epoch,
        sid=params.rid,
        committee_hash=params.old_hash if upheld else params.new_hash,
    )


def to_json(case: Case, verdict: Verdict) -> dict[str, Any]:
    """The evidence as an object for JSON."""
    params = case.params
    made = Evidence(
        chain_id=params.chain_id,
        from_epoch=params.from_epoch,
        to_epoch=params.to_epoch,
        old=tuple(key.hex() for key in case.old),
        new=tuple(key.hex() for key in case.new),
        curve=params.curve,
        first_index=params.first_index,
        count=params.count,
        mask_index=params.mask_index,
        attempt=params.attempt,
        counter=params.counter,
        eks=tuple(ek.hex() for ek in params.eks),
        rid=params.rid.hex(),
        epoch=verdict.epoch,
        convict=verdict.convict,
        accuser=verdict.accuser,
        reason=verdict.reason,
        deal=case.deal.hex(),
        tests=tuple(test.hex() for test in case.tests),
        complain=case.complain.hex(),
    )
    found: dict[str, Any] = msgspec.to_builtins(made)
    return found


def verify(found: Evidence) -> Verdict:
    """The verdict, if all of the evidence holds. Raises AuthnetError(EVIDENCE_INVALID)."""
    case = _case_of(found)
    if case.params.rid.hex() != found.rid:
        raise refuse("its parameters do not give its rid")
    verdict = judge_case(case)
    says = (found.epoch, found.convict, found.accuser, found.reason)
    if (verdict.epoch, verdict.convict, verdict.accuser, verdict.reason) != says:
        raise refuse(f"it convicts member {verdict.convict} of epoch {verdict.epoch}, not as it says: {verdict.reason}")
    return verdict


def _case_of(found: Evidence) -> Case:
    old, old_keys = committee_of(found.old)
    new, new_keys = committee_of(found.new)
    numbers = (found.from_epoch, found.to_epoch, found.first_index, found.mask_index, found.attempt, found.counter)
    if not all(0 <= number < 2**63 for number in numbers) or not found.from_epoch < found.to_epoch:
        raise refuse("a number is out of range")
    try:
        params = ReshareParams(
            chain_id=found.chain_id,
            from_epoch=found.from_epoch,
            old=old,
            old_hash=committee_hash(old, old_keys),
            to_epoch=found.to_epoch,
            new=new,
            new_hash=committee_hash(new, new_keys),
            curve=found.curve,
            first_index=found.first_index,
            count=found.count,
            root=b"",  # the challenge hangs on it, and that is signed
            mask_index=found.mask_index,
            attempt=found.attempt,
            counter=found.counter,
            eks=tuple(hex_bytes(ek) for ek in found.eks),
        )
        params.rid  # noqa: B018  # a chain id that is no text has no rid
    except (ValueError, OverflowError):
        raise refuse("its parameters make no resharing") from None
    tests = tuple(hex_bytes(test) for test in found.tests)
    return Case(params, old_keys, new_keys, found.convict, hex_bytes(found.deal), tests, hex_bytes(found.complain))
