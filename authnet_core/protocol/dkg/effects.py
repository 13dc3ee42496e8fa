"""What the machine asks its driver to do. The driver carries effects out strictly in order.

`Store` is durable (fsync) before any later effect runs; consecutive ones may share one fsync.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, TypeAlias, TypeVar

from authnet_core.protocol.dkg.messages import ChainMessage, Message

C = TypeVar("C")


class Shelf(StrEnum):
    """Records that are erased together: one data key a shelf, so that erasing is shredding that key."""

    BRIEF = "brief"
    """Seed, DEAL bytes, per-dealer shares: until FINAL plus a grace."""
    RETAINED = "retained"
    """Bundles, point lists, the key list and the session's ek_j: until all hold or RETAIN is over."""
    KEPT = "kept"
    """The node's own key shares and nonces: as long as the epoch."""


class Outcome(StrEnum):
    """How a session ended for this node."""

    HELD = "held"
    """FINAL on chain with our root, and our shares are on disk."""
    ABANDONED = "abandoned"
    CONFLICT = "conflict"
    """FINAL on chain with another root than ours: our shares of this session are not used. Tell the operator."""


@dataclass(frozen=True, slots=True)
class Send:
    to: int
    message: Message


@dataclass(frozen=True, slots=True)
class SendAll:
    """To every other member."""

    message: Message


@dataclass(frozen=True, slots=True)
class Submit(Generic[C]):
    """Put it into a signed transaction. Given again after some blocks if the chain does not show it."""

    message: C


@dataclass(frozen=True, slots=True)
class Store:
    """Make durable, encrypted. The same name replaces."""

    name: str
    payload: bytes = field(repr=False)
    shelf: Shelf


@dataclass(frozen=True, slots=True)
class Erase:
    """Shred a shelf of this session. RETAINED takes the session's ek_j with it."""

    shelf: Shelf


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Call on_timer(name) once, this much later. The same name replaces."""

    name: str
    delay_ms: int


@dataclass(frozen=True, slots=True)
class Blame:
    """A party broke the protocol; a count and a log line, no evidence."""

    party: int
    reason: str


@dataclass(frozen=True, slots=True)
class Done:
    """Emitted once in a life of the machine, when the session's result for this node is settled."""

    outcome: Outcome


Effect: TypeAlias = Send | SendAll | Submit[ChainMessage] | Store | Erase | SetTimer | Blame | Done
