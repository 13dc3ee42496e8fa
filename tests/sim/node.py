"""A machine with its disk, and what it did, as the invariants look at it."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from authnet_core.protocol.dkg.effects import Blame, Outcome, Shelf, Store
from authnet_core.protocol.dkg.machine import Session
from authnet_core.protocol.dkg.messages import (
    Ack,
    ChainMessage,
    Deal,
    FallbackList,
    FallbackScalar,
    Final,
    Have,
    Message,
    Opened,
)
from authnet_core.protocol.dkg.picture import bit

if TYPE_CHECKING:
    from tests.sim.world import World


@dataclass(frozen=True)
class Sent:
    """A message that left an honest node; `height` is the chain's by then."""

    time_ms: int
    sender: int
    to: int
    message: Message
    height: int


@dataclass
class Node:
    """The disk survives a crash, the machine does not."""

    index: int
    seed: bytes
    secret: bytes
    """Its encryption secret, for the judge of the run."""
    ek: bytes | None
    """The same as the keeper has it: gone when it is shredded."""
    session: Session | None = None
    life: int = 0
    disk: dict[str, bytes] = field(default_factory=dict)
    written: dict[str, bytes] = field(default_factory=dict)
    """Whatever was ever on disk."""
    shelf_of: dict[str, Shelf] = field(default_factory=dict)
    erased: list[Shelf] = field(default_factory=list)
    outcome: Outcome | None = None
    stores: int = 0
    undecodable: int = 0
    deals_sent: set[bytes] = field(default_factory=set)
    scalars_sent: dict[int, set[bytes]] = field(default_factory=dict)
    blamed: list[Blame] = field(default_factory=list)

    def keep(self, store: Store) -> None:
        self.disk[store.name], self.shelf_of[store.name] = store.payload, store.shelf
        self.written[store.name] = store.payload

    def shred(self, shelf: Shelf) -> None:
        """The key of the shelf goes, and with RETAINED the encryption secret."""
        self.erased.append(shelf)
        for name in [name for name, where in self.shelf_of.items() if where is shelf]:
            del self.disk[name], self.shelf_of[name]
        if shelf is Shelf.RETAINED:
            self.ek = None

    def check_stored_before(self, message: ChainMessage, world: "World") -> None:
        """What a transaction says must be on disk already: a crash may come right after it."""
        match message:
            case Deal():
                self.deals_sent.add(message.encode())
                self._require("deal", message, world)
            case Ack(dealers=bits):
                for i in (i for i in world.params.parties if bits & bit(i)):
                    self._require(f"share/{i}", message, world)
                    self._require(f"bundle/{i}", message, world)
            case Opened(dealers=bits):
                for i in (i for i in world.params.parties if bits & bit(i)):
                    served = f"list/{i}" in self.disk or self._parts_of(i) >= world.committee.k
                    assert served, f"party {self.index} opened {i} without keeping it, seed {world.seed}"
            case FallbackList(dealer=i):
                self._require(f"parts/{i}/{self.index}", message, world)
            case FallbackScalar(dealer=i, w=w):
                self.scalars_sent.setdefault(i, set()).add(w)
                self._require(f"spare/{i}", message, world)
            case Final() | Have():
                self._require("shares", message, world)

    def _parts_of(self, dealer: int) -> int:
        return sum(name.startswith(f"parts/{dealer}/") for name in self.disk)

    def _require(self, name: str, message: ChainMessage, world: "World") -> None:
        kind = type(message).__name__
        assert name in self.disk, f"party {self.index} submits {kind} with no {name} on disk, seed {world.seed}"
