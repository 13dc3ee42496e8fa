"""Whom to ask for a missing bundle or list, and when. Pure bookkeeping."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from authnet_core.protocol.dkg.effects import Effect, Send, SetTimer
from authnet_core.protocol.dkg.messages import WantBundle, WantList, WantParts, WantRecovery
from authnet_core.protocol.dkg.params import Party

FETCH_TIMER = "fetch"
Want = WantBundle | WantList | WantParts | WantRecovery


@dataclass(slots=True)
class Fetcher:
    """Two peers an attempt, the next two at the next one; the pause doubles until something comes."""

    first_delay_ms: int
    last_delay_ms: int
    armed: bool = False
    attempts: dict[Want, int] = field(default_factory=dict)
    asked: set[tuple[Party, Want]] = field(default_factory=set)
    delay_ms: int = 0

    def arm(self) -> list[Effect]:
        """Set the timer if it does not run."""
        if self.armed:
            return []
        self.armed = True
        delay = min(max(self.delay_ms, self.first_delay_ms), self.last_delay_ms)
        return [SetTimer(FETCH_TIMER, delay)]

    def ask(self, want: Want, peers: Sequence[Party]) -> list[Effect]:
        """Ask the next two of the peers that may have it; a recovery needs the answers of k, so all at once."""
        if not peers:
            return []
        attempt = self.attempts.get(want, 0)
        self.attempts[want] = attempt + 1
        if isinstance(want, WantRecovery):
            chosen = dict.fromkeys(peers)
        else:
            chosen = dict.fromkeys(peers[(2 * attempt + step) % len(peers)] for step in (0, 1))
        self.asked.update((peer, want) for peer in chosen)
        return [Send(peer, want) for peer in chosen]

    def was_asked(self, peer: Party, want: Want) -> bool:
        return (peer, want) in self.asked

    def is_new(self, want: Want) -> bool:
        """Whether nobody was ever asked."""
        return not any(asked == want for _, asked in self.asked)

    def back_off(self) -> None:
        self.delay_ms = min(2 * max(self.delay_ms, self.first_delay_ms), self.last_delay_ms)

    def got(self, want: Want) -> None:
        """Progress: the next pause is short again."""
        self.delay_ms = 0
        self.attempts.pop(want, None)
