"""Kept-alive HTTP connections to one node, the one used last first.

The pools of httpx and httpcore look at all their connections, with a system call for each idle one, whenever a request
begins or ends. Once slow answers had made them many, a client spent its time on looking, took the answers for late
because of it, and did not get out of that again. Here a request looks at two at most, however many there are.
"""

from __future__ import annotations

import ssl
from functools import cache

import anyio
import httpcore
import httpx

from authnet_core.errors import AuthnetError, Code

MAX_ANSWER = 262_144
MOST = 64
"""Connections to one node at once; further requests wait."""
KEEP_S = 60.0
MAX_PORT = 65_535


class Connections:
    """To one origin. `is_kept`: whether they serve further requests."""

    def __init__(self, origin: httpcore.Origin, *, is_kept: bool = True) -> None:
        self._origin, self._is_kept = origin, is_kept
        self._idle: list[httpcore.AsyncHTTPConnection] = []
        self._room = anyio.Semaphore(MOST)

    async def send(self, request: httpcore.Request) -> tuple[int, bytes]:
        """(status, body). Raises httpcore's exceptions, or AuthnetError for an answer that is too long."""
        async with self._room:
            connection = await self._take()
            try:
                answer = await _exchange(connection, request)
            except BaseException:
                with anyio.CancelScope(shield=True):
                    await connection.aclose()
                raise
            await self._give_back(connection)
            return answer

    async def aclose(self) -> None:
        """Close those that are idle."""
        while self._idle:
            await self._idle.pop().aclose()

    async def _take(self) -> httpcore.AsyncHTTPConnection:
        while self._idle:
            connection = self._idle.pop()
            if not connection.has_expired():
                return connection
            await connection.aclose()
        tls = _tls() if self._origin.scheme == b"https" else None
        return httpcore.AsyncHTTPConnection(self._origin, ssl_context=tls, keepalive_expiry=KEEP_S)

    async def _give_back(self, connection: httpcore.AsyncHTTPConnection) -> None:
        if not self._is_kept or not connection.is_idle():
            await connection.aclose()
            return
        self._idle.append(connection)
        if self._idle[0].has_expired():
            await self._idle.pop(0).aclose()


def request_of(method: str, url: httpx.URL, headers: dict[str, str], body: bytes | None) -> httpcore.Request:
    """Raises httpx.InvalidURL for what nobody can be asked at: addresses come from other operators."""
    if url.raw_scheme not in (b"http", b"https") or not url.raw_host or (url.port or 0) > MAX_PORT:
        raise httpx.InvalidURL("no address of a web server")
    target = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
    sent = [("host", url.netloc.decode("ascii")), *headers.items()]
    if body is not None:
        sent.append(("content-length", str(len(body))))
    return httpcore.Request(method, target, headers=sent, content=body)


async def _exchange(connection: httpcore.AsyncHTTPConnection, request: httpcore.Request) -> tuple[int, bytes]:
    response = await connection.handle_async_request(request)
    try:
        chunks, size = [], 0
        async for chunk in response.aiter_stream():
            size += len(chunk)
            if size > MAX_ANSWER:
                raise AuthnetError(Code.BAD_NODE_ANSWER, f"an answer of more than {MAX_ANSWER} bytes")
            chunks.append(chunk)
        return response.status, b"".join(chunks)
    finally:
        await response.aclose()


@cache
def _tls() -> ssl.SSLContext:
    """Made once: reading the certificates of all authorities takes longer than a login."""
    return httpx.create_ssl_context(trust_env=False)
