"""Every hash and proof context of a resharing that chain and nodes must agree on.

Pure. `H` with the tags `authnet/reshare/v1/...`; integers are 8 bytes big-endian, points 33 bytes, scalars 32 bytes.
"""

from collections.abc import Mapping, Sequence

from authnet_core.crypto.hashing import tagged_hash
from authnet_core.protocol.dkg.strings import NO_KEY

PROTOCOL_VERSION = 1


def reshare_hash(name: str, *parts: bytes | int) -> bytes:
    """H(name, ...) of a resharing."""
    return tagged_hash(f"authnet/reshare/v1/{name}", *parts)


def reshare_id(
    chain_id: str,
    old: tuple[int, bytes],
    new: tuple[int, bytes],
    curve: str,
    keys: tuple[int, int, int],
    attempt: int,
    counter: int,
    eks: Sequence[bytes],
) -> bytes:
    """The rid. `old` and `new` are (epoch, committee hash), `keys` is (first index, count, mask index)."""
    filled = [ek or NO_KEY for ek in eks]
    return reshare_hash("rid", chain_id.encode(), *old, *new, curve.encode(), *keys, attempt, counter, *filled)


def deal_context(chain_id: str, rid: bytes, dealer: int) -> bytes:
    """What the proof of knowledge of a dealer's E_j is bound to."""
    return reshare_hash("pok/deal", chain_id.encode(), PROTOCOL_VERSION, rid, dealer)


def complaint_context(chain_id: str, rid: bytes, dealer: int, receiver: int) -> bytes:
    """What the DLEQ of D_jm, in a COMPLAIN or a late recovery, is bound to."""
    return reshare_hash("dleq", chain_id.encode(), PROTOCOL_VERSION, rid, dealer, receiver)


def enc_context(dealer: int, receiver: int, e: bytes, ek: bytes) -> bytes:
    """HKDF context of one dealer's ciphertext for one receiver; the salt is the rid."""
    return reshare_hash("enc", dealer, receiver, e, ek)


def deal_root(rid: bytes, dealer: int, e: bytes, leaves: Sequence[bytes]) -> bytes:
    """R_j over the leaves of all new members."""
    return reshare_hash("root", rid, dealer, e, *leaves)


def gamma_seed(rid: bytes, key_root: bytes, roots: Mapping[int, bytes]) -> bytes:
    """What the common challenge is expanded from: every (dealer, R_j) of D, in index order."""
    flat = [part for dealer in sorted(roots) for part in (dealer, roots[dealer])]
    return reshare_hash("gamma", rid, key_root, *flat)


def deal_hash(deal: bytes, gamma: bytes, u: Sequence[bytes]) -> bytes:
    """Names what a complaint is about: RDEAL (`ReshareDeal.encode()`), the challenge's seed, the RTEST."""
    return reshare_hash("deal", deal, gamma, *u)


def order_hash(rid: bytes, dealer: int) -> bytes:
    """Place of a dealer in the chain-seeded order in which Q' is looked for."""
    return reshare_hash("order", rid, dealer)


def nonces_seed(rid: bytes, key_root: bytes, digest: bytes) -> bytes:
    """What the weights are expanded from under which fetched nonces are checked; `digest` is their SHA-256."""
    return reshare_hash("nonces", rid, key_root, digest)


def ready_hash(rid: bytes, key_root: bytes, q: Sequence[int], total: bytes, u: Mapping[int, Sequence[bytes]]) -> bytes:
    """What READY signs: Q' ascending, M, and u_j of Q' in that order, coefficient by coefficient."""
    flat = [coefficient for dealer in q for coefficient in u[dealer]]
    return reshare_hash("ready", rid, key_root, *q, total, *flat)
