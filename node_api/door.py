"""First thing every request meets: CORS, the rate limit of its address, and the last net under exceptions.

A flood is refused before its body is read. JSON-RPC is refused inside HTTP 200, since torus.js loses the
text of a 4xx; GET gets a 429 (interfaces.md section 2).
"""

from __future__ import annotations

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from authnet_core.errors import AuthnetError, Code
from authnet_runtime.logs import get_logger
from node_api.jsonrpc import failure
from node_api.limits import client_address
from node_api.meters import observe
from node_api.node import Node
from node_api.replies import declared_length, reply, reply_json, reply_refusal, where

_log = get_logger("door")
RPC_PATHS = frozenset({"/sss/jrpc", "/jrpc"})
OPEN_PATHS = ("/v1/", "/sss/jrpc", "/jrpc")
"""What a page of any origin may call; the rest is for operators and nodes."""
FREE_PATHS = frozenset({"/healthz", "/readyz"})
_ALLOW_HEADERS = (
    b"content-type, x-api-key, x-embed-host, verifier, verifierid, network, clientid, enablegating, pubkeyx, pubkeyy"
)
_ANY_ORIGIN = (b"access-control-allow-origin", b"*")
_PREFLIGHT = (
    _ANY_ORIGIN,
    (b"access-control-allow-methods", b"GET, POST, PUT, OPTIONS"),
    (b"access-control-allow-headers", _ALLOW_HEADERS),
    (b"access-control-max-age", b"86400"),
)


class Door:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, node: Node, proxies: frozenset[str]) -> None:
        self._app, self._node, self._proxies = app, node, proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]
        is_open = path.startswith(OPEN_PATHS)
        if scope["method"] == "OPTIONS" and is_open:
            await reply(send, 204, b"", _PREFLIGHT)
            return
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                if is_open:
                    message["headers"] = [*message.get("headers", ()), _ANY_ORIGIN]
            await send(message)

        try:
            self._admit(scope, path)
            await self._app(scope, receive, watched)
        except AuthnetError as refusal:
            if not started:
                await self._refuse(scope, path, refusal, watched)
        except Exception as error:
            _log.error("request.failed", error=type(error).__name__, where=where(error))
            if not started:
                internal = AuthnetError(Code.INTERNAL, "the node could not answer")
                await self._refuse(scope, path, internal, watched)

    def _admit(self, scope: Scope, path: str) -> None:
        if path in FREE_PATHS:
            return
        peer = scope["client"][0] if scope.get("client") else ""
        forwarded = ""
        if peer in self._proxies:
            values = [v for name, v in scope["headers"] if name == b"x-forwarded-for"]
            forwarded = b",".join(values).decode("latin-1")
        self._node.limits.admit_address(client_address(peer, forwarded, self._proxies), time.monotonic())

    async def _refuse(self, scope: Scope, path: str, refusal: AuthnetError, send: Send) -> None:
        observe("none", refusal.code.value, 0.0)
        # A short body that comes anyway is skipped by the server; a long or endless one is not waited for.
        length = declared_length(scope)
        is_post = scope["method"] not in ("GET", "HEAD")
        close = is_post and (length is None or length > self._node.max_body)
        if path in RPC_PATHS:
            await reply_json(send, 200, failure(None, refusal), close=close)
        else:
            await reply_refusal(send, refusal, close=close)
