"""First thing every request meets: CORS, the rate limit of its address, and the last net under exceptions.

A flood is refused before its body is read. JSON-RPC is refused inside HTTP 200, since torus.js loses the
text of a 4xx; GET gets a 429 (interfaces.md section 2).
"""

from __future__ import annotations

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from authnet_core.errors import AuthnetError, Code
from authnet_runtime.logs import get_logger
from node_api.jsonrpc import JsonRpc, failure
from node_api.limits import CLIENT, client_address
from node_api.meters import observe
from node_api.node import Node
from node_api.replies import ANY_ORIGIN, declared_length, reply, reply_refusal, reply_rpc, where

_log = get_logger("door")
RPC_PATHS = frozenset({"/sss/jrpc", "/jrpc"})
OPEN_PATHS = ("/v1/", *RPC_PATHS)
"""What a page of any origin may call; the rest is for operators and nodes."""
FREE_PATHS = frozenset({"/healthz"})
_ALLOW_HEADERS = (
    b"content-type, x-api-key, x-embed-host, verifier, verifierid, network, clientid, enablegating, pubkeyx, pubkeyy"
)
_PREFLIGHT = (
    ANY_ORIGIN,
    (b"access-control-allow-methods", b"GET, POST, PUT, OPTIONS"),
    (b"access-control-allow-headers", _ALLOW_HEADERS),
    (b"access-control-max-age", b"86400"),
)


class _Sent:
    """The server's `send`, which remembers whether an answer has begun."""

    def __init__(self, send: Send, *, any_origin: bool) -> None:
        self._send, self._any_origin, self.started = send, any_origin, False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            if self._any_origin:
                message["headers"] = [*message.get("headers", ()), ANY_ORIGIN]
        await self._send(message)


class Door:
    """The outermost ASGI application. JSON-RPC goes straight to `rpc`: most requests need no router."""

    def __init__(self, rpc: JsonRpc, rest: ASGIApp, node: Node, proxies: frozenset[str]) -> None:
        self._rpc, self._rest, self._node, self._proxies = rpc, rest, node, proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        path: str = scope["path"]
        if scope["method"] == "OPTIONS" and path.startswith(OPEN_PATHS):
            await reply(send, 204, b"", _PREFLIGHT)
            return
        sent = _Sent(send, any_origin=path.startswith("/v1/"))
        try:
            self._admit(scope, path)
            if path in RPC_PATHS and scope["method"] == "POST":
                await self._rpc(scope, receive, sent)
            else:
                await self._rest(scope, receive, sent)
        except AuthnetError as refusal:
            await self._refuse(scope, path, refusal, sent)
        except Exception as error:
            _log.error("request.failed", error=type(error).__name__, where=where(error))
            internal = AuthnetError(Code.INTERNAL, "the node could not answer")
            await self._refuse(scope, path, internal, sent)

    def _admit(self, scope: Scope, path: str) -> None:
        if path in FREE_PATHS:
            return
        peer = scope["client"][0] if scope.get("client") else ""
        forwarded = ""
        if peer in self._proxies:
            values = [v for name, v in scope["headers"] if name == b"x-forwarded-for"]
            forwarded = b",".join(values).decode("latin-1")
        address = client_address(peer, forwarded, self._proxies)
        CLIENT.set(address)  # each request runs in a task, and so in a context, of its own
        self._node.limits.admit_address(address, time.monotonic())

    async def _refuse(self, scope: Scope, path: str, refusal: AuthnetError, send: _Sent) -> None:
        if send.started:
            return
        observe("none", refusal.code.value, 0.0)
        # A short body that comes anyway is skipped by the server; a long or endless one is not waited for.
        length = declared_length(scope)
        is_post = scope["method"] not in ("GET", "HEAD")
        close = is_post and (length is None or length > self._node.max_body)
        if path in RPC_PATHS:
            await reply_rpc(send, failure(None, refusal), close=close)
        else:
            await reply_refusal(send, refusal, close=close)
