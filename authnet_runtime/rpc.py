"""JSON-RPC 2.0 over a unix socket, server side; works under asyncio and trio.

A coded refusal travels as error.data = {"code", "message", "detail"}. The caller's user is checked by the
kernel's peer credentials. Requests of one connection run side by side up to a bound; answers go out as they
are ready, matched by id.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import anyio
import msgspec
from anyio.abc import ByteStream, SocketAttribute, TaskStatus

from authnet_core.errors import AuthnetError, Code, DecodeError
from authnet_core.json_text import NOT_JSON
from authnet_runtime.framing import FrameReader, pack
from authnet_runtime.logs import get_logger

CONCURRENT_REQUESTS = 64
_SEND_TIMEOUT_S = 10.0
_log = get_logger("rpc")
_encoder = msgspec.json.Encoder()


class Request(msgspec.Struct):
    """One call as it comes off the wire."""

    method: str
    id: int | str | None = None
    params: dict[str, Any] = msgspec.field(default_factory=dict)


_decoder = msgspec.json.Decoder(Request)


class Connection:
    """One caller. `notify` pushes a message that answers no request."""

    def __init__(self, stream: ByteStream, uid: int) -> None:
        self._stream = stream
        self._lock = anyio.Lock()
        self.uid = uid
        self.closed = anyio.Event()

    async def notify(self, method: str, params: Any) -> None:
        """Send a notification. Raises anyio.BrokenResourceError when the caller is gone."""
        await self.send({"jsonrpc": "2.0", "method": method, "params": params})

    async def send(self, message: dict[str, Any]) -> None:
        """Write one message; a caller that does not read for 10 s is cut off."""
        frame = pack(_encoder.encode(message))
        async with self._lock:
            with anyio.move_on_after(_SEND_TIMEOUT_S) as scope:
                await self._stream.send(frame)
            if scope.cancelled_caught:
                await anyio.aclose_forcefully(self._stream)
                raise anyio.BrokenResourceError


Handler = Callable[[dict[str, Any], Connection], Awaitable[Any]]


def error_message(request_id: int | str | None, error: AuthnetError) -> dict[str, Any]:
    """The JSON-RPC error object of a coded refusal."""
    facts = {"code": error.code.value, "message": error.message, "detail": error.detail}
    return {"jsonrpc": "2.0", "id": request_id, "error": {"code": -32000, "message": error.message, "data": facts}}


async def _answer(request: Request, methods: Mapping[str, Handler], connection: Connection) -> dict[str, Any]:
    handler = methods.get(request.method)
    try:
        if handler is None:
            raise AuthnetError(Code.UNKNOWN_METHOD, "unknown method")
        result = await handler(request.params, connection)
    except AuthnetError as refusal:
        return error_message(request.id, refusal)
    except Exception as error:
        # The text of an unexpected exception may hold anything, so only its type leaves or is logged.
        place = error.__traceback__
        while place is not None and place.tb_next is not None:
            place = place.tb_next
        where = f"{place.tb_frame.f_code.co_filename}:{place.tb_lineno}" if place else ""
        _log.error("rpc.failed", method=request.method, error=type(error).__name__, where=where)
        return error_message(request.id, AuthnetError(Code.INTERNAL, "internal error"))
    return {"jsonrpc": "2.0", "id": request.id, "result": result}


def _peer_uid(stream: ByteStream) -> int:
    raw = stream.extra(SocketAttribute.raw_socket)
    packed = raw.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", packed)[1])


async def _serve_one(stream: ByteStream, methods: Mapping[str, Handler], allowed: frozenset[int]) -> None:
    async with stream:
        uid = _peer_uid(stream)
        if uid not in allowed:
            _log.warning("rpc.refused", uid=uid)
            return
        await _talk(stream, methods, Connection(stream, uid))


async def _talk(stream: ByteStream, methods: Mapping[str, Handler], connection: Connection) -> None:
    """Answer until the caller ends the connection, or writes what is no frame."""
    try:
        await _read_requests(stream, methods, connection)
    except* (anyio.BrokenResourceError, anyio.ClosedResourceError, ConnectionError, OSError):
        pass
    except* DecodeError as error:
        _log.warning("rpc.frame_rejected", reason=str(error.exceptions[0]))
    finally:
        connection.closed.set()


async def _read_requests(stream: ByteStream, methods: Mapping[str, Handler], connection: Connection) -> None:
    slots = anyio.Semaphore(CONCURRENT_REQUESTS)
    frames = FrameReader(stream)
    async with anyio.create_task_group() as group:

        async def run(request: Request) -> None:
            try:
                answer = await _answer(request, methods, connection)
                if request.id is not None:
                    await _reply(connection, request.id, answer)
            finally:
                slots.release()

        while (frame := await frames.next()) is not None:
            try:
                request = _decoder.decode(frame)
            except NOT_JSON:
                refusal = AuthnetError(Code.MALFORMED, "not a JSON-RPC request")
                await connection.send(error_message(None, refusal))
                continue
            await slots.acquire()
            group.start_soon(run, request)
        group.cancel_scope.cancel()


async def _reply(connection: Connection, request_id: int | str, answer: dict[str, Any]) -> None:
    try:
        await connection.send(answer)
    except DecodeError as too_large:
        await connection.send(error_message(request_id, too_large))


async def serve(
    path: Path,
    methods: Mapping[str, Handler],
    *,
    peers: frozenset[int] | None = None,
    mode: int = 0o660,
    task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Serve `methods` at `path` until cancelled.

    `peers`: user ids that may call; None means this process's own user. A stale socket file is removed
    first, and the file is removed at the end.
    """
    path.unlink(missing_ok=True)
    allowed = peers if peers is not None else frozenset({os.getuid()})
    listener = await anyio.create_unix_listener(path, mode=mode)
    try:
        task_status.started()
        await listener.serve(lambda stream: _serve_one(stream, methods, allowed))
    finally:
        path.unlink(missing_ok=True)
