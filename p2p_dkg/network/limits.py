"""Bounds of one link: a token bucket for what comes in, a queue with a drop rule for what goes out."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

import trio


class TokenBucket:
    """`rate` tokens a second, at most `burst` saved up."""

    def __init__(self, rate: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._tokens, self._at = burst, clock()

    def take(self, tokens: float) -> bool:
        """Take `tokens` if they are there."""
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if tokens > self._tokens:
            return False
        self._tokens -= tokens
        return True


class Outbox:
    """Frames waiting for a slow peer. Small urgent ones go first; when bulk is full the oldest bulk frame goes.

    Nothing is lost for good by that: who misses a bundle or a list asks for it again.
    """

    def __init__(self, max_bulk_bytes: int, max_urgent: int) -> None:
        self._max_bulk_bytes, self._max_urgent = max_bulk_bytes, max_urgent
        self._bulk: deque[bytes] = deque()
        self._urgent: deque[bytes] = deque()
        self._bulk_bytes = 0
        self._wake = trio.Event()
        self.dropped = 0

    def put_bulk(self, frame: bytes) -> None:
        """Queue a large frame."""
        self._bulk.append(frame)
        self._bulk_bytes += len(frame)
        while self._bulk_bytes > self._max_bulk_bytes and len(self._bulk) > 1:
            self._bulk_bytes -= len(self._bulk.popleft())
            self.dropped += 1
        self._wake.set()

    def put_urgent(self, frame: bytes) -> None:
        """Queue a small frame ahead of all bulk."""
        if len(self._urgent) >= self._max_urgent:
            self.dropped += 1
            return
        self._urgent.append(frame)
        self._wake.set()

    def clear(self) -> None:
        """Forget everything: the peer asks again for what it still wants."""
        self._bulk.clear()
        self._urgent.clear()
        self._bulk_bytes = 0

    async def get(self) -> bytes:
        """The next frame to send."""
        while True:
            if self._urgent:
                return self._urgent.popleft()
            if self._bulk:
                frame = self._bulk.popleft()
                self._bulk_bytes -= len(frame)
                return frame
            self._wake = trio.Event()
            await self._wake.wait()
