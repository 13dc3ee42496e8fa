"""COMPLAIN: one receiver's ciphertext opened before everyone's eyes, and who is convicted by it. Pure.

The complainer publishes D_ij = ek_j * E_i with a DLEQ, so all decrypt what R_i fixed and repeat the receiver's test.
Late recovery publishes D_ih in the same way. A judgement needs the chain's bytes alone; foreign bytes never raise.
Source: docs/protocol/dkg.md step 2 and section 4 (R).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from authnet_core.crypto import dleq
from authnet_core.crypto.hashing import aes256_ctr
from authnet_core.crypto.secp256k1 import is_point, pub
from authnet_core.protocol.dkg import check, strings
from authnet_core.protocol.dkg.deal import leaf_of, shared_key
from authnet_core.protocol.dkg.messages import Bundle, Complain, Deal
from authnet_core.protocol.dkg.params import Party, SessionParams


@dataclass(frozen=True, slots=True)
class Judgement:
    """Every well-formed complaint convicts one of the two."""

    convict_is_dealer: bool
    reason: str


class Evidence(Protocol):
    """What a complaint of the key generation and one of a resharing have alike."""

    @property
    def shared(self) -> bytes: ...
    @property
    def dleq(self) -> bytes: ...
    @property
    def ciphertext(self) -> bytes: ...
    @property
    def leaves(self) -> tuple[bytes, ...]: ...
    @property
    def deal_hash(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Fixed:
    """What a dealer fixed for one receiver, and how it is opened and tested."""

    e: bytes
    root: bytes
    ek: bytes
    """The receiver's encryption key, b"" if it has none."""
    context: bytes
    """Of the DLEQ."""
    root_of: Callable[[Sequence[bytes]], bytes] = field(repr=False)
    """The root that these leaves give."""
    key_of: Callable[[bytes], bytes] = field(repr=False)
    """K of this receiver's ciphertext, from D."""
    refuse: Callable[[bytes], str | None] = field(repr=False)
    """The receiver's test of the plaintext."""


def prove_shared(params: SessionParams, dealer: Party, me: Party, e: bytes, ek_secret: bytes) -> tuple[bytes, bytes]:
    """(D_ij, DLEQ) of the receiver `me`. It opens all that `dealer` sent to `me` in this session, and nothing else."""
    context = strings.complaint_context(params.chain_id, params.sid, dealer, me)
    return dleq.prove(ek_secret, e, context, params.eks[me - 1])


def make_complaint(params: SessionParams, me: Party, deal: Deal, bundle: Bundle, ek_secret: bytes) -> Complain:
    """COMPLAIN of `me` about a bundle that fits R_i and whose plaintext fails the test.

    Raises ValueError for another key than the session's: such a complaint would convict its sender.
    """
    if pub(ek_secret) != params.eks[me - 1]:
        raise ValueError("not the encryption key that this session was started with")
    shared, proof = prove_shared(params, bundle.dealer, me, deal.e, ek_secret)
    return Complain(
        sid=params.sid,
        dealer=bundle.dealer,
        shared=shared,
        dleq=proof,
        ciphertext=bundle.ciphertexts[me - 1],
        leaves=bundle.leaves,
        deal_hash=strings.deal_hash(deal.encode()),
    )


def malformed(params: SessionParams, complain: Complain) -> str | None:
    """Exact lengths. Bytes that fail here convict nobody: they are refused."""
    if complain.sid != params.sid or not params.is_party(complain.dealer):
        return "complaint about no dealer of this session"
    return refuse_lengths(complain, params.committee.n, params.plaintext_size)


def refuse_lengths(complain: Evidence, receivers: int, plaintext_size: int) -> str | None:
    """Exact lengths of a complaint in a protocol with so many receivers and plaintexts of that size."""
    if len(complain.shared) != 33 or len(complain.dleq) != dleq.PROOF_SIZE:
        return "complaint with a D or a proof of wrong length"
    if len(complain.leaves) != receivers or any(len(leaf) != 32 for leaf in complain.leaves):
        return "complaint with a wrong number of leaves"
    if len(complain.ciphertext) != plaintext_size:
        return "complaint with a ciphertext of wrong length"
    if len(complain.deal_hash) != 32:
        return "complaint with a deal hash of wrong length"
    return None


def is_about(deal: Deal, complain: Complain) -> bool:
    """Whether the complainer signed that it means this DEAL. Else nobody is convicted: a dealer may have signed two."""
    return complain.deal_hash == strings.deal_hash(deal.encode())


def judge(params: SessionParams, deal: Deal, complainer: Party, complain: Complain) -> Judgement:
    """Who is convicted by a complaint that is well formed and about this deal."""
    dealer = complain.dealer
    if reason := malformed(params, complain):
        return Judgement(False, reason)
    if not params.is_party(complainer) or complainer == dealer:
        return Judgement(False, "complaint by no receiver of this dealer")
    fixed = Fixed(
        e=deal.e,
        root=deal.root,
        ek=params.eks[complainer - 1],
        context=strings.complaint_context(params.chain_id, params.sid, dealer, complainer),
        root_of=lambda leaves: strings.deal_root(params.sid, dealer, deal.e, deal.list_hash, deal.nonce_hash, leaves),
        key_of=lambda shared: shared_key(params, dealer, complainer, deal.e, shared),
        refuse=lambda plaintext: check.refuse_plaintext(params, dealer, complainer, deal, plaintext),
    )
    return judge_fixed(fixed, complainer, complain)


def judge_fixed(fixed: Fixed, complainer: Party, complain: Evidence) -> Judgement:
    """Who is convicted by a complaint of right lengths about this dealing.

    Only bytes that the dealer fixed and a D that is proven convict the dealer.
    """
    if reason := _refuse_opening(fixed, complainer, complain):
        return Judgement(False, reason)
    plaintext = aes256_ctr(fixed.key_of(complain.shared), complain.ciphertext)
    if reason := fixed.refuse(plaintext):
        return Judgement(True, reason)
    return Judgement(False, "complaint about a share that passes the test")


def verify_shared(params: SessionParams, dealer: Party, receiver: Party, e: bytes, shared: bytes, proof: bytes) -> bool:
    """Whether `shared` is D of this dealer and receiver: log_G EK_j = log_{E_i} D_ij, proven for this session."""
    if not params.is_party(dealer) or not params.is_party(receiver) or not is_point(params.eks[receiver - 1]):
        return False
    context = strings.complaint_context(params.chain_id, params.sid, dealer, receiver)
    return dleq.verify(params.eks[receiver - 1], e, shared, context, proof)


def open_with(
    params: SessionParams, dealer: Party, receiver: Party, e: bytes, shared: bytes, ciphertext: bytes
) -> bytes:
    """The plaintext of ct_ij under a D_ij that was verified. Not yet tested."""
    return aes256_ctr(shared_key(params, dealer, receiver, e, shared), ciphertext)


def _refuse_opening(fixed: Fixed, complainer: Party, complain: Evidence) -> str | None:
    """What makes a complaint a lie before anything is decrypted; the costly proof last."""
    leaves = complain.leaves
    if fixed.root_of(leaves) != fixed.root:
        return "complaint with leaves that do not give the dealer's root"
    if leaf_of(complain.ciphertext) != leaves[complainer - 1]:
        return "complaint with a ciphertext that does not fit its leaf"
    if not dleq.verify(fixed.ek, fixed.e, complain.shared, fixed.context, complain.dleq):
        return "complaint with no proof for its D"
    return None
