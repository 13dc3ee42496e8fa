"""Messages of one resharing: bulk ones between nodes, small ones for the chain. Frozen.

`dealer` is an index of the old committee; lists over receivers are in the order of the new one.
"""

from dataclasses import dataclass, field
from typing import TypeAlias

SCALAR = 32


@dataclass(frozen=True, slots=True)
class ReshareBundle:
    """All ciphertexts of one old dealer, empty where the receiver announced no key, and their SHA-256 leaves."""

    rid: bytes
    dealer: int
    leaves: tuple[bytes, ...]
    ciphertexts: tuple[bytes, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class WantReshareBundle:
    """Send me this dealer's bundle, please."""

    rid: bytes
    dealer: int


@dataclass(frozen=True, slots=True)
class ReshareRecovery:
    """Late recovery: D_jh of the sender h and its DLEQ, for a convicted dealer j and the upheld complainer only."""

    rid: bytes
    dealer: int
    shared: bytes = field(repr=False)
    dleq: bytes


@dataclass(frozen=True, slots=True)
class WantReshareRecovery:
    """My complaint about this dealer was upheld: send me your D, please."""

    rid: bytes
    dealer: int


@dataclass(frozen=True, slots=True)
class Nonces:
    """Nonces of the batch in index order, 32 bytes each, zeros for an upgraded key. Secret: new members only."""

    rid: bytes
    nonces: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class WantNonces:
    """Send me the batch's nonces, please."""

    rid: bytes


ReshareMessage: TypeAlias = (
    ReshareBundle | WantReshareBundle | ReshareRecovery | WantReshareRecovery | Nonces | WantNonces
)


@dataclass(frozen=True, slots=True)
class ReshareDeal:
    """RDEAL of an old member: E_j with its proof of knowledge, and R_j."""

    rid: bytes
    e: bytes
    pok: bytes
    root: bytes

    def encode(self) -> bytes:
        """Fixed layout for the disk and for hashes; the transaction carries the same fields."""
        return b"".join((self.rid, self.e, self.pok, self.root))

    @staticmethod
    def decode(raw: bytes) -> "ReshareDeal":
        """Inverse of encode. Raises ValueError."""
        if len(raw) != 162:
            raise ValueError("not a stored deal")
        return ReshareDeal(raw[:32], raw[32:65], raw[65:130], raw[130:])


@dataclass(frozen=True, slots=True)
class ReshareTest:
    """RTEST of a dealer in D: the k' coefficients of u_j under the common challenge, constant first."""

    rid: bytes
    u: tuple[bytes, ...]
    gamma_seed: bytes
    """The challenge that it answers. Signed, so that the answer is evidence without the chain's word for D."""


@dataclass(frozen=True, slots=True)
class ReshareAck:
    """RACK of a new member: bit (j - 1) for every dealer whose share and bundle are on disk; M, 33 bytes."""

    rid: bytes
    dealers: int
    sum: bytes


@dataclass(frozen=True, slots=True)
class ReshareComplain:
    """RCOMPLAIN of a new member: the dealer's ciphertext for the signer fails the test."""

    rid: bytes
    dealer: int
    shared: bytes
    dleq: bytes
    ciphertext: bytes = field(repr=False)
    leaves: tuple[bytes, ...]
    deal_hash: bytes
    """Which RDEAL, challenge and RTEST: else a dealer that signs two could make the complaint look like a lie."""


@dataclass(frozen=True, slots=True)
class ReshareReady:
    """READY of a new member: its shares and nonces of the batch are on disk; `hash` says what they come from."""

    rid: bytes
    hash: bytes


@dataclass(frozen=True, slots=True)
class ReshareHave:
    """RHAVE of a new member: it got its shares after the resharing was final, and they are on disk."""

    rid: bytes


ReshareChainMessage: TypeAlias = ReshareDeal | ReshareTest | ReshareAck | ReshareComplain | ReshareReady | ReshareHave
