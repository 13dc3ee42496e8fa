"""Messages of one session: bulk ones between nodes, small ones for the chain. Frozen; nothing in them is secret.

A point list becomes public only after Q is fixed; until then the machine has none to send.
"""

from dataclasses import dataclass, field
from typing import TypeAlias

SCALAR = 32
POINT = 64
NONCE = 32
KEY_PAIR = 66
"""Bytes of one final key: Y || N."""
CHUNK_KEYS = 1024
"""Keys in one KEYS transaction, aligned."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """All ciphertexts of one dealer, empty where the receiver announced no key, and their SHA-256 leaves."""

    sid: bytes
    dealer: int
    leaves: tuple[bytes, ...]
    ciphertexts: tuple[bytes, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class PointList:
    """A_{i,0} .. A_{i,B+1} as x || y, opened with the salt of h_i."""

    sid: bytes
    dealer: int
    salt: bytes
    points64: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class WantBundle:
    """Send me this dealer's bundle, please."""

    sid: bytes
    dealer: int


@dataclass(frozen=True, slots=True)
class WantList:
    """Send me this dealer's point list, please."""

    sid: bytes
    dealer: int


@dataclass(frozen=True, slots=True)
class Parts:
    """Fallback: `holder`'s own P_{j,b} = s_{i,b}(j) * G, b = 0 .. B, as x || y. Its hash is on chain."""

    sid: bytes
    dealer: int
    holder: int
    points64: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class WantParts:
    """Send me this holder's parts of this dealer, please."""

    sid: bytes
    dealer: int
    holder: int


@dataclass(frozen=True, slots=True)
class Recovery:
    """Late recovery: D_ih of the sender h and its DLEQ, for a convicted dealer i and the upheld complainer only."""

    sid: bytes
    dealer: int
    shared: bytes = field(repr=False)
    dleq: bytes


@dataclass(frozen=True, slots=True)
class WantRecovery:
    """My complaint about this dealer was upheld: send me your D, please."""

    sid: bytes
    dealer: int


Message: TypeAlias = Bundle | PointList | WantBundle | WantList | Parts | WantParts | Recovery | WantRecovery


@dataclass(frozen=True, slots=True)
class Deal:
    """DEAL: E_i with its proof of knowledge, R_i, h_i, c_i and the k coefficients of u_i, constant first."""

    sid: bytes
    e: bytes
    pok: bytes
    root: bytes
    list_hash: bytes
    nonce_hash: bytes
    u: tuple[bytes, ...]

    def encode(self) -> bytes:
        """Fixed layout for the disk; the transaction carries the same fields."""
        return b"".join((self.sid, self.e, self.pok, self.root, self.list_hash, self.nonce_hash, *self.u))

    @staticmethod
    def decode(raw: bytes, k: int) -> "Deal":
        """Inverse of encode. Raises ValueError."""
        if len(raw) != 226 + k * SCALAR:
            raise ValueError("not a stored deal")
        u = tuple(raw[at : at + SCALAR] for at in range(226, len(raw), SCALAR))
        return Deal(raw[:32], raw[32:65], raw[65:130], raw[130:162], raw[162:194], raw[194:226], u)


@dataclass(frozen=True, slots=True)
class Ack:
    """ACK: bit (i - 1) for every dealer whose share and bundle are on disk."""

    sid: bytes
    dealers: int


@dataclass(frozen=True, slots=True)
class Complain:
    """COMPLAIN: the dealer's ciphertext for the signer fails the test. D_ij with a DLEQ lets the chain decrypt it."""

    sid: bytes
    dealer: int
    shared: bytes
    dleq: bytes
    ciphertext: bytes = field(repr=False)
    leaves: tuple[bytes, ...]
    deal_hash: bytes
    """Which DEAL: without it a dealer that signs a second one could make the complaint look like a lie."""


@dataclass(frozen=True, slots=True)
class FallbackList:
    """FALLBACK_LIST: hash of the signer's P_{j,b} for a dealer of Q that did not open."""

    sid: bytes
    dealer: int
    list_hash: bytes


@dataclass(frozen=True, slots=True)
class FallbackScalar:
    """FALLBACK_SCALAR: w_j under the one challenge that the chain fixed."""

    sid: bytes
    dealer: int
    w: bytes


@dataclass(frozen=True, slots=True)
class Opened:
    """OPENED: bit (i - 1) for every dealer of Q whose list is good and served."""

    sid: bytes
    dealers: int


@dataclass(frozen=True, slots=True)
class Final:
    """FINAL: Merkle root over (Y, N); the signer's shares and nonces are on disk."""

    sid: bytes
    root: bytes


@dataclass(frozen=True, slots=True)
class Keys:
    """KEYS: the keys of one aligned chunk and its audit path."""

    sid: bytes
    chunk: int
    keys: bytes = field(repr=False)
    path: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Have:
    """HAVE: the signer got its shares after the session was final, and they are on disk."""

    sid: bytes


ChainMessage: TypeAlias = Deal | Ack | Complain | Opened | FallbackList | FallbackScalar | Final | Keys | Have
