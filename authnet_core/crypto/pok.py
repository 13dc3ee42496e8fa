"""Proof of knowledge of a discrete logarithm: Schnorr with Fiat-Shamir, bound to a context.

proof = R (33 bytes) || s (32 bytes), R = r*G, c = H(context, X, R), s = r + c*x. The caller's context says all
that the proof is for (chain, epoch, session, index). Pure: the nonce comes from secret, context and a seed.
"""

from authnet_core.crypto.hashing import expand, tagged_hash
from authnet_core.crypto.secp256k1 import (
    Q,
    add,
    is_point,
    mul_public,
    negate,
    parse_scalar,
    pub,
    scalar_bytes,
)

PROOF_SIZE = 65


def prove(secret: int | bytes, context: bytes, nonce_seed: bytes) -> bytes:
    """A proof for X = secret*G. The same inputs give the same proof; another context gives another nonce."""
    x = secret if isinstance(secret, int) else parse_scalar(secret)
    public = pub(x)
    seed = tagged_hash("authnet/pok/v1/nonce", scalar_bytes(x), nonce_seed, context)
    nonce = int.from_bytes(expand(seed, 48), "big") % (Q - 1) + 1
    commitment = pub(nonce)
    return commitment + scalar_bytes(nonce + _challenge(public, commitment, context) * x)


def verify(public: bytes, context: bytes, proof: bytes) -> bool:
    """Whether the prover knew the logarithm of `public` and meant `context`. Never raises."""
    if len(proof) != PROOF_SIZE or not is_point(public) or not is_point(proof[:33]):
        return False
    response = int.from_bytes(proof[33:], "big")
    challenge = _challenge(public, proof[:33], context)
    if not 0 < response < Q or challenge == 0:
        return False
    return add(pub(response), negate(mul_public(challenge, public))) == proof[:33]


def _challenge(public: bytes, commitment: bytes, context: bytes) -> int:
    digest = tagged_hash("authnet/pok/v1/challenge", context, public, commitment)
    return int.from_bytes(digest, "big") % Q
