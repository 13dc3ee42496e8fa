"""JSON-RPC 2.0 over a unix socket, client side: one connection, many calls at once, reconnects by itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import anyio
import msgspec
from anyio.abc import ByteStream

from authnet_core.errors import AuthnetError, Code, DecodeError
from authnet_core.json_text import NOT_JSON
from authnet_runtime.framing import FrameReader, pack

RETRY_S = 0.1
RETRY_MAX_S = 1.0
_NOTES = 256


class Reply(msgspec.Struct):
    """An answer or a notification."""

    id: int | None = None
    method: str = ""
    params: Any = None
    result: Any = None
    error: dict[str, Any] | None = None


@dataclass(slots=True)
class _Pending:
    done: anyio.Event = field(default_factory=anyio.Event)
    reply: Reply | None = None


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Reply)


_BROKEN = (
    anyio.BrokenResourceError,
    anyio.ClosedResourceError,
    DecodeError,
    *NOT_JSON,
    OSError,
)


def _frame(request_id: int, method: str, params: dict[str, Any] | None) -> bytes:
    return pack(_encoder.encode({"jsonrpc": "2.0", "id": request_id, "method": method, "params": params or {}}))


def _refusal(error: dict[str, Any]) -> AuthnetError:
    facts = error.get("data")
    if not isinstance(facts, dict):
        return AuthnetError(Code.INTERNAL, str(error.get("message", "")))
    known = Code.__members__.get(str(facts.get("code")), Code.INTERNAL)
    detail = facts.get("detail")
    return AuthnetError(known, str(facts.get("message", "")), **(detail if isinstance(detail, dict) else {}))


class RpcClient:
    """Use as an async context manager. `call` raises AuthnetError; UNAVAILABLE while nobody listens."""

    def __init__(self, path: Path, *, subscribe: str = "") -> None:
        """`subscribe`: method called after each connect, whose result is the first notification."""
        self._path = path
        self._subscribe = subscribe
        self._stream: ByteStream | None = None
        self._lock = anyio.Lock()
        self._pending: dict[int, _Pending] = {}
        self._last_id = 0
        self._stack = AsyncExitStack()
        self._notes_in, self._notes_out = anyio.create_memory_object_stream[Reply](_NOTES)
        self.connected = anyio.Event()

    async def __aenter__(self) -> RpcClient:
        group = await self._stack.enter_async_context(anyio.create_task_group())
        self._stack.callback(group.cancel_scope.cancel)
        group.start_soon(self._run)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(kind, error, trace)
        self._notes_in.close()
        self._notes_out.close()

    async def call(self, method: str, params: dict[str, Any] | None = None, timeout: float = 10.0) -> Any:
        """Call and return the result. Raises AuthnetError (TIMEOUT after `timeout` seconds)."""
        stream = self._stream
        if stream is None:
            raise AuthnetError(Code.UNAVAILABLE, f"{self._path.name} does not answer")
        self._last_id += 1
        request_id, pending = self._last_id, _Pending()
        frame = _frame(request_id, method, params)
        self._pending[request_id] = pending
        try:
            with anyio.fail_after(timeout):
                await self._send(stream, frame)
                await pending.done.wait()
        except TimeoutError:
            raise AuthnetError(Code.TIMEOUT, f"{self._path.name} gave no answer in {timeout:g} s") from None
        finally:
            self._pending.pop(request_id, None)
        if pending.reply is None:
            raise AuthnetError(Code.UNAVAILABLE, f"{self._path.name} closed the connection")
        if pending.reply.error is not None:
            raise _refusal(pending.reply.error)
        return pending.reply.result

    async def notifications(self) -> AsyncIterator[tuple[str, Any]]:
        """Yield (method, params) of pushed messages. When the reader is slow the newest are dropped:
        they are hints, the state behind them is asked for."""
        async for note in self._notes_out:
            yield note.method, note.params

    async def _send(self, stream: ByteStream, frame: bytes) -> None:
        try:
            async with self._lock:
                await stream.send(frame)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            raise AuthnetError(Code.UNAVAILABLE, f"{self._path.name} closed the connection") from None

    async def _run(self) -> None:
        delay = RETRY_S
        while True:
            try:
                stream = await anyio.connect_unix(self._path)
            except OSError:
                await anyio.sleep(delay)
                delay = min(delay * 1.5, RETRY_MAX_S)
                continue
            delay = RETRY_S
            await self._session(stream)
            await anyio.sleep(RETRY_S)

    async def _session(self, stream: ByteStream) -> None:
        async with stream:
            try:
                if self._subscribe:
                    await stream.send(_frame(0, self._subscribe, None))
                self._stream = stream
                self.connected.set()
                await self._read(FrameReader(stream))
            except _BROKEN:
                return
            finally:
                self._stream = None
                self.connected = anyio.Event()
                for pending in self._pending.values():
                    pending.done.set()

    async def _read(self, frames: FrameReader) -> None:
        while (frame := await frames.next()) is not None:
            reply = _decoder.decode(frame)
            if reply.method or reply.id == 0:
                self._note(reply)
            elif reply.id is not None and (pending := self._pending.get(reply.id)) is not None:
                pending.reply = reply
                pending.done.set()

    def _note(self, reply: Reply) -> None:
        if reply.id == 0:
            reply = Reply(method=self._subscribe, params=reply.result)
        try:
            self._notes_in.send_nowait(reply)
        except anyio.WouldBlock:
            return
