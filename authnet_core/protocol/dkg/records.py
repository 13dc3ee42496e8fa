"""What one session keeps on disk: names, shelves and layouts of the records.

deal       brief     seed (32) || DEAL record; written before anything of it is sent
share/i    brief     own shares of dealer i (B+2 scalars) || v_i, tested
bundle/i   retained  ciphertexts of dealer i in index order
list/i     retained  salt (32) || points of dealer i, tested
parts/i/h  retained  fallback: points of holder h's shares of dealer i, own or used
spare/i    retained  fallback: the seed under which the spare mask of dealer i was used; as long as the share can be
                     opened again from the bundle, so that no second one is ever answered
keys       retained  Y || N by position
shares     kept      own key share (32) || nonce (32) by position l*B+b
"""

from collections.abc import Sequence
from dataclasses import dataclass

from authnet_core.protocol.dkg.deal import leaf_of
from authnet_core.protocol.dkg.effects import Shelf, Store
from authnet_core.protocol.dkg.messages import Bundle, Parts, PointList
from authnet_core.protocol.dkg.params import Party, SessionParams

DEAL = "deal"
KEYS = "keys"
SHARES = "shares"
SHARE_PAIR = 64


def share_name(dealer: Party) -> str:
    return f"share/{dealer}"


def bundle_name(dealer: Party) -> str:
    return f"bundle/{dealer}"


def list_name(dealer: Party) -> str:
    return f"list/{dealer}"


def parts_name(dealer: Party, holder: Party) -> str:
    return f"parts/{dealer}/{holder}"


def spare_name(dealer: Party) -> str:
    return f"spare/{dealer}"


def store_bundle(bundle: Bundle) -> Store:
    """Leaves follow from the ciphertexts."""
    return Store(bundle_name(bundle.dealer), b"".join(bundle.ciphertexts), Shelf.RETAINED)


def load_bundle(params: SessionParams, dealer: Party, payload: bytes) -> Bundle:
    """Inverse of store_bundle. Raises ValueError."""
    ciphertexts = split_ciphertexts(params.eks, params.plaintext_size, payload)
    return Bundle(params.sid, dealer, tuple(map(leaf_of, ciphertexts)), ciphertexts)


def split_ciphertexts(eks: Sequence[bytes], plaintext_size: int, payload: bytes) -> tuple[bytes, ...]:
    """A stored bundle's ciphertexts, empty for receivers without a key. Raises ValueError."""
    ciphertexts, at = [], 0
    for ek in eks:
        size = plaintext_size if ek else 0
        ciphertexts.append(payload[at : at + size])
        at += size
    if at != len(payload):
        raise ValueError("not a stored bundle")
    return tuple(ciphertexts)


def store_list(opened: PointList) -> Store:
    return Store(list_name(opened.dealer), opened.salt + opened.points64, Shelf.RETAINED)


def load_list(params: SessionParams, dealer: Party, payload: bytes) -> PointList:
    """Inverse of store_list. Raises ValueError."""
    if len(payload) != 32 + params.list_size:
        raise ValueError("not a stored list")
    return PointList(params.sid, dealer, payload[:32], payload[32:])


def store_parts(parts: Parts) -> Store:
    return Store(parts_name(parts.dealer, parts.holder), parts.points64, Shelf.RETAINED)


def load_parts(params: SessionParams, dealer: Party, holder: Party, payload: bytes) -> Parts:
    """Inverse of store_parts. Raises ValueError."""
    if len(payload) != params.parts_size:
        raise ValueError("not a stored fallback list")
    return Parts(params.sid, dealer, holder, payload)


def store_spare(dealer: Party, seed: bytes) -> Store:
    return Store(spare_name(dealer), seed, Shelf.RETAINED)


@dataclass(frozen=True, slots=True)
class KeyShare:
    """One node's part of one key. Secret."""

    share: bytes
    nonce: bytes

    def __repr__(self) -> str:
        return "KeyShare(...)"


def share_at(payload: bytes, position: int) -> KeyShare:
    """Share and nonce of the key at position l*B+b, from the record `shares`. Raises IndexError."""
    at = position * SHARE_PAIR
    if position < 0 or at + SHARE_PAIR > len(payload):
        raise IndexError("no such key in this session")
    return KeyShare(payload[at : at + 32], payload[at + 32 : at + SHARE_PAIR])
