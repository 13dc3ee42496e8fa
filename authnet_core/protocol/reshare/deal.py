"""Step 2: one old member's sharing of its shares, all of it derived from a 32-byte seed, the rid and its index.

Row l < count shares x_l(j) of key l, row `count` shares x_mask(j); degree k'-1. Pure.
"""

from dataclasses import dataclass, field

from authnet_core.crypto import pok
from authnet_core.crypto.hashing import aes256_ctr, expand, hkdf_sha256
from authnet_core.crypto.scalars import block_of, inner_product, is_canonical, row, rows_of, wide_scalars
from authnet_core.crypto.secp256k1 import Q, mul_secret, pub, scalar_bytes
from authnet_core.protocol.dkg.deal import leaf_of
from authnet_core.protocol.reshare import strings
from authnet_core.protocol.reshare.messages import SCALAR, ReshareBundle, ReshareDeal, ReshareTest
from authnet_core.protocol.reshare.params import Party, ReshareParams

ROW = 64
"""Bytes of a kept row: share || nonce."""


@dataclass(frozen=True, slots=True)
class Sharing:
    """A dealer's secrets. Column c holds coefficient c of g_{j,0} .. g_{j,mask}; column 0 is its own shares."""

    columns: tuple[bytes, ...] = field(repr=False)
    e_secret: int = field(repr=False)


@dataclass(frozen=True, slots=True)
class Dealing:
    """What a dealer makes."""

    deal: ReshareDeal
    bundle: ReshareBundle
    sharing: Sharing = field(repr=False)


def shares_of(rows: bytes) -> bytes:
    """The shares of a block of kept rows."""
    return b"".join([rows[at : at + SCALAR] for at in range(0, len(rows), ROW)])


def nonces_of(rows: bytes) -> bytes:
    """The nonces of a block of kept rows, zeros for an upgraded key."""
    return b"".join([rows[at + SCALAR : at + ROW] for at in range(0, len(rows), ROW)])


def derive_sharing(params: ReshareParams, dealer: Party, seed: bytes, shares: bytes, mask_x: bytes) -> Sharing:
    """All of a dealer's secrets from its seed and its shares; another rid or index gives unrelated ones.

    Raises ValueError for shares that are not one canonical scalar for each key and one for the mask.
    """
    constants = shares + mask_x
    if len(seed) != 32 or len(constants) != params.plaintext_size or not is_canonical(constants):
        raise ValueError("a seed of 32 bytes and one canonical share for each row")
    free = params.new.k - 1
    stream = expand(strings.reshare_hash("seed/g", seed, params.rid, dealer), 48 * params.all_rows * free)
    scalars = wide_scalars(stream)
    e_wide = int.from_bytes(expand(strings.reshare_hash("seed/e", seed, params.rid, dealer), 48), "big")
    return Sharing((constants, *(block_of(scalars[c::free]) for c in range(free))), e_wide % (Q - 1) + 1)


def make_dealing(params: ReshareParams, dealer: Party, seed: bytes, shares: bytes, mask_x: bytes) -> Dealing:
    """The same arguments give the same bytes. Raises ValueError as derive_sharing."""
    sharing = derive_sharing(params, dealer, seed, shares, mask_x)
    return assemble(params, dealer, sharing, plaintexts_of(params, sharing))


def plaintexts_of(params: ReshareParams, sharing: Sharing) -> list[bytes]:
    """For each receiver m the shares g_{j,l}(m), l = 0 .. count."""
    rows = list(zip(*(rows_of(column) for column in reversed(sharing.columns)), strict=True))
    return [block_of([_horner(coefficients, m) for coefficients in rows]) for m in params.receivers]


def assemble(params: ReshareParams, dealer: Party, sharing: Sharing, plaintexts: list[bytes]) -> Dealing:
    """Encrypt, hash, fix the root."""
    rid, e = params.rid, pub(sharing.e_secret)
    ciphertexts = tuple(
        aes256_ctr(dealer_key(params, dealer, m, e, sharing.e_secret), plaintexts[m - 1]) if params.eks[m - 1] else b""
        for m in params.receivers
    )
    leaves = tuple(map(leaf_of, ciphertexts))
    root = strings.deal_root(rid, dealer, e, leaves)
    # The proof's nonce depends on secret and context alone, so the same deal has the same proof.
    proof = pok.prove(sharing.e_secret, strings.deal_context(params.chain_id, rid, dealer), root)
    return Dealing(ReshareDeal(rid, e, proof, root), ReshareBundle(rid, dealer, leaves, ciphertexts), sharing)


def answer(params: ReshareParams, sharing: Sharing, gamma_seed: bytes) -> ReshareTest:
    """Step 4: u_j = sum gamma_l g_{j,l} + g_{j,mask}. Under one challenge only, ever: two would give away a
    combination of the shares without the mask."""
    gamma = gamma_weights(params, gamma_seed)
    u = tuple(scalar_bytes(inner_product(gamma, column) + row(column, params.count)) for column in sharing.columns)
    return ReshareTest(params.rid, u, gamma_seed)


def gamma_weights(params: ReshareParams, gamma_seed: bytes) -> bytes:
    """gamma_0 .. gamma_{count-1}, 16 bytes each."""
    return expand(gamma_seed, 16 * params.count)


def dealer_key(params: ReshareParams, dealer: Party, receiver: Party, e: bytes, e_secret: int) -> bytes:
    """K of enc(j,m), from the dealer's side."""
    return shared_key(params, dealer, receiver, e, mul_secret(e_secret, params.eks[receiver - 1]))


def receiver_key(params: ReshareParams, dealer: Party, receiver: Party, e: bytes, ek_secret: bytes) -> bytes:
    """K of enc(j,m), from the receiver's side."""
    return shared_key(params, dealer, receiver, e, mul_secret(ek_secret, e))


def shared_key(params: ReshareParams, dealer: Party, receiver: Party, e: bytes, shared: bytes) -> bytes:
    """K of enc(j,m) from D_jm, for everyone once D_jm is published."""
    context = strings.enc_context(dealer, receiver, e, params.eks[receiver - 1])
    return hkdf_sha256(shared, params.rid, context)


def _horner(coefficients: tuple[int, ...], at: int) -> int:
    """f(at), highest coefficient first, not reduced: the numbers stay small for small `at`."""
    value = 0
    for coefficient in coefficients:
        value = value * at + coefficient
    return value
