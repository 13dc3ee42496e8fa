"""Every hash and proof context of the key generation that chain and nodes must agree on.

Pure. `H` with the tags `authnet/dkg/v1/...`; integers are 8 bytes big-endian, points 33 bytes, scalars 32 bytes.
"""

from collections.abc import Sequence

from authnet_core.crypto.hashing import tagged_hash
from authnet_core.protocol.committee import Committee

PROTOCOL_VERSION = 1
NO_KEY = bytes(33)
"""Stands for the encryption key of a member that announced none."""
NO_LEAF = bytes(32)
"""Leaf of a receiver without an encryption key: there is no ciphertext."""


def dkg_hash(name: str, *parts: bytes | int) -> bytes:
    """H(name, ...) of dkg.md."""
    return tagged_hash(f"authnet/dkg/v1/{name}", *parts)


def committee_hash(committee: Committee, identities: Sequence[bytes]) -> bytes:
    """Covers n, k, t and the members' identity keys in index order."""
    return dkg_hash("committee", committee.n, committee.k, committee.t, *identities)


def session_id(
    chain_id: str, epoch: int, committee: bytes, curve: str, counter: int, rows: int, eks: Sequence[bytes]
) -> bytes:
    """The sid. `committee` is the committee hash; an absent encryption key is given as b"" or NO_KEY."""
    keys = [ek or NO_KEY for ek in eks]
    return dkg_hash("sid", chain_id.encode(), epoch, committee, curve.encode(), counter, rows, *keys)


def enckey_context(chain_id: str, epoch: int, counter: int, member: int) -> bytes:
    """What the proof of knowledge of an announced encryption key is bound to."""
    return dkg_hash("pok/enckey", chain_id.encode(), PROTOCOL_VERSION, epoch, counter, member)


def deal_context(chain_id: str, sid: bytes, dealer: int) -> bytes:
    """What the proof of knowledge of a dealer's E_i is bound to."""
    return dkg_hash("pok/deal", chain_id.encode(), PROTOCOL_VERSION, sid, dealer)


def complaint_context(chain_id: str, sid: bytes, dealer: int, receiver: int) -> bytes:
    """What the DLEQ of D_ij, in a COMPLAIN or a late recovery, is bound to."""
    return dkg_hash("dleq", chain_id.encode(), PROTOCOL_VERSION, sid, dealer, receiver)


def deal_hash(encoded: bytes) -> bytes:
    """Names one DEAL (`Deal.encode()`) in a COMPLAIN about it."""
    return dkg_hash("deal", encoded)


def parts_hash(sid: bytes, dealer: int, holder: int, points33: bytes) -> bytes:
    """Hash of P_{j,0} .. P_{j,B}, compressed, that FALLBACK_LIST puts on chain."""
    return dkg_hash("parts", sid, dealer, holder, points33)


def fallback_seed(sid: bytes, dealer: int, hashes: Sequence[tuple[int, bytes]]) -> bytes:
    """What gamma' is expanded from: all (member, list hash) at the cut-off, in index order."""
    flat = [part for member, digest in hashes for part in (member, digest)]
    return dkg_hash("fallback", sid, dealer, *flat)


def list_hash(salt: bytes, points33: bytes) -> bytes:
    """h_i over the compressed points in row order."""
    return dkg_hash("alist", salt, points33)


def nonce_hash(sid: bytes, dealer: int, contribution: bytes) -> bytes:
    """c_i, the commitment to v_i."""
    return dkg_hash("v", sid, dealer, contribution)


def deal_root(sid: bytes, dealer: int, e: bytes, h: bytes, c: bytes, leaves: Sequence[bytes]) -> bytes:
    """R_i."""
    return dkg_hash("root", sid, dealer, e, h, c, *leaves)


def gamma_seed(sid: bytes, dealer: int, root: bytes) -> bytes:
    """What the challenge of the low-degree test is expanded from."""
    return dkg_hash("gamma", sid, dealer, root)


def enc_context(dealer: int, receiver: int, e: bytes, ek: bytes) -> bytes:
    """HKDF context of one dealer's ciphertext for one receiver."""
    return dkg_hash("enc", dealer, receiver, e, ek)


def key_leaf(y: bytes, n: bytes) -> bytes:
    """Leaf of the final Merkle tree (RFC 6962) at position l*B+b: Y || N, 66 bytes."""
    return y + n
