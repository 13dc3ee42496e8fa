"""Step 2: whether a dealer's DEAL and bundle are good, and the low-degree test of one receiver's shares. Pure.

Every function judges foreign bytes: it answers with a refusal text or None and never raises on them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from authnet_core.crypto import pok
from authnet_core.crypto.hashing import aes256_ctr
from authnet_core.crypto.scalars import inner_product, is_canonical, row
from authnet_core.crypto.secp256k1 import Q, is_point
from authnet_core.crypto.shamir import evaluate
from authnet_core.protocol.dkg import strings
from authnet_core.protocol.dkg.deal import Dealing, gamma_weights, leaf_of, receiver_key
from authnet_core.protocol.dkg.messages import Bundle, Deal
from authnet_core.protocol.dkg.params import Party, SessionParams

_FIXED = (("e", 33), ("pok", 65), ("root", 32), ("list_hash", 32), ("nonce_hash", 32))


@dataclass(frozen=True, slots=True)
class Plain:
    """One receiver's part of a dealing that passed the test: B+2 shares of 32 bytes, and v_i."""

    shares: bytes = field(repr=False)
    contribution: bytes = field(repr=False)


def refuse_deal(params: SessionParams, dealer: Party, deal: Deal) -> str | None:
    """Lengths, canonical numbers, proof of knowledge of e_i bound to this sid and dealer."""
    if deal.sid != params.sid or not params.is_party(dealer):
        return "deal of another session"
    if any(len(getattr(deal, name)) != size for name, size in _FIXED):
        return "deal with a field of wrong length"
    if len(deal.u) != params.committee.k or any(len(c) != 32 for c in deal.u):
        return "test polynomial of wrong length"
    if not is_canonical(b"".join(deal.u)) or not is_point(deal.e):
        return "deal with a number that is not canonical"
    if not pok.verify(deal.e, strings.deal_context(params.chain_id, params.sid, dealer), deal.pok):
        return "no proof of knowledge for E"
    return None


class HasKey(Protocol):
    """A DEAL or an RDEAL."""

    @property
    def e(self) -> bytes: ...


def copied_keys(deals: Mapping[Party, HasKey], order: Mapping[Party, int]) -> set[Party]:
    """Dealers whose E another one used at an earlier height (or, in the same block, at a lower index)."""
    first: dict[bytes, Party] = {}
    copies = set()
    for dealer in sorted(deals, key=lambda i: (order[i], i)):
        if first.setdefault(deals[dealer].e, dealer) != dealer:
            copies.add(dealer)
    return copies


def refuse_shape(params: SessionParams, bundle: Bundle) -> str | None:
    """Exact lengths, before any hashing."""
    if bundle.sid != params.sid or not params.is_party(bundle.dealer):
        return "bundle of another session"
    return refuse_lengths(bundle, params.eks, params.plaintext_size)


class HasCiphertexts(Protocol):
    """A bundle of a session or of a resharing."""

    @property
    def leaves(self) -> tuple[bytes, ...]: ...

    @property
    def ciphertexts(self) -> tuple[bytes, ...]: ...


def refuse_lengths(bundle: HasCiphertexts, eks: Sequence[bytes], plaintext_size: int) -> str | None:
    """One leaf a receiver, and a ciphertext of the plaintext's size for each that announced a key."""
    if len(bundle.leaves) != len(eks) or any(len(leaf) != 32 for leaf in bundle.leaves):
        return "bundle with a wrong number of leaves"
    if [len(ciphertext) for ciphertext in bundle.ciphertexts] != [plaintext_size if ek else 0 for ek in eks]:
        return "bundle with a ciphertext of wrong length"
    return None


def fit_leaves(bundle: HasCiphertexts) -> bool:
    """Whether each leaf is that of its ciphertext. The lengths were checked."""
    return all(leaf_of(ct) == leaf for ct, leaf in zip(bundle.ciphertexts, bundle.leaves, strict=True))


def refuse_bundle(params: SessionParams, deal: Deal, bundle: Bundle) -> str | None:
    """Whether these are the ciphertexts that R_i fixed. A mismatch says nothing against the dealer."""
    if reason := refuse_shape(params, bundle):
        return reason
    if not fit_leaves(bundle):
        return "ciphertext does not fit its leaf"
    dealt = strings.deal_root(params.sid, bundle.dealer, deal.e, deal.list_hash, deal.nonce_hash, bundle.leaves)
    return None if dealt == deal.root else "bundle does not fit the root on chain"


def open_own(params: SessionParams, me: Party, deal: Deal, bundle: Bundle, ek_secret: bytes) -> bytes:
    """Decrypt ct_ij of a bundle whose shape was checked. Not yet tested."""
    key = receiver_key(params, bundle.dealer, me, deal.e, ek_secret)
    return aes256_ctr(key, bundle.ciphertexts[me - 1])


def split(params: SessionParams, plaintext: bytes) -> Plain:
    """Shares and v_i of a plaintext of the right length."""
    return Plain(plaintext[: params.all_rows * 32], plaintext[params.all_rows * 32 :])


def refuse_plaintext(params: SessionParams, dealer: Party, receiver: Party, deal: Deal, plaintext: bytes) -> str | None:
    """The test. It convicts the dealer: R_i fixes the ciphertext, the key is a function of (sid, i, j)."""
    if len(plaintext) != params.plaintext_size:
        return "plaintext of wrong length"
    plain = split(params, plaintext)
    if not is_canonical(plain.shares):
        return "share that is not canonical"
    if strings.nonce_hash(params.sid, dealer, plain.contribution) != deal.nonce_hash:
        return "nonce contribution that does not fit its hash"
    weights = gamma_weights(params, dealer, deal.root)
    left = (inner_product(weights, plain.shares) + row(plain.shares, params.rows + 1)) % Q
    if left != evaluate((int.from_bytes(c, "big") for c in deal.u), receiver):
        return "shares that fail the low-degree test"
    return None


def refuse_own_dealing(params: SessionParams, dealer: Party, dealing: Dealing) -> str | None:
    """A dealer tests its deal for every receiver before anything leaves the node."""
    deal = dealing.deal
    reasons = (refuse_plaintext(params, dealer, j, deal, dealing.plaintexts[j - 1]) for j in params.parties)
    return (
        refuse_deal(params, dealer, deal)
        or refuse_bundle(params, deal, dealing.bundle)
        or next((reason for reason in reasons if reason), None)
    )
