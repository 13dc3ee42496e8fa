"""A MODEL of the chain's rules for the exponent fallback of one session (docs/protocol/dkg.md, fallback).

One record a dealer: list hashes until the cut-off, one challenge ever, then one scalar a member.
"""

from dataclasses import dataclass, field

from authnet_core.crypto.scalars import is_canonical
from authnet_core.protocol.dkg import strings
from authnet_core.protocol.dkg.messages import FallbackList, FallbackScalar
from authnet_core.protocol.dkg.params import SessionParams
from authnet_core.protocol.views import FallbackView

T_OPEN_MS = 3_000
"""After the block that follows the one that fixed Q."""


@dataclass
class ModelFallback:
    """The fallback for one dealer of Q."""

    lists: dict[int, bytes] = field(default_factory=dict)
    seed: bytes = b""
    seed_height: int = 0
    scalars: dict[int, bytes] = field(default_factory=dict)

    def take_list(self, sender: int, message: FallbackList) -> bool:
        """One hash a member, none once the challenge is fixed: it must not be chosen after it."""
        if self.seed or sender in self.lists or len(message.list_hash) != 32:
            return False
        self.lists[sender] = message.list_hash
        return True

    def take_scalar(self, sender: int, message: FallbackScalar) -> bool:
        if not self.seed or sender in self.scalars or len(message.w) != 32 or not is_canonical(message.w):
            return False
        self.scalars[sender] = message.w
        return True

    def cut_off(self, params: SessionParams, dealer: int, height: int) -> None:
        """At the end of a block: n-t hashes fix the challenge, for good."""
        if not self.seed and len(self.lists) >= params.committee.quorum:
            self.seed = strings.fallback_seed(params.sid, dealer, sorted(self.lists.items()))
            self.seed_height = height

    def view(self) -> FallbackView:
        return FallbackView(
            lists={member: digest.hex() for member, digest in self.lists.items()},
            seed=self.seed.hex(),
            seed_height=self.seed_height,
            scalars={member: w.hex() for member, w in self.scalars.items()},
        )
