"""What is fixed for one session before it starts, and the sizes that follow from it. Pure, nothing secret."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from authnet_core.crypto.secp256k1 import is_point
from authnet_core.protocol.committee import Committee
from authnet_core.protocol.dkg.messages import POINT, SCALAR
from authnet_core.protocol.dkg.strings import session_id

MAX_ROWS = 1024
CURVE = "secp256k1"
Party: TypeAlias = int
"""Index 1..n in the committee."""


@dataclass(frozen=True)
class SessionParams:
    """A session as START froze it. `eks[j - 1]` is EK_j, or b"" if j announced none."""

    chain_id: str
    epoch: int
    counter: int
    committee: Committee
    committee_hash: bytes
    rows: int
    eks: tuple[bytes, ...]
    curve: str = CURVE

    def __post_init__(self) -> None:
        if self.curve != CURVE:
            raise ValueError(f"no key generation for curve {self.curve!r}")
        if not 1 <= self.rows <= MAX_ROWS:
            raise ValueError(f"a session has 1 to {MAX_ROWS} rows")
        if len(self.eks) != self.committee.n or not all(ek == b"" or is_point(ek) for ek in self.eks):
            raise ValueError("one encryption key or none for each member")

    @cached_property
    def sid(self) -> bytes:
        return session_id(self.chain_id, self.epoch, self.committee_hash, self.curve, self.counter, self.rows, self.eks)

    @property
    def parties(self) -> range:
        return range(1, self.committee.n + 1)

    @property
    def all_rows(self) -> int:
        """Key rows, the spare mask of the fallback, the mask of the test."""
        return self.rows + 2

    @property
    def plaintext_size(self) -> int:
        """One share a row and the nonce contribution v_i."""
        return (self.all_rows + 1) * SCALAR

    @property
    def list_size(self) -> int:
        return self.all_rows * POINT

    @property
    def parts_size(self) -> int:
        """A fallback list: the key rows and the spare mask."""
        return (self.rows + 1) * POINT

    def is_party(self, index: int) -> bool:
        return 1 <= index <= self.committee.n

    def keys_of(self, q: Sequence[Party]) -> int:
        """Keys made: B * m with m = |Q| - (k-1), never |Q| - t."""
        return self.rows * (len(q) - self.committee.k + 1)


def alpha(party: Party) -> int:
    """0, 1, -1, 2, -2, ...: fixed by committee index, so that it does not depend on who is in Q."""
    return party // 2 if party % 2 == 0 else -(party // 2)
