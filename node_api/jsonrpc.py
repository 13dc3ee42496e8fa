"""POST /sss/jrpc: from bytes to a method and back. Every answer is HTTP 200; torus.js reads nothing else.

An unexpected exception becomes INTERNAL and one log line with its type and place, never its text.
"""

from __future__ import annotations

import time
from typing import Any

import msgspec
from starlette.types import Receive, Scope, Send

from authnet_core.errors import AuthnetError, Code
from authnet_core.json_text import NOT_JSON
from authnet_runtime.logs import get_logger
from node_api.meters import observe
from node_api.methods import METHODS
from node_api.node import Node
from node_api.refusals import RpcError, rpc_error
from node_api.replies import read_body, reply_rpc, where

_log = get_logger("jsonrpc")
MAX_ID = 128
MAX_BRACKETS = 512
"""Opening brackets in a body: a login with nine receipts has some twenty. Bounds the depth on any interpreter."""
RpcId = int | float | str | None


class Envelope(msgspec.Struct, frozen=True):
    """A JSON-RPC request; its parameters are read when the method is known."""

    method: str
    params: msgspec.Raw = msgspec.Raw(b"{}")
    id: RpcId = None


class Answered(msgspec.Struct, frozen=True):
    id: RpcId
    result: Any
    jsonrpc: str = "2.0"


class Failed(msgspec.Struct, frozen=True):
    id: RpcId
    error: RpcError
    jsonrpc: str = "2.0"


_envelope = msgspec.json.Decoder(Envelope)
_encoder = msgspec.json.Encoder()


class JsonRpc:
    """The ASGI endpoint of both paths."""

    def __init__(self, node: Node) -> None:
        self._node = node

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        try:
            body = await read_body(scope, receive, self._node.max_body, self._node.body_timeout_s)
        except AuthnetError as refusal:
            observe("none", refusal.code.value, time.perf_counter() - started)
            await reply_rpc(send, failure(None, refusal), close=True)
            return
        await reply_rpc(send, await self.answer(body))

    async def answer(self, body: bytes) -> bytes:
        """The whole answer to one body. Never raises."""
        started, method, request_id = time.perf_counter(), "none", None
        try:
            envelope = _read(body)
            request_id = envelope.id
            method = envelope.method if envelope.method in METHODS else "unknown"
            with self._node.limits.work.one():
                result = await call(self._node, envelope)
            answer, outcome = _encoder.encode(Answered(request_id, result)), "ok"
        except AuthnetError as refusal:
            answer, outcome = failure(request_id, refusal), refusal.code.value
        except Exception as error:
            _log.error("request.failed", method=method, error=type(error).__name__, where=where(error))
            internal = AuthnetError(Code.INTERNAL, "the node could not answer")
            answer, outcome = failure(request_id, internal), Code.INTERNAL.value
        observe(method, outcome, time.perf_counter() - started)
        return answer


def failure(request_id: RpcId, refusal: AuthnetError) -> bytes:
    """The bytes of a refusal."""
    return _encoder.encode(Failed(request_id, rpc_error(refusal)))


def _read(body: bytes) -> Envelope:
    if body.count(b"[") + body.count(b"{") > MAX_BRACKETS:
        raise AuthnetError(Code.DECODE, f"not JSON with at most {MAX_BRACKETS} objects and lists")
    try:
        envelope = _envelope.decode(body)
    except msgspec.ValidationError as error:
        raise AuthnetError(Code.MALFORMED, f"not one JSON-RPC request: {error}") from None
    except NOT_JSON:
        raise AuthnetError(Code.DECODE, "not JSON, or nested too deeply") from None
    if isinstance(envelope.id, str) and len(envelope.id) > MAX_ID:
        raise AuthnetError(Code.MALFORMED, f"id: at most {MAX_ID} characters")
    return envelope


async def call(node: Node, envelope: Envelope) -> msgspec.Struct:
    """Read the parameters and run the method."""
    method = METHODS.get(envelope.method)
    if method is None:
        raise AuthnetError(Code.UNKNOWN_METHOD, "unknown method")
    try:
        params = method.decoder.decode(envelope.params)
    except msgspec.ValidationError as error:
        raise AuthnetError(Code.BAD_PARAMS, f"params: {error}") from None
    except NOT_JSON:
        raise AuthnetError(Code.DECODE, "params: not JSON, or nested too deeply") from None
    return await method.handler(node, params)
