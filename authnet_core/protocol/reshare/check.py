"""Step 5: whether an old member's RDEAL, bundle and RTEST are good, and the test of one receiver's shares. Pure.

Every function judges foreign bytes: it answers with a refusal text or None and never raises on them.
"""

from authnet_core.crypto import pok
from authnet_core.crypto.hashing import aes256_ctr
from authnet_core.crypto.scalars import inner_product, is_canonical, row
from authnet_core.crypto.secp256k1 import Q
from authnet_core.crypto.shamir import evaluate
from authnet_core.protocol.dkg.check import fit_leaves, refuse_lengths
from authnet_core.protocol.reshare import strings
from authnet_core.protocol.reshare.deal import Dealing, dealer_key, gamma_weights, receiver_key
from authnet_core.protocol.reshare.messages import ReshareBundle, ReshareDeal, ReshareTest
from authnet_core.protocol.reshare.params import Party, ReshareParams


def refuse_deal(params: ReshareParams, dealer: Party, deal: ReshareDeal) -> str | None:
    """Lengths, and the proof of knowledge of e_j bound to this rid and dealer."""
    if deal.rid != params.rid or not params.is_dealer(dealer):
        return "deal of another resharing"
    if len(deal.e) != 33 or len(deal.pok) != pok.PROOF_SIZE or len(deal.root) != 32:
        return "deal with a field of wrong length"
    if not pok.verify(deal.e, strings.deal_context(params.chain_id, params.rid, dealer), deal.pok):
        return "no proof of knowledge for E"
    return None


def refuse_test(params: ReshareParams, test: ReshareTest) -> str | None:
    """Exactly k' canonical scalars. Whether they are the right ones, the receivers find out."""
    if test.rid != params.rid or len(test.gamma_seed) != 32:
        return "test of another resharing, or under no challenge"
    if len(test.u) != params.new.k or any(len(c) != 32 for c in test.u) or not is_canonical(b"".join(test.u)):
        return "test polynomial that is not k' canonical scalars"
    return None


def refuse_shape(params: ReshareParams, bundle: ReshareBundle) -> str | None:
    """Exact lengths, before any hashing."""
    if bundle.rid != params.rid or not params.is_dealer(bundle.dealer):
        return "bundle of another resharing"
    return refuse_lengths(bundle, params.eks, params.plaintext_size)


def refuse_bundle(params: ReshareParams, deal: ReshareDeal, bundle: ReshareBundle) -> str | None:
    """Whether these are the ciphertexts that R_j fixed. A mismatch says nothing against the dealer."""
    if reason := refuse_shape(params, bundle):
        return reason
    if not fit_leaves(bundle):
        return "ciphertext does not fit its leaf"
    if strings.deal_root(params.rid, bundle.dealer, deal.e, bundle.leaves) != deal.root:
        return "bundle does not fit the root on chain"
    return None


def open_own(params: ReshareParams, me: Party, deal: ReshareDeal, bundle: ReshareBundle, ek_secret: bytes) -> bytes:
    """Decrypt ct_jm of a bundle whose shape was checked. Not yet tested."""
    key = receiver_key(params, bundle.dealer, me, deal.e, ek_secret)
    return aes256_ctr(key, bundle.ciphertexts[me - 1])


def refuse_plaintext(
    params: ReshareParams, receiver: Party, gamma_seed: bytes, test: ReshareTest, plaintext: bytes
) -> str | None:
    """The test. It convicts the dealer: R_j fixes the ciphertext, the challenge comes after, the dealer signed u_j."""
    if len(plaintext) != params.plaintext_size:
        return "plaintext of wrong length"
    if not is_canonical(plaintext):
        return "share that is not canonical"
    left = inner_product(gamma_weights(params, gamma_seed), plaintext) + row(plaintext, params.count)
    if left % Q != evaluate((int.from_bytes(c, "big") for c in test.u), receiver):
        return "shares that fail the test"
    return None


def refuse_own(params: ReshareParams, dealing: Dealing, gamma_seed: bytes, test: ReshareTest) -> str | None:
    """A dealer tests its own ciphertexts for every receiver before its RTEST leaves the node."""
    bundle, e = dealing.bundle, dealing.deal.e
    for m in params.receivers:
        if params.eks[m - 1]:
            key = dealer_key(params, bundle.dealer, m, e, dealing.sharing.e_secret)
            if reason := refuse_plaintext(params, m, gamma_seed, test, aes256_ctr(key, bundle.ciphertexts[m - 1])):
                return reason
    return refuse_test(params, test)
