"""Step 1: one dealer's sharing, all of it derived from a 32-byte seed, the sid and the dealer's index.

Groth-Shoup style hash-committed batch VSS (eprint 2023/1175) with a Fiat-Shamir low-degree test. Pure.
"""

import hashlib
from dataclasses import dataclass, field

from authnet_core.crypto import pok
from authnet_core.crypto.hashing import aes256_ctr, expand, hkdf_sha256
from authnet_core.crypto.points import compress_block, multiply_generator, point64
from authnet_core.crypto.scalars import block_of, inner_product, row, wide_scalars
from authnet_core.crypto.secp256k1 import Q, mul_secret, pub, scalar_bytes
from authnet_core.protocol.dkg import strings
from authnet_core.protocol.dkg.messages import Bundle, Deal, PointList
from authnet_core.protocol.dkg.params import Party, SessionParams


@dataclass(frozen=True, slots=True)
class Dealing:
    """What a dealer makes. The list stays with the machine until Q is fixed."""

    deal: Deal
    bundle: Bundle
    points: PointList = field(repr=False)
    plaintexts: tuple[bytes, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Sharing:
    """A dealer's secrets. Column c holds coefficient c of f_{i,0} .. f_{i,B+1}; the polynomials have degree k-1."""

    columns: tuple[bytes, ...] = field(repr=False)
    e_secret: int = field(repr=False)
    salt: bytes = field(repr=False)
    contribution: bytes = field(repr=False)


def derive_sharing(params: SessionParams, dealer: Party, seed: bytes) -> Sharing:
    """All of a dealer's secrets from its seed; another sid or index gives unrelated ones."""
    if len(seed) != 32:
        raise ValueError("a seed has 32 bytes")
    sid, k = params.sid, params.committee.k
    scalars = wide_scalars(expand(strings.dkg_hash("seed/f", seed, sid, dealer), 48 * params.all_rows * k))
    e_wide = int.from_bytes(expand(strings.dkg_hash("seed/e", seed, sid, dealer), 48), "big")
    return Sharing(
        columns=tuple(block_of(scalars[c::k]) for c in range(k)),
        e_secret=e_wide % (Q - 1) + 1,
        salt=strings.dkg_hash("seed/salt", seed, sid, dealer),
        contribution=strings.dkg_hash("seed/v", seed, sid, dealer),
    )


def make_dealing(params: SessionParams, dealer: Party, seed: bytes) -> Dealing:
    """The same arguments give the same bytes."""
    sharing = derive_sharing(params, dealer, seed)
    return assemble(params, dealer, sharing, plaintexts_of(params, sharing), points_of(sharing))


def points_of(sharing: Sharing) -> bytes:
    """A_{i,b} = f_{i,b}(0)*G as x || y."""
    constants = sharing.columns[0]
    return b"".join(point64(multiply_generator(constants[at : at + 32])) for at in range(0, len(constants), 32))


def plaintexts_of(params: SessionParams, sharing: Sharing) -> tuple[bytes, ...]:
    """For each receiver j the shares f_{i,b}(j), b = 0..B+1, and v_i."""
    rows = [[row(column, b) for column in reversed(sharing.columns)] for b in range(params.all_rows)]
    return tuple(block_of([_horner(c, j) for c in rows]) + sharing.contribution for j in params.parties)


def assemble(
    params: SessionParams, dealer: Party, sharing: Sharing, plaintexts: tuple[bytes, ...], points64: bytes
) -> Dealing:
    """Encrypt, hash, fix the root, answer its challenge."""
    sid, e = params.sid, pub(sharing.e_secret)
    ciphertexts = tuple(
        aes256_ctr(dealer_key(params, dealer, j, sharing.e_secret), plaintexts[j - 1]) if params.eks[j - 1] else b""
        for j in params.parties
    )
    leaves = tuple(leaf_of(ciphertext) for ciphertext in ciphertexts)
    h = strings.list_hash(sharing.salt, compress_block(points64))
    c = strings.nonce_hash(sid, dealer, sharing.contribution)
    root = strings.deal_root(sid, dealer, e, h, c, leaves)
    gamma = gamma_weights(params, dealer, root)
    u = tuple(scalar_bytes(inner_product(gamma, f) + row(f, params.rows + 1)) for f in sharing.columns)
    # The proof's nonce depends on secret and context alone, so the same deal has the same proof.
    proof = pok.prove(sharing.e_secret, strings.deal_context(params.chain_id, sid, dealer), root)
    return Dealing(
        Deal(sid, e, proof, root, h, c, u),
        Bundle(sid, dealer, leaves, ciphertexts),
        PointList(sid, dealer, sharing.salt, points64),
        plaintexts,
    )


def leaf_of(ciphertext: bytes) -> bytes:
    """SHA256(ct_ij), or zeros where there is no ciphertext."""
    return hashlib.sha256(ciphertext).digest() if ciphertext else strings.NO_LEAF


def gamma_weights(params: SessionParams, dealer: Party, root: bytes) -> bytes:
    """gamma_0 .. gamma_B, 16 bytes each: the challenge comes from everything the dealer has fixed."""
    return expand(strings.gamma_seed(params.sid, dealer, root), 16 * (params.rows + 1))


def dealer_key(params: SessionParams, dealer: Party, receiver: Party, e_secret: int) -> bytes:
    """K of enc(i,j), from the dealer's side."""
    ek = params.eks[receiver - 1]
    return shared_key(params, dealer, receiver, pub(e_secret), mul_secret(e_secret, ek))


def receiver_key(params: SessionParams, dealer: Party, receiver: Party, e: bytes, ek_secret: bytes) -> bytes:
    """K of enc(i,j), from the receiver's side."""
    return shared_key(params, dealer, receiver, e, mul_secret(ek_secret, e))


def shared_key(params: SessionParams, dealer: Party, receiver: Party, e: bytes, shared: bytes) -> bytes:
    """K of enc(i,j) from D_ij, for everyone once D_ij is published."""
    context = strings.enc_context(dealer, receiver, e, params.eks[receiver - 1])
    return hkdf_sha256(shared, params.sid, context)


def _horner(coefficients: list[int], at: int) -> int:
    """f(at), highest coefficient first, not reduced: the numbers stay small for small `at`."""
    value = 0
    for coefficient in coefficients:
        value = value * at + coefficient
    return value
