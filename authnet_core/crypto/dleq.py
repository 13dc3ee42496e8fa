"""Equality of two discrete logarithms: Chaum, Pedersen with Fiat-Shamir, bound to a context.

proof = c (32 bytes) || z (32 bytes): log_G X = log_E D for X = x*G, D = x*E. A_1 = r*G, A_2 = r*E,
c = H(context, X, E, D, A_1, A_2), z = r + c*x. Pure: the nonce comes from secret, context, E and a seed.
"""

from authnet_core.crypto.hashing import expand, tagged_hash
from authnet_core.crypto.secp256k1 import (
    Q,
    add,
    is_point,
    mul_public,
    mul_secret,
    negate,
    parse_scalar,
    pub,
    scalar_bytes,
)

PROOF_SIZE = 64


def prove(secret: int | bytes, base: bytes, context: bytes, nonce_seed: bytes) -> tuple[bytes, bytes]:
    """(D, proof) with D = secret * base. The same inputs give the same proof."""
    x = secret if isinstance(secret, int) else parse_scalar(secret)
    shared = mul_secret(x, base)
    seed = tagged_hash("authnet/dleq/v1/nonce", scalar_bytes(x), nonce_seed, base, context)
    nonce = int.from_bytes(expand(seed, 48), "big") % (Q - 1) + 1
    c = _challenge(context, (pub(x), base, shared, pub(nonce), mul_secret(nonce, base)))
    return shared, scalar_bytes(c) + scalar_bytes(nonce + c * x)


def verify(public: bytes, base: bytes, shared: bytes, context: bytes, proof: bytes) -> bool:
    """Whether `shared` is to `base` what `public` is to G. Never raises."""
    if len(proof) != PROOF_SIZE or not all(is_point(point) for point in (public, base, shared)):
        return False
    c, z = int.from_bytes(proof[:32], "big"), int.from_bytes(proof[32:], "big")
    if not 0 < c < Q or not 0 < z < Q:
        return False
    first = add(pub(z), negate(mul_public(c, public)))
    second = add(mul_public(z, base), negate(mul_public(c, shared)))
    if first is None or second is None:
        return False
    return _challenge(context, (public, base, shared, first, second)) == c


def _challenge(context: bytes, points: tuple[bytes, ...]) -> int:
    return int.from_bytes(tagged_hash("authnet/dleq/v1/challenge", context, *points), "big") % Q
