"""Bounds on connections that uvicorn leaves open: how many, how long a head may take, how big it is, how many
requests may be sent ahead, how long an answer may lie unread.

When all places are taken a new connection gets the place of the one that has kept the door waiting longest, from the
address that holds most: whoever holds connections without asking anything can not lock others out.
Subclassing is uvicorn's own way to extend its protocol; it makes one instance for each connection.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from node_api.limits import client_address
from node_api.meters import CONNECTIONS, DROPPED

MAX_HEAD = 16_384
HEAD_TIMEOUT_S = 10.0
UNREAD_TIMEOUT_S = 20.0
MAX_AHEAD = 16
"""Requests that may wait behind the one being answered. One read can bring some ten thousand of them."""
_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nconnection: close\r\n"
    b'content-length: 106\r\n\r\n{"error":{"code":"BUSY","message":"too many connections",'
    b'"cure":"Try again in a few seconds.","nodes":[]}}'
)


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """How many connections in all, and from one address that is no proxy of ours."""

    total: int
    per_address: int
    proxies: frozenset[str] = frozenset()
    head_timeout_s: float = HEAD_TIMEOUT_S
    unread_timeout_s: float = UNREAD_TIMEOUT_S


class LimitedProtocol(HttpToolsProtocol):
    """One connection. `limited_protocol` makes the subclass that a server uses."""

    limits: ClassVar[ConnectionLimits]
    open_by_address: ClassVar[Counter[str]]
    open_now: ClassVar[set[LimitedProtocol]]

    _address = ""
    _admitted = False
    _in_head = False
    _head_bytes = 0
    _waiting_since = 0.0
    _head_timer: asyncio.TimerHandle | None = None
    _unread_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._address = client_address(self.client[0] if self.client else "", "", frozenset())
        limits = self.limits
        per_address = limits.total if self._address in limits.proxies else limits.per_address
        # Told of any byte that the kernel does not take: then the client does not read.
        transport.set_write_buffer_limits(high=0)
        taken = self.open_by_address[self._address]
        if taken >= per_address or (len(self.open_now) >= limits.total and not self._make_room()):
            DROPPED.labels("full").inc()
            transport.write(_FULL)
            transport.close()
            return
        self._admitted = True
        self.open_now.add(self)
        self.open_by_address[self._address] += 1
        self._waiting_since = self.loop.time()
        CONNECTIONS.inc()
        self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_watch()
        self.resume_writing()
        self._leave()
        super().connection_lost(exc)

    def _leave(self) -> None:
        if not self._admitted:
            return
        self._admitted = False
        self.open_now.discard(self)
        CONNECTIONS.dec()
        self.open_by_address[self._address] -= 1
        if not self.open_by_address[self._address]:
            del self.open_by_address[self._address]

    def _make_room(self) -> bool:
        """Cut the connection whose turn it has been to speak for longest, of the address that holds most."""
        silent = [each for each in self.open_now if each.owes_bytes()]
        if not silent:
            return False
        count = self.open_by_address
        victim = min(silent, key=lambda each: (-count[each._address], each._waiting_since))
        DROPPED.labels("made_room").inc()
        victim._leave()
        victim.transport.abort()
        return True

    def owes_bytes(self) -> bool:
        """Whether the next word is the client's: it sends no request, or has not finished sending one."""
        return self.cycle is None or self.cycle.response_complete or self.cycle.more_body

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._unread_timer is None:
            self._unread_timer = self.loop.call_later(self.limits.unread_timeout_s, self._unread)

    def resume_writing(self) -> None:
        if self._unread_timer is not None:
            self._unread_timer.cancel()
            self._unread_timer = None
        super().resume_writing()

    def _unread(self) -> None:
        self._unread_timer = None
        DROPPED.labels("unread_answer").inc()
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        if not self._admitted or self.transport.is_closing():
            return
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._in_head and self._head_bytes > MAX_HEAD:
            DROPPED.labels("head_too_large").inc()
            self.send_400_response("Request head too large.")
        elif self._is_idle():
            # Between requests every byte belongs to a head, or to a body that was refused unread.
            self._watch_head()

    def on_message_begin(self) -> None:
        self._in_head, self._head_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._stop_watch()
        if len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers) > MAX_HEAD:
            DROPPED.labels("head_too_large").inc()
            raise ValueError("request head too large")  # the server answers 400 and closes
        if len(self.pipeline) >= MAX_AHEAD:
            DROPPED.labels("too_far_ahead").inc()
            raise ValueError("too many requests sent ahead")
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        self._waiting_since = self.loop.time()
        super().on_response_complete()

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _watch_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.limits.head_timeout_s, self._head_too_slow)

    def _stop_watch(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_too_slow(self) -> None:
        self._head_timer = None
        if not self.transport.is_closing():
            DROPPED.labels("slow_head").inc()
            self.transport.close()


def limited_protocol(limits: ConnectionLimits) -> type[HttpToolsProtocol]:
    """The protocol class of one server, with a count of its own."""
    own = {"limits": limits, "open_by_address": Counter(), "open_now": set()}
    return type("ServerProtocol", (LimitedProtocol,), own)
