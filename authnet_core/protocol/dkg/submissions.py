"""When a message for the chain is given again. Pure bookkeeping, of a key generation or a resharing."""

from dataclasses import dataclass, field
from typing import Any

LONGEST_PAUSE = 64
"""Blocks between two submissions of one message about a dealer."""


@dataclass(slots=True)
class Submissions:
    """Kind and dealer (0 for kinds about the whole) -> newest message, height, pause in blocks."""

    pause: int
    sent: dict[tuple[type, int], tuple[Any, int, int]] = field(default_factory=dict)

    def is_due(self, message: object, height: int) -> bool:
        """Once, and again if some blocks later the chain still does not show it; it counts as sent from now on.

        What is said of a dealer waits twice as long each time: a complaint is large, and may be refused for good.
        """
        dealer: int = getattr(message, "dealer", 0)
        last, sent_at, pause = self.sent.get((type(message), dealer), (None, 0, 0))
        if last != message:
            pause = self.pause
        elif height < sent_at + pause:
            return False
        else:
            pause = min(2 * pause, LONGEST_PAUSE) if dealer else pause
        self.sent[type(message), dealer] = (message, height, pause)
        return True
