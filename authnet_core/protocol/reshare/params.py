"""What is fixed for one resharing before it starts, and the sizes that follow from it. Pure, nothing secret.

Dealers are indexes of the old committee, receivers indexes of the new one; a node that is in both has two.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

from authnet_core.crypto import merkle
from authnet_core.crypto.secp256k1 import is_point
from authnet_core.protocol.committee import Committee
from authnet_core.protocol.dkg.keys import leaves_of
from authnet_core.protocol.dkg.messages import KEY_PAIR, SCALAR
from authnet_core.protocol.dkg.params import CURVE
from authnet_core.protocol.reshare.strings import reshare_id

MAX_KEYS = 1 << 16
Party: TypeAlias = int
"""Index 1..n in the old committee or 1..n' in the new one; the name says which."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A place in one of the two committees, as one that can be asked."""

    is_old: bool
    index: Party


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sent a message: its index in each of the two committees, None where it has none."""

    old: Party | None = None
    new: Party | None = None

    @property
    def places(self) -> tuple[Peer, ...]:
        """Where it could have been asked."""
        old = () if self.old is None else (Peer(True, self.old),)
        return old if self.new is None else (*old, Peer(False, self.new))


@dataclass(frozen=True)
class ReshareParams:
    """A resharing as START_RESHARE froze it. `eks[m - 1]` is EK_m of new member m, or b"" if it announced none."""

    chain_id: str
    from_epoch: int
    old: Committee
    old_hash: bytes
    to_epoch: int
    new: Committee
    new_hash: bytes
    curve: str
    first_index: int
    count: int
    root: bytes
    """Merkle root over (Y, N) of the batch, in index order."""
    mask_index: int
    attempt: int
    counter: int
    eks: tuple[bytes, ...]

    def __post_init__(self) -> None:
        if self.curve != CURVE:
            raise ValueError(f"no resharing for curve {self.curve!r}")
        if not 1 <= self.count <= MAX_KEYS or self.first_index < 0 or self.mask_index < 0:
            raise ValueError(f"a resharing moves 1 to {MAX_KEYS} keys")
        if len(self.eks) != self.new.n or not all(ek == b"" or is_point(ek) for ek in self.eks):
            raise ValueError("one encryption key or none for each new member")

    @cached_property
    def rid(self) -> bytes:
        return reshare_id(
            self.chain_id,
            (self.from_epoch, self.old_hash),
            (self.to_epoch, self.new_hash),
            self.curve,
            (self.first_index, self.count, self.mask_index),
            self.attempt,
            self.counter,
            self.eks,
        )

    @property
    def dealers(self) -> range:
        """Indexes of the old committee."""
        return range(1, self.old.n + 1)

    @property
    def receivers(self) -> range:
        """Indexes of the new committee."""
        return range(1, self.new.n + 1)

    @property
    def all_rows(self) -> int:
        """The keys and the mask."""
        return self.count + 1

    @property
    def plaintext_size(self) -> int:
        """One share a key, then the mask's; no nonce: a complaint publishes this."""
        return self.all_rows * SCALAR

    def is_dealer(self, index: int) -> bool:
        return 1 <= index <= self.old.n

    def is_receiver(self, index: int) -> bool:
        return 1 <= index <= self.new.n


@dataclass(frozen=True, slots=True)
class PublicKeys:
    """What the chain says of the keys: Y || N of each in index order (66 bytes), Y of the mask.

    `upgraded`: positions (index - first_index) of keys whose nonce is erased for good, so that there is none to move.
    """

    pairs: bytes = field(repr=False)
    mask: bytes
    upgraded: frozenset[int] = frozenset()

    def refuse(self, params: ReshareParams) -> str | None:
        """Whether these are the keys below the batch's root. Y_mask hangs below no root: it comes from the chain."""
        if len(self.pairs) != KEY_PAIR * params.count or not is_point(self.mask):
            return "a pair Y || N for each key and a point for the mask"
        if merkle.root(leaves_of(self.pairs)) != params.root:
            return "keys that do not give the batch's root"
        return None
