"""Whom to ask for a missing bundle or list, and when. Pure bookkeeping, of a key generation or a resharing."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from authnet_core.protocol.dkg.effects import SetTimer
from authnet_core.protocol.dkg.messages import WantBundle, WantList, WantParts, WantRecovery

FETCH_TIMER = "fetch"
Want = WantBundle | WantList | WantParts | WantRecovery
P = TypeVar("P", bound=Hashable)
W = TypeVar("W", bound=Hashable)


@dataclass(slots=True)
class Fetcher(Generic[P, W]):
    """Two peers `P` an attempt at a want `W`, the next two at the next one; the pause doubles until something comes."""

    first_delay_ms: int
    last_delay_ms: int
    armed: bool = False
    attempts: dict[W, int] = field(default_factory=dict)
    asked: set[tuple[P, W]] = field(default_factory=set)
    delay_ms: int = 0

    def arm(self) -> list[SetTimer]:
        """Set the timer if it does not run."""
        if self.armed:
            return []
        self.armed = True
        delay = min(max(self.delay_ms, self.first_delay_ms), self.last_delay_ms)
        return [SetTimer(FETCH_TIMER, delay)]

    def ask(self, want: W, peers: Sequence[P], width: int = 2) -> list[P]:
        """The next `width` of the peers that may have it; they count as asked from now on."""
        if not peers:
            return []
        attempt = self.attempts.get(want, 0)
        self.attempts[want] = attempt + 1
        chosen = dict.fromkeys(peers[(width * attempt + step) % len(peers)] for step in range(width))
        self.asked.update((peer, want) for peer in chosen)
        return list(chosen)

    def was_asked(self, peer: P, want: W) -> bool:
        return (peer, want) in self.asked

    def is_new(self, want: W) -> bool:
        """Whether nobody was ever asked."""
        return not any(asked == want for _, asked in self.asked)

    def back_off(self) -> None:
        self.delay_ms = min(2 * max(self.delay_ms, self.first_delay_ms), self.last_delay_ms)

    def got(self, want: W) -> None:
        """Progress: the next pause is short again."""
        self.delay_ms = 0
        self.attempts.pop(want, None)
