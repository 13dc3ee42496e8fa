"""Messages of sessions this node has not read from the chain yet: a few per sender, for a short while."""

from __future__ import annotations

from collections import deque

import trio

from authnet_core.protocol.dkg.messages import Message
from authnet_core.protocol.reshare.messages import ReshareMessage
from p2p_dkg.network.directory import Peer

PER_SENDER = 8
KEEP_S = 20.0


def name_of(message: Message | ReshareMessage) -> bytes:
    """The sid or rid that a message is about."""
    return message.sid if isinstance(message, Message) else message.rid


class EarlyMessages:
    """A member's bundle often comes before the block that opens its session is here."""

    def __init__(self) -> None:
        self._kept: dict[str, deque[tuple[float, Peer, Message | ReshareMessage]]] = {}
        """By peer id: whoever is in several committees has one share of the room."""

    def keep(self, sender: Peer, message: Message | ReshareMessage) -> None:
        """Remember a message; the sender's oldest one goes when it has too many."""
        kept = self._kept.setdefault(sender.peer_id, deque(maxlen=PER_SENDER))
        kept.append((trio.current_time(), sender, message))

    def pop(self, name: bytes) -> list[tuple[Peer, Message | ReshareMessage]]:
        """Messages of a session or resharing, removed; stale ones of all are forgotten."""
        self.tidy()
        found: list[tuple[Peer, Message | ReshareMessage]] = []
        for kept in self._kept.values():
            entries = list(kept)
            found += [(sender, message) for _, sender, message in entries if name_of(message) == name]
            kept.clear()
            kept.extend(entry for entry in entries if name_of(entry[2]) != name)
        return found

    def tidy(self) -> None:
        """Forget what is stale, and the peers that have nothing here: committees change."""
        oldest = trio.current_time() - KEEP_S
        for peer_id, kept in list(self._kept.items()):
            while kept and kept[0][0] < oldest:
                kept.popleft()
            if not kept:
                del self._kept[peer_id]
