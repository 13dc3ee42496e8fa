"""Read-only CometBFT calls under /comet, for state sync and light clients (interfaces.md section 1).

GET /comet/commit?height=5 and POST /comet with a JSON-RPC body, which is what CometBFT's own light client
sends. Six methods and whole-number parameters pass; the request is written anew, never relayed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import httpx
import msgspec
from starlette.datastructures import QueryParams
from starlette.types import Receive, Scope, Send

from authnet_core.errors import AuthnetError, Code
from authnet_core.json_text import NOT_JSON
from authnet_runtime.logs import get_logger
from node_api.limits import Slots
from node_api.replies import read_body, reply_json, reply_refusal

PARAMS: dict[str, frozenset[str]] = {
    "status": frozenset(),
    "commit": frozenset({"height"}),
    "validators": frozenset({"height", "page", "per_page"}),
    "consensus_params": frozenset({"height"}),
    "header": frozenset({"height"}),
    "genesis": frozenset(),
}
MAX_ANSWER = 4 << 20
CALLS, CALLS_OF_ONE = 32, 8
SYNC_KEPT_S, SYNC_ASK_S = 1.0, 2.0
_MAX_BODY = 4096
_log = get_logger("comet")


class CometCall(msgspec.Struct, frozen=True):
    """A JSON-RPC request of CometBFT's clients: parameters by name."""

    method: str
    params: dict[str, Any] | None = None
    id: int | str | None = None


class CometProxy:
    """ASGI endpoint. `close` it at the end."""

    def __init__(self, socket: Path) -> None:
        self._slots = Slots("comet", CALLS, CALLS_OF_ONE)
        limits = httpx.Limits(max_connections=16, max_keepalive_connections=4)
        transport = httpx.AsyncHTTPTransport(uds=str(socket), limits=limits)
        self._http = httpx.AsyncClient(transport=transport, base_url="http://comet", timeout=10.0)

        self._syncing, self._asked_at = True, -math.inf

    async def close(self) -> None:
        await self._http.aclose()

    async def is_syncing(self) -> bool:
        """Whether CometBFT fetches blocks still, as it said last: it is asked at most once a second. True until it has
        said anything: it answers only after a while when it starts, just when it begins to go through the past."""
        now = anyio.current_time()
        if now - self._asked_at >= SYNC_KEPT_S:
            self._asked_at = now
            try:
                with anyio.fail_after(SYNC_ASK_S):
                    answer = json.loads(await self.relay(CometCall("status")))
                self._syncing = answer["result"]["sync_info"]["catching_up"] is True
            except (AuthnetError, TimeoutError, ValueError, KeyError, TypeError, RecursionError) as error:
                _log.debug("comet.no_status", reason=type(error).__name__)
        return self._syncing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            call = await _read_post(scope, receive) if scope["method"] == "POST" else _read_get(scope)
            with self._slots.one():
                answer = await self.relay(call)
        except AuthnetError as refusal:
            await reply_refusal(send, refusal, close=scope["method"] == "POST")
            return
        await reply_json(send, 200, answer)

    async def relay(self, call: CometCall) -> bytes:
        """CometBFT's own answer. Raises UNKNOWN_METHOD, BAD_PARAMS, UNAVAILABLE, TOO_LARGE."""
        body = {
            "jsonrpc": "2.0",
            "id": call.id if call.id is not None else -1,
            "method": call.method,
            "params": checked_params(call),
        }
        chunks, size = [], 0
        try:
            async with self._http.stream("POST", "/", json=body) as response:
                async for chunk in response.aiter_bytes():
                    size += len(chunk)
                    if size > MAX_ANSWER:
                        raise AuthnetError(Code.TOO_LARGE, f"the answer exceeds {MAX_ANSWER} bytes")
                    chunks.append(chunk)
        except (httpx.HTTPError, OSError):
            raise AuthnetError(Code.UNAVAILABLE, "CometBFT does not answer") from None
        return b"".join(chunks)


def checked_params(call: CometCall) -> dict[str, str]:
    """The parameters as decimal text. Raises UNKNOWN_METHOD or BAD_PARAMS."""
    allowed = PARAMS.get(call.method)
    if allowed is None:
        raise AuthnetError(Code.UNKNOWN_METHOD, f"/comet: expected one of {', '.join(PARAMS)}")
    params = {}
    for name, value in (call.params or {}).items():
        text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
        if value is None:
            continue
        if name not in allowed or not (text.isascii() and text.isdigit() and len(text) <= 19):
            raise AuthnetError(Code.BAD_PARAMS, f"{call.method}: expected whole numbers for its parameters")
        params[name] = text
    return params


def _read_get(scope: Scope) -> CometCall:
    method = str(scope["path_params"].get("method", ""))
    query: Mapping[str, str] = QueryParams(scope["query_string"])
    return CometCall(method, {name: value.strip('"') for name, value in query.items()})


async def _read_post(scope: Scope, receive: Receive) -> CometCall:
    body = await read_body(scope, receive, _MAX_BODY, 10.0)
    try:
        return msgspec.json.decode(body, type=CometCall)
    except NOT_JSON:
        raise AuthnetError(Code.MALFORMED, "not one JSON-RPC request") from None


def text_of(answer: bytes) -> dict[str, Any]:
    """An answer as an object; empty when it is none."""
    try:
        value = json.loads(answer)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
