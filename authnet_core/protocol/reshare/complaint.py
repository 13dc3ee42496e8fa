"""RCOMPLAIN: one new member's ciphertext opened before everyone's eyes, and who is convicted by it. Pure.

As in the key generation (dkg/complaint.py has the rules that are the same). A judgement needs the chain's bytes alone:
RDEAL, the challenge's seed, RTEST and the complaint.
"""

from authnet_core.crypto import dleq
from authnet_core.crypto.hashing import aes256_ctr
from authnet_core.crypto.secp256k1 import is_point, pub
from authnet_core.protocol.dkg.complaint import Fixed, Judgement, judge_fixed, refuse_lengths
from authnet_core.protocol.reshare import check, strings
from authnet_core.protocol.reshare.deal import shared_key
from authnet_core.protocol.reshare.messages import ReshareBundle, ReshareComplain, ReshareDeal, ReshareTest
from authnet_core.protocol.reshare.params import Party, ReshareParams

__all__ = ["Judgement", "is_about", "judge", "make_complaint", "malformed", "open_with", "prove_shared"]


def prove_shared(params: ReshareParams, dealer: Party, me: Party, e: bytes, ek_secret: bytes) -> tuple[bytes, bytes]:
    """(D_jm, DLEQ) of the new member `me`. It opens all that `dealer` sent to `me` in this resharing, nothing else."""
    context = strings.complaint_context(params.chain_id, params.rid, dealer, me)
    return dleq.prove(ek_secret, e, context, params.eks[me - 1])


def make_complaint(
    params: ReshareParams,
    me: Party,
    deal: ReshareDeal,
    gamma_seed: bytes,
    test: ReshareTest,
    bundle: ReshareBundle,
    ek_secret: bytes,
) -> ReshareComplain:
    """RCOMPLAIN of `me` about a bundle that fits R_j and whose plaintext fails the test.

    Raises ValueError for another key than the resharing's: such a complaint would convict its sender.
    """
    if pub(ek_secret) != params.eks[me - 1]:
        raise ValueError("not the encryption key that this resharing was started with")
    shared, proof = prove_shared(params, bundle.dealer, me, deal.e, ek_secret)
    return ReshareComplain(
        rid=params.rid,
        dealer=bundle.dealer,
        shared=shared,
        dleq=proof,
        ciphertext=bundle.ciphertexts[me - 1],
        leaves=bundle.leaves,
        deal_hash=strings.deal_hash(deal.encode(), gamma_seed, test.u),
    )


def malformed(params: ReshareParams, complain: ReshareComplain) -> str | None:
    """Exact lengths. Bytes that fail here convict nobody: they are refused."""
    if complain.rid != params.rid or not params.is_dealer(complain.dealer):
        return "complaint about no dealer of this resharing"
    return refuse_lengths(complain, params.new.n, params.plaintext_size)


def is_about(deal: ReshareDeal, gamma_seed: bytes, test: ReshareTest, complain: ReshareComplain) -> bool:
    """Whether the complainer signed that it means this RDEAL, challenge and RTEST. Else nobody is convicted."""
    return complain.deal_hash == strings.deal_hash(deal.encode(), gamma_seed, test.u)


def judge(
    params: ReshareParams,
    deal: ReshareDeal,
    gamma_seed: bytes,
    test: ReshareTest,
    complainer: Party,
    complain: ReshareComplain,
) -> Judgement:
    """Who is convicted by a complaint that is well formed and about this dealing; `complainer` is a new member."""
    dealer = complain.dealer
    if reason := malformed(params, complain):
        return Judgement(False, reason)
    if not params.is_receiver(complainer):
        return Judgement(False, "complaint by no receiver of this dealer")
    fixed = Fixed(
        e=deal.e,
        root=deal.root,
        ek=params.eks[complainer - 1],
        context=strings.complaint_context(params.chain_id, params.rid, dealer, complainer),
        root_of=lambda leaves: strings.deal_root(params.rid, dealer, deal.e, leaves),
        key_of=lambda shared: shared_key(params, dealer, complainer, deal.e, shared),
        refuse=lambda plaintext: check.refuse_plaintext(params, complainer, gamma_seed, test, plaintext),
    )
    return judge_fixed(fixed, complainer, complain)


def verify_shared(params: ReshareParams, dealer: Party, receiver: Party, e: bytes, shared: bytes, proof: bytes) -> bool:
    """Whether `shared` is D of this dealer and receiver, proven for this resharing."""
    if not params.is_dealer(dealer) or not params.is_receiver(receiver) or not is_point(params.eks[receiver - 1]):
        return False
    context = strings.complaint_context(params.chain_id, params.rid, dealer, receiver)
    return dleq.verify(params.eks[receiver - 1], e, shared, context, proof)


def open_with(
    params: ReshareParams, dealer: Party, receiver: Party, e: bytes, shared: bytes, ciphertext: bytes
) -> bytes:
    """The plaintext of ct_jm under a D_jm that was verified. Not yet tested."""
    return aes256_ctr(shared_key(params, dealer, receiver, e, shared), ciphertext)
