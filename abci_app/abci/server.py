"""The ABCI socket: four connections of one CometBFT, one request at a time, consensus first.

Answers go out in the order of a connection's requests. A connection that starts to send consensus calls is
the new consensus connection, so whatever an earlier one left uncommitted is dropped.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import cast

from google.protobuf.message import DecodeError as ProtobufError

from abci_app.abci.dispatch import CONSENSUS, Dispatcher, stop
from abci_app.abci.framing import Frames, pack
from abci_app.pb.tendermint.abci import types_pb2 as pb
from authnet_core.errors import DecodeError
from authnet_runtime.logs import get_logger

_SLICE = 32
"""Requests answered before the loop looks for newly arrived consensus calls and for queries on read.sock."""
_PAUSE_AT = 4_096
"""Requests a connection may have waiting before it is no longer read."""
_log = get_logger("abci")


class Connection(asyncio.Protocol):
    """One of CometBFT's connections: cuts bytes into requests and queues them."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._frames = Frames()
        self._transport: asyncio.Transport | None = None
        self._paused = False
        self.waiting: deque[pb.Request] = deque()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not derive from asyncio.Transport.
        self._transport = cast(asyncio.Transport, transport)
        self._scheduler.connections.append(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self.waiting.clear()
        self._scheduler.connections.remove(self)

    def data_received(self, received: bytes) -> None:
        try:
            for frame in self._frames.feed(received):
                request = pb.Request()
                request.ParseFromString(frame)
                self.waiting.append(request)
        except (DecodeError, ProtobufError) as error:
            _log.warning("abci.frame_rejected", error=type(error).__name__)
            self.close()
            return
        if len(self.waiting) > _PAUSE_AT and self._transport is not None:
            self._transport.pause_reading()
            self._paused = True
        self._scheduler.wake()

    @property
    def wants_consensus(self) -> bool:
        return bool(self.waiting) and self.waiting[0].WhichOneof("value") in CONSENSUS

    def reply(self, response: pb.Response) -> None:
        if self._transport is None:
            return
        self._transport.write(pack(response.SerializeToString()))
        if self._paused and len(self.waiting) < _PAUSE_AT // 2:
            self._transport.resume_reading()
            self._paused = False

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


class Scheduler:
    """Picks the next request: consensus calls before all others, then connections in turn."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._consensus: Connection | None = None
        self._awake = False
        self.connections: list[Connection] = []

    def wake(self) -> None:
        """Something is waiting."""
        if not self._awake:
            self._awake = True
            asyncio.get_running_loop().call_soon(self._run)

    def _next(self) -> Connection | None:
        for connection in self.connections:
            if connection.wants_consensus:
                return connection
        for place, connection in enumerate(self.connections):
            if connection.waiting:
                # To the end of the line.
                self.connections.append(self.connections.pop(place))
                return connection
        return None

    def _run(self) -> None:
        self._awake = False
        for _ in range(_SLICE):
            connection = self._next()
            if connection is None:
                return
            self._serve(connection)
        self.wake()

    def _serve(self, connection: Connection) -> None:
        request = connection.waiting.popleft()
        kind = request.WhichOneof("value")
        if kind in CONSENSUS and connection is not self._consensus:
            self._consensus = connection
            self._dispatcher.drop_uncommitted()
        try:
            response = self._dispatcher.answer(request)
        except Exception as error:
            stop(f"an exception in {kind}", error)
        connection.reply(response)


async def serve(path: Path, dispatcher: Dispatcher, started: Callable[[], None]) -> None:
    """Serve ABCI at `path` until cancelled. A stale socket file is removed first."""
    path.unlink(missing_ok=True)
    scheduler = Scheduler(dispatcher)
    server = await asyncio.get_running_loop().create_unix_server(lambda: Connection(scheduler), str(path))
    path.chmod(0o660)
    started()
    try:
        await asyncio.Event().wait()
    finally:
        server.close()
        for connection in list(scheduler.connections):
            connection.close()
        path.unlink(missing_ok=True)
