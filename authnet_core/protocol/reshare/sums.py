"""Steps 5, 7 and 8: M from the chain's keys, own new shares, and the check of fetched nonces. Pure.

All scalars that meet points here are public, or random combinations of nonces that every keeper knows.
"""

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from authnet_core.crypto.hashing import expand
from authnet_core.crypto.points import combine, multiply_generator, same, weighted_sum
from authnet_core.crypto.scalars import inner_product, is_canonical, rows_of
from authnet_core.crypto.secp256k1 import Q, parse_point, scalar_bytes, serialize
from authnet_core.crypto.shamir import lagrange
from authnet_core.protocol.dkg.messages import KEY_PAIR
from authnet_core.protocol.reshare import strings
from authnet_core.protocol.reshare.deal import gamma_weights
from authnet_core.protocol.reshare.messages import SCALAR
from authnet_core.protocol.reshare.params import Party, PublicKeys, ReshareParams

ZERO = bytes(SCALAR)


def key_total(params: ReshareParams, keys: PublicKeys, gamma_seed: bytes) -> bytes | None:
    """M = sum gamma_l Y_l + Y_mask, 33 bytes. None for the point at infinity, which no challenge hits by chance."""
    points = [parse_point(keys.pairs[at : at + 33]) for at in range(0, len(keys.pairs), KEY_PAIR)]
    parts = [weighted_sum(points, gamma_weights(params, gamma_seed)), parse_point(keys.mask)]
    total = combine([part for part in parts if part is not None])
    return None if total is None else serialize(total)


def new_shares(params: ReshareParams, shares: Mapping[Party, bytes]) -> list[int]:
    """x'_l(m) = sum over Q' of lambda_j g_{j,l}(m), l < count, from the tested plaintexts of exactly Q'."""
    weights = lagrange(sorted(shares))
    columns = [rows_of(shares[dealer][: SCALAR * params.count]) for dealer in weights]
    return [sum(map(int.__mul__, weights.values(), row)) % Q for row in zip(*columns, strict=True)]


def interpolate_plaintext(plaintexts: Mapping[Party, bytes], me: Party) -> bytes:
    """Late recovery: one dealer's shares for `me`, mask included, from k' tested plaintexts. To be tested too."""
    weights = lagrange(sorted(plaintexts), me)
    columns = [rows_of(plaintexts[party]) for party in weights]
    rows = zip(*columns, strict=True)
    return b"".join([scalar_bytes(sum(map(int.__mul__, weights.values(), row))) for row in rows])


def refuse_nonces(params: ReshareParams, keys: PublicKeys, nonces: bytes) -> str | None:
    """Whether every nonce that is not zero opens its N: one combination under weights that the nonces fix."""
    if len(nonces) != SCALAR * params.count or not is_canonical(nonces):
        return "nonces that are not one canonical scalar for each key"
    places = present(nonces)
    if not places:
        return None
    seed = strings.nonces_seed(params.rid, params.root, hashlib.sha256(nonces).digest())
    weights = expand(seed, 16 * len(places))
    points = [parse_point(keys.pairs[at * KEY_PAIR + 33 : (at + 1) * KEY_PAIR]) for at in places]
    given = b"".join([nonces[at * SCALAR : (at + 1) * SCALAR] for at in places])
    total = inner_product(weights, given)
    right = multiply_generator(scalar_bytes(total)) if total else None
    return None if same(weighted_sum(points, weights), right) else "nonces that do not give N"


def present(nonces: bytes) -> list[int]:
    """Positions of the nonces that are not zero."""
    places: list[int] = np.flatnonzero(_words(nonces).any(axis=1)).tolist()
    return places


def absent(nonces: bytes) -> list[int]:
    """Positions of zeros."""
    places: list[int] = np.flatnonzero(~_words(nonces).any(axis=1)).tolist()
    return places


def _words(nonces: bytes) -> np.ndarray[tuple[int, ...], np.dtype[np.uint64]]:
    return np.frombuffer(nonces, np.uint64).reshape(-1, SCALAR // 8)


def kept_rows(shares: Sequence[int], nonces: bytes) -> bytes:
    """The KEPT record: share (32) || nonce (32) by position."""
    return b"".join(
        [share.to_bytes(32, "big") + nonces[at * SCALAR : (at + 1) * SCALAR] for at, share in enumerate(shares)]
    )
