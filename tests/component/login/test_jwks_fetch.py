"""Fetching a key set over real HTTP from a server that does not mean well."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio

from authnet_core.errors import AuthnetError, Code
from p2p_dkg.login import jwks_fetch
from p2p_dkg.login.jwks_fetch import MAX_BYTES, HttpFetch

BODY = b'{"keys":[]}'


def answer(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


@asynccontextmanager
async def server(reply: bytes, *, hang: bool = False) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Answers every request with `reply`; yields the URL and what was asked."""
    asked: list[bytes] = []

    async def handle(stream: trio.SocketStream) -> None:
        asked.append(await stream.receive_some(65_536))
        try:
            await stream.send_all(reply)
            if hang:
                await trio.sleep_forever()
        except trio.BrokenResourceError:
            pass

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, handle, 0, host="127.0.0.1"))
        port = listeners[0].socket.getsockname()[1]
        yield f"http://127.0.0.1:{port}/keys", asked
        nursery.cancel_scope.cancel()


async def fetch(reply: bytes, *, hang: bool = False) -> tuple[bytes | Code, list[bytes]]:
    async with server(reply, hang=hang) as (url, asked), HttpFetch(dev=True) as get:
        try:
            return await get(url), asked
        except AuthnetError as refusal:
            return refusal.code, asked


def test_a_good_answer() -> None:
    body, asked = trio.run(fetch, answer(BODY))
    assert body == BODY
    assert asked[0].startswith(b"GET /keys HTTP/1.1\r\n")
    assert b"accept-encoding: identity" in asked[0].lower()


@pytest.mark.parametrize(
    "reply",
    [
        answer(BODY, "500 Oops"),
        answer(BODY, "304 Not Modified"),
        answer(BODY, "204 No Content"),
        answer(BODY, "302 Found", "Location: http://127.0.0.1:1/"),
        answer(BODY, "301 Moved", "Location: https://elsewhere.test/"),
        answer(gzip.compress(bytes(10**7)), "200 OK", "Content-Encoding: gzip"),
        b"not http at all",
        b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\nConnection: close\r\n\r\nshort",
        b"",
    ],
)
def test_a_bad_answer_is_a_coded_refusal_after_one_request(reply: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jwks_fetch, "TIMEOUT_S", 1.0)
    code, asked = trio.run(fetch, reply)
    assert code == Code.UNAVAILABLE
    assert len(asked) == 1


def test_an_answer_that_is_too_long() -> None:
    assert trio.run(fetch, answer(b"x" * (MAX_BYTES + 1)))[0] == Code.TOO_LARGE
    endless = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"4000\r\n" + b"x" * 0x4000 + b"\r\n"
    assert trio.run(fetch, endless + (b"4000\r\n" + b"x" * 0x4000 + b"\r\n") * 40)[0] == Code.TOO_LARGE


def test_an_answer_that_never_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jwks_fetch, "TIMEOUT_S", 0.2)
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nshort"
    assert trio.run(partial(fetch, reply, hang=True))[0] == Code.UNAVAILABLE


def test_nobody_listens() -> None:
    async def call() -> None:
        async with HttpFetch(dev=True) as get:
            await get("http://127.0.0.1:1/keys")

    with pytest.raises(AuthnetError) as refusal:
        trio.run(call)
    assert refusal.value.code == Code.UNAVAILABLE


def test_plain_http_elsewhere_is_never_asked() -> None:
    async def call() -> None:
        async with HttpFetch(dev=False) as get:
            await get("http://127.0.0.1:1/keys")

    with pytest.raises(AuthnetError) as refusal:
        trio.run(call)
    assert refusal.value.code == Code.MALFORMED
