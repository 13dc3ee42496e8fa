"""Reading a bounded body and writing an answer, without a framework in between."""

from __future__ import annotations

import asyncio

import msgspec
from starlette.types import Receive, Scope, Send

from authnet_core.errors import AuthnetError, Code
from node_api.refusals import http_refusal, http_status

JSON = (b"content-type", b"application/json; charset=utf-8")
ANY_ORIGIN = (b"access-control-allow-origin", b"*")
NO_SNIFF = (b"x-content-type-options", b"nosniff")


def declared_length(scope: Scope) -> int | None:
    """Content-Length, or None for a body of unknown length."""
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() else None
    return None


async def read_body(scope: Scope, receive: Receive, limit: int, timeout_s: float) -> bytes:
    """The whole body. Raises TOO_LARGE over `limit` bytes, TIMEOUT when it takes longer than `timeout_s`."""
    if (declared_length(scope) or 0) > limit:
        raise AuthnetError(Code.TOO_LARGE, f"a body has at most {limit} bytes")
    body = bytearray()
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise AuthnetError(Code.DECODE, "the body ended early")
                body += message.get("body", b"")
                if len(body) > limit:
                    raise AuthnetError(Code.TOO_LARGE, f"a body has at most {limit} bytes")
                if not message.get("more_body", False):
                    return bytes(body)
    except TimeoutError:
        raise AuthnetError(Code.TIMEOUT, f"the body did not arrive within {timeout_s:g} s") from None


async def reply(
    send: Send, status: int, body: bytes, headers: tuple[tuple[bytes, bytes], ...], *, close: bool = False
) -> None:
    """Send one complete answer."""
    every = [*headers, (b"content-length", str(len(body)).encode()), NO_SNIFF]
    if close:
        every.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": every})
    await send({"type": "http.response.body", "body": body})


async def reply_json(send: Send, status: int, body: bytes, *, close: bool = False) -> None:
    """Send one JSON answer."""
    await reply(send, status, body, (JSON,), close=close)


async def reply_rpc(send: Send, body: bytes, *, close: bool = False) -> None:
    """Send one JSON-RPC answer, which a page of any origin may read."""
    await reply(send, 200, body, (JSON, ANY_ORIGIN), close=close)


async def reply_refusal(send: Send, refusal: AuthnetError, *, close: bool = False) -> None:
    """Refuse a GET, with Retry-After when the refusal knows it."""
    headers: tuple[tuple[bytes, bytes], ...] = (JSON,)
    retry = refusal.detail.get("retry_ms")
    if isinstance(retry, int):
        headers = (*headers, (b"retry-after", str(-(-retry // 1000)).encode()))
    body = msgspec.json.encode(http_refusal(refusal))
    await reply(send, http_status(refusal.code), body, headers, close=close)


def where(error: BaseException) -> str:
    """File and line that raised: all of an unexpected exception that may be logged."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else ""
