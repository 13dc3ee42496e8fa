"""How a refusal leaves the node: as a JSON-RPC error that torus.js understands, or as an HTTP status.

torus.js reads only `error.data`, which must be a string, and only from HTTP 200 (torusjs-wire.md 2.1); for
everybody else the code and what to do about it are in `error.authnet`. Texts that clients compare or look
for are fixed here. Pure.
"""

from __future__ import annotations

from typing import Any

import msgspec

from authnet_core.cures import cure
from authnet_core.errors import AuthnetError, Code

INPUT, INTERNAL, PARSE, REQUEST, METHOD = -32602, -32603, -32700, -32600, -32601

_FIXED = {
    Code.VERIFIER_UNKNOWN: "Verifier not supported",
    Code.ACCOUNT_NOT_FOUND: "Verifier + VerifierID has not yet been assigned",
    Code.DUPLICATE_TOKEN: "Duplicate token found",
}
_PARAMS = frozenset(
    {
        Code.TOKEN_MALFORMED,
        Code.TOKEN_ALGORITHM,
        Code.TOKEN_SIGNATURE,
        Code.TOKEN_KEY_UNKNOWN,
        Code.TOKEN_ISSUER,
        Code.TOKEN_AUDIENCE,
        Code.TOKEN_EXPIRED,
        Code.TOKEN_NOT_YET_VALID,
        Code.TOKEN_TOO_OLD,
        Code.TOKEN_SUBJECT,
        Code.TOKEN_UNBOUND,
        Code.TOKEN_MODE,
        Code.EMAIL_NOT_VERIFIED,
        Code.RECEIPTS_TOO_FEW,
    }
)
_ENVELOPE = {Code.MALFORMED: REQUEST, Code.DECODE: PARSE, Code.UNKNOWN_METHOD: METHOD}
_NODE_SIDE = frozenset(
    {
        Code.INTERNAL,
        Code.UNAVAILABLE,
        Code.TIMEOUT,
        Code.BUSY,
        Code.POOL_EMPTY,
        Code.POOL_RESERVED,
        Code.SHARE_MISSING,
        Code.CHAIN_STALE,
        Code.RECEIPT_LOG_FULL,
        Code.RECEIPT_LOG_YOUNG,
    }
)
_STATUS = {
    Code.BAD_PARAMS: 400,
    Code.MALFORMED: 400,
    Code.UNSUPPORTED_CURVE: 400,
    Code.FORBIDDEN: 403,
    Code.VERIFIER_UNKNOWN: 404,
    Code.ACCOUNT_NOT_FOUND: 404,
    Code.NOT_FOUND: 404,
    Code.UNKNOWN_PATH: 404,
    Code.UNKNOWN_METHOD: 405,
    Code.EPOCH_MOVED: 409,
    Code.TOO_LARGE: 413,
    Code.RATE_LIMITED: 429,
    Code.QUOTA_EXCEEDED: 429,
    Code.INTERNAL: 500,
    Code.TIMEOUT: 504,
}


class Refused(msgspec.Struct, frozen=True, omit_defaults=True):
    """What our own clients read."""

    code: str
    cure: str
    detail: dict[str, Any] = {}


class RpcError(msgspec.Struct, frozen=True):
    """The `error` of a JSON-RPC answer."""

    code: int
    message: str
    data: str
    authnet: Refused


class HttpRefusal(msgspec.Struct, frozen=True):
    """The body of a GET that is refused: the same object the command line prints."""

    error: dict[str, Any]


def error_text(refusal: AuthnetError) -> str:
    """The sentence for `error.data`."""
    fixed = _FIXED.get(refusal.code)
    if fixed is not None:
        return fixed
    if refusal.code in _PARAMS:
        return f"Error occurred while verifying params: {refusal.message} [{refusal.code.value}]"
    return f"{refusal.message} [{refusal.code.value}]"


def rpc_error(refusal: AuthnetError) -> RpcError:
    """The JSON-RPC error of a refusal."""
    number = _ENVELOPE.get(refusal.code, INTERNAL if refusal.code in _NODE_SIDE else INPUT)
    message = "Internal error" if number == INTERNAL else "Input error"
    facts = Refused(refusal.code.value, cure(refusal.code), refusal.detail)
    return RpcError(number, message, error_text(refusal), facts)


def http_refusal(refusal: AuthnetError) -> HttpRefusal:
    """The body of a refused GET."""
    code = refusal.code
    message = _FIXED.get(code, refusal.message)
    body: dict[str, Any] = {"code": code.value, "message": message, "cure": cure(code), "nodes": []}
    if code is Code.EPOCH_MOVED:
        body["detail"] = refusal.detail  # the committee to ask, all of it public
    return HttpRefusal(body)


def http_status(code: Code) -> int:
    """The HTTP status of a refused GET."""
    return _STATUS.get(code, 503 if code in _NODE_SIDE else 400)
