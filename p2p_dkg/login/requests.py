"""The parameters of `commit` and `share` on api.sock, read strictly: wrong ones are BAD_PARAMS and change nothing."""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec

from authnet_core.crypto.secp256k1 import is_point
from authnet_core.errors import AuthnetError, Code, DecodeError
from authnet_core.protocol.receipts import SignedReceipt

T = TypeVar("T")
CURVE = "secp256k1"
MAX_RECEIPTS = 32
MAX_EXTENSION_BYTES = 512
MAX_SESSION_S = 30 * 86_400

_HEX = re.compile(r"[0-9a-f]*")


class CommitRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A hash is to be bound to a session key."""

    token_hash: str
    temp_pub: str
    verifier: str
    epoch: int = 0
    """The committee meant; 0 for the serving one."""


class ShareRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A token is to be turned into a share. Its repr would show the token, so it has none."""

    verifier: str
    verifier_id: str
    id_token: str
    extension: str = ""
    temp_pub: str = ""
    """The session key, of a bound token only."""
    receipts: list[Any] = []
    """As the client echoes them: one node's junk among them is skipped, not refused."""
    nonce_enc: bool = False
    session_s: int = 86_400
    epoch: int = 0
    """The committee meant; 0 for the one the token belongs to, of a bound token the serving one."""
    curve: str = CURVE

    def __repr__(self) -> str:
        return "ShareRequest(...)"

    @property
    def lifetime_s(self) -> int:
        return min(self.session_s, MAX_SESSION_S)

    def signed_receipts(self) -> list[SignedReceipt]:
        found = []
        for item in self.receipts:
            try:
                found.append(SignedReceipt.from_wire(item))
            except DecodeError:
                continue
        return found


def read_commit(params: dict[str, Any]) -> tuple[CommitRequest, bytes, bytes]:
    """The request, the hash and T. Raises BAD_PARAMS."""
    request = _convert(params, CommitRequest)
    return request, _bytes("token_hash", request.token_hash, 32), read_point("temp_pub", request.temp_pub)


def read_share(params: dict[str, Any]) -> ShareRequest:
    """The request, its small fields checked. Raises BAD_PARAMS or UNSUPPORTED_CURVE."""
    request = _convert(params, ShareRequest)
    if request.curve != CURVE:
        raise AuthnetError(Code.UNSUPPORTED_CURVE, "keys are made for secp256k1 only")
    if len(request.receipts) > MAX_RECEIPTS:
        raise AuthnetError(Code.BAD_PARAMS, f"receipts: at most {MAX_RECEIPTS}")
    if request.session_s <= 0:
        raise AuthnetError(Code.BAD_PARAMS, "session_s: must be positive")
    try:
        size = len(request.extension.encode())
        request.verifier_id.encode()
    except UnicodeEncodeError:
        raise AuthnetError(Code.BAD_PARAMS, "verifier_id, extension: not valid Unicode") from None
    if size > MAX_EXTENSION_BYTES:
        raise AuthnetError(Code.BAD_PARAMS, f"extension: at most {MAX_EXTENSION_BYTES} bytes")
    return request


def read_point(name: str, text: str) -> bytes:
    """A compressed point in lowercase hex. Raises BAD_PARAMS."""
    raw = _bytes(name, text, 33)
    if not is_point(raw):
        raise AuthnetError(Code.BAD_PARAMS, f"{name}: not a point of the curve")
    return raw


def _bytes(name: str, text: str, size: int) -> bytes:
    if len(text) != 2 * size or not _HEX.fullmatch(text):
        raise AuthnetError(Code.BAD_PARAMS, f"{name}: must be {2 * size} lowercase hex digits")
    return bytes.fromhex(text)


def _convert(params: dict[str, Any], shape: type[T]) -> T:
    try:
        return msgspec.convert(params, shape)
    except msgspec.ValidationError as error:
        raise AuthnetError(Code.BAD_PARAMS, str(error)) from None
