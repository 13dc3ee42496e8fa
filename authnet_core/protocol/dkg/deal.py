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


def make_dealing(params: SessionParams, dealer: Party, seed: bytes) -> Dealing:
    """The same arguments give the same bytes. Another sid or index gives an unrelated sharing."""
    if len(seed) != 32:
        raise ValueError("a seed has 32 bytes")
    sid, k = params.sid, params.committee.k
    columns = _coefficient_columns(params, dealer, seed)
    e_secret = _derive_scalar(seed, "seed/e", sid, dealer)
    salt, contribution = (strings.dkg_hash(f"seed/{name}", seed, sid, dealer) for name in ("salt", "v"))
    points64 = b"".join(point64(multiply_generator(columns[0][at : at + 32])) for at in range(0, len(columns[0]), 32))
    plaintexts = _plaintexts(params, columns, contribution)
    ciphertexts = tuple(
        aes256_ctr(dealer_key(params, dealer, receiver, e_secret), plaintexts[receiver - 1])
        if params.eks[receiver - 1]
        else b""
        for receiver in params.parties
    )
    leaves = tuple(leaf_of(ciphertext) for ciphertext in ciphertexts)
    e = pub(e_secret)
    h = strings.list_hash(salt, compress_block(points64))
    c = strings.nonce_hash(sid, dealer, contribution)
    root = strings.deal_root(sid, dealer, e, h, c, leaves)
    gamma = gamma_weights(params, dealer, root)
    u = tuple(scalar_bytes(inner_product(gamma, column) + row(column, params.rows + 1)) for column in columns)
    proof = pok.prove(e_secret, strings.deal_context(params.chain_id, sid, dealer), seed)
    return Dealing(
        Deal(sid, e, proof, root, h, c, u[:k]),
        Bundle(sid, dealer, leaves, ciphertexts),
        PointList(sid, dealer, salt, points64),
        tuple(plaintexts),
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
    return _key(params, dealer, receiver, pub(e_secret), mul_secret(e_secret, ek))


def receiver_key(params: SessionParams, dealer: Party, receiver: Party, e: bytes, ek_secret: bytes) -> bytes:
    """K of enc(i,j), from the receiver's side."""
    return _key(params, dealer, receiver, e, mul_secret(ek_secret, e))


def _key(params: SessionParams, dealer: Party, receiver: Party, e: bytes, shared: bytes) -> bytes:
    context = strings.enc_context(dealer, receiver, e, params.eks[receiver - 1])
    return hkdf_sha256(shared, params.sid, context)


def _derive_scalar(seed: bytes, name: str, sid: bytes, dealer: Party) -> int:
    """A scalar from 1 to q-1."""
    wide = expand(strings.dkg_hash(name, seed, sid, dealer), 48)
    return int.from_bytes(wide, "big") % (Q - 1) + 1


def _coefficient_columns(params: SessionParams, dealer: Party, seed: bytes) -> list[bytes]:
    """Column c holds coefficient c of f_{i,0} .. f_{i,B+1}; the polynomials have degree k-1."""
    count = params.all_rows * params.committee.k
    scalars = wide_scalars(expand(strings.dkg_hash("seed/f", seed, params.sid, dealer), 48 * count))
    return [block_of(scalars[c :: params.committee.k]) for c in range(params.committee.k)]


def _plaintexts(params: SessionParams, columns: list[bytes], contribution: bytes) -> list[bytes]:
    """For each receiver j the shares f_{i,b}(j), b = 0..B+1, and v_i."""
    rows = [[row(column, b) for column in reversed(columns)] for b in range(params.all_rows)]
    return [block_of([_horner(c, j) for c in rows]) + contribution for j in params.parties]


def _horner(coefficients: list[int], at: int) -> int:
    """f(at), highest coefficient first, not reduced: the numbers stay small for small `at`."""
    value = 0
    for coefficient in coefficients:
        value = value * at + coefficient
    return value
