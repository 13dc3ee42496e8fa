"""Messages of sessions this node has not read from the chain yet: a few per sender, for a short while."""

from __future__ import annotations

from collections import deque

import trio

from authnet_core.protocol.dkg.messages import Message

PER_SENDER = 8
KEEP_S = 20.0


class EarlyMessages:
    """A member's bundle often comes before the block that opens its session is here."""

    def __init__(self) -> None:
        self._kept: dict[int, deque[tuple[float, Message]]] = {}

    def keep(self, sender: int, message: Message) -> None:
        """Remember a message; the sender's oldest one goes when it has too many."""
        self._kept.setdefault(sender, deque(maxlen=PER_SENDER)).append((trio.current_time(), message))

    def pop(self, sid: bytes) -> list[tuple[int, Message]]:
        """Messages of a session, removed; stale ones of all sessions are forgotten."""
        oldest = trio.current_time() - KEEP_S
        found: list[tuple[int, Message]] = []
        for sender, kept in self._kept.items():
            live = [(at, message) for at, message in kept if at >= oldest]
            found += [(sender, message) for _, message in live if message.sid == sid]
            kept.clear()
            kept.extend((at, message) for at, message in live if message.sid != sid)
        return found
