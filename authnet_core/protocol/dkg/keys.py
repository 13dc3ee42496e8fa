"""Step 7: the public keys Y, the nonces and N of a session, their Merkle root and the KEYS chunks. Pure.

Y and N are the same at every node; a nonce is known to every keeper and to nobody else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from authnet_core.crypto import merkle
from authnet_core.crypto.points import Point, multiply_generator, small_combination
from authnet_core.crypto.secp256k1 import Q, serialize
from authnet_core.protocol.dkg import strings
from authnet_core.protocol.dkg.extract import outputs, powers
from authnet_core.protocol.dkg.messages import CHUNK_KEYS, KEY_PAIR, Keys
from authnet_core.protocol.dkg.params import Party, SessionParams


@dataclass(frozen=True, slots=True)
class SessionKeys:
    """Y || N of every key by position l*B + b, and the root that FINAL carries."""

    pairs: bytes = field(repr=False)
    root: bytes

    @property
    def count(self) -> int:
        return len(self.pairs) // KEY_PAIR

    @property
    def chunks(self) -> int:
        return -(-self.count // CHUNK_KEYS)

    def pair(self, position: int) -> tuple[bytes, bytes]:
        """(Y, N)."""
        pair = self.pairs[position * KEY_PAIR : (position + 1) * KEY_PAIR]
        return pair[:33], pair[33:]


def leaves_of(pairs: bytes) -> list[bytes]:
    """Merkle leaves of a block of key pairs, in order."""
    return [pairs[at : at + KEY_PAIR] for at in range(0, len(pairs), KEY_PAIR)]


def session_keys(pairs: bytes) -> SessionKeys:
    """Key pairs with their root."""
    return SessionKeys(pairs, merkle.root(leaves_of(pairs)))


def public_points(params: SessionParams, q: Sequence[Party], lists: Mapping[Party, list[Point | None]]) -> list[bytes]:
    """Y_{l,b} = sum_i alpha_i^l A_{i,b} at position l*B + b."""
    keys = []
    for output in range(outputs(params, q)):
        weights = powers(q, output)
        for b in range(params.rows):
            point = small_combination([lists[party][b] for party in q], weights)
            if point is None:  # needs all dealers of Q to collude
                raise ValueError("a key is the point at infinity")
            keys.append(serialize(point))
    return keys


def nonce_root(sid: bytes, contributions: Mapping[Party, bytes]) -> bytes:
    """S, from v_i of the dealers in Q in ascending order."""
    return strings.dkg_hash("S", sid, *(contributions[party] for party in sorted(contributions)))


def nonces(params: SessionParams, q: Sequence[Party], root: bytes) -> list[int]:
    """nonce of key (b, l) at position l*B + b."""
    return [
        int.from_bytes(strings.dkg_hash("nonce", root, b, output), "big") % Q
        for output in range(outputs(params, q))
        for b in range(params.rows)
    ]


def nonce_point(nonce: int) -> bytes:
    """N = nonce*G."""
    return serialize(multiply_generator(nonce.to_bytes(32, "big")))


def chunk_message(sid: bytes, keys: SessionKeys, chunk: int) -> Keys:
    """KEYS of one aligned chunk with the audit path from its subtree to the root."""
    leaves = leaves_of(keys.pairs)
    part = keys.pairs[chunk * CHUNK_KEYS * KEY_PAIR : (chunk + 1) * CHUNK_KEYS * KEY_PAIR]
    return Keys(sid, chunk, part, tuple(merkle.chunk_path(leaves, chunk, CHUNK_KEYS)))


def posting_delay(committee_size: int, chunk: int, member: Party) -> int:
    """Seconds after FINAL at which a member posts a chunk: member (c + s) mod n posts at second s."""
    return (member - 1 - chunk) % committee_size
