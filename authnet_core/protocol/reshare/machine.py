"""One resharing of one batch as a machine without I/O: steps 2 to 9 of docs/protocol/resharing.md.

For a node of the old committee, of the new one, or of both. `on_chain` is level-triggered: it gets the chain's whole
record of the resharing and does what is missing. The same construction and the same inputs give the same effects.
After a crash: construct from what was stored, call on_chain, go on. One thread at a time.
"""

from collections.abc import Mapping

from authnet_core.protocol.dkg.state import Timing
from authnet_core.protocol.reshare.effects import ReshareEffect
from authnet_core.protocol.reshare.messages import ReshareMessage
from authnet_core.protocol.reshare.params import Party, PublicKeys, ReshareParams, Sender
from authnet_core.protocol.views import ReshareView

RETAIN_TIMER = "retain"
"""The driver's own: RETAIN is over in block time, or the old epoch is erased; what is retained goes."""
ABORT_TIMER = "abort"
"""The driver's own: the hand-over ended without a switch; everything of this resharing goes."""


class Resharing:
    """The machine of one node in one resharing."""

    def __init__(  # noqa: PLR0913, PLR0917 - its place in two committees and what it brings into each
        self,
        params: ReshareParams,
        keys: PublicKeys,
        old_me: Party | None,
        new_me: Party | None,
        ek_secret: bytes | None,
        rows: bytes | None,
        mask_x: bytes | None,
        seed: bytes,
        durable: Mapping[str, bytes],
        timing: Timing | None = None,
    ) -> None:
        """`seed`: 32 fresh random bytes, used only if no deal was stored. `rows`: this old node's share (32) || nonce
        (32) of each key of the batch in index order, None if it lacks one; `mask_x`: its share of the mask key, None
        also if it ever answered a challenge with that mask before. Without both it does not deal.

        Raises ValueError if the keys are not those of the batch, `ek_secret` does not belong to the announced key, or
        a stored record is broken.
        """
        raise NotImplementedError

    @property
    def closed(self) -> bool:
        """Nothing is left to do or to serve: the driver may drop the machine."""
        raise NotImplementedError

    @property
    def batch(self) -> bytes | None:
        """New share (32) || nonce (32) by position, once on disk; it counts from Done(HELD) on."""
        raise NotImplementedError

    @property
    def missing(self) -> tuple[str, ...]:
        """For status: what this node still waits for."""
        raise NotImplementedError

    def on_chain(self, view: ReshareView) -> list[ReshareEffect]:
        """The chain's record now. Call it at every new block until the machine is `closed`."""
        raise NotImplementedError

    def handle(self, sender: Sender, message: ReshareMessage) -> list[ReshareEffect]:
        """A message of an authenticated member. A bad one is counted and dropped, never an exception."""
        raise NotImplementedError

    def on_timer(self, name: str) -> list[ReshareEffect]:
        """A timer ran out, or one of the driver's own."""
        raise NotImplementedError

    def upgrade(self, position: int) -> list[ReshareEffect]:
        """The chain says that this key was upgraded: its nonce is forgotten and no longer waited for."""
        raise NotImplementedError
