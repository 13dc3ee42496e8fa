"""Strict reading of a signed token's text, before any JOSE library sees it (retrieval.md section 2).

A receipt is given once per token *text*, so a token must have exactly one text: libraries that accept
padding, stray bits, a signature plus the modulus, or S + L would let a thief commit the same token
again under a second hash. Pure: bytes in, parts out. Compact JWS: RFC 7515; EdDSA: RFC 8032 5.1.7.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from dataclasses import dataclass, field
from typing import Any, NoReturn

from authnet_core.errors import AuthnetError, Code

MAX_TOKEN_CHARS = 16_384
MAX_HEADER_CHARS = 2_048
MAX_SIGNATURE_CHARS = 1_366  # an RSA signature of 8,192 bits

_PART = re.compile(r"[A-Za-z0-9_-]+")
_ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493


@dataclass(frozen=True, slots=True)
class TokenText:
    """The parts of one token. Never printed: whoever reads it can try to log in with it."""

    header: dict[str, Any] = field(repr=False)
    claims: dict[str, Any] = field(repr=False)
    signature: bytes = field(repr=False)
    text: str = field(repr=False)


def read_token(text: str) -> TokenText:
    """Return the parts of `text`, or raise AuthnetError(TOKEN_MALFORMED) if it is not *the* text of a token."""
    if not text.isascii():
        malformed("the token has characters outside of base64url")
    if len(text) > MAX_TOKEN_CHARS:
        malformed(f"the token is longer than {MAX_TOKEN_CHARS} characters")
    parts = text.split(".", 3)
    if len(parts) != 3:
        malformed("the token must have three parts")
    if len(parts[0]) > MAX_HEADER_CHARS or len(parts[2]) > MAX_SIGNATURE_CHARS:
        malformed("the token's header or signature is too long")
    header, claims, signature = (decode_part(part) for part in parts)
    return TokenText(read_object(header), read_object(claims), signature, text)


def decode_part(part: str) -> bytes:
    """Decode base64url without padding; only the one encoding of the bytes is accepted."""
    if not _PART.fullmatch(part) or len(part) % 4 == 1:
        malformed("a part of the token is empty or not base64url")
    try:
        raw = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except (binascii.Error, ValueError):
        malformed("a part of the token is not base64url")
    if encode_part(raw) != part:
        malformed("a part of the token is not in its one base64url form")
    return raw


def encode_part(raw: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def read_object(raw: bytes) -> dict[str, Any]:
    """Read a JSON object; a key given twice, NaN, an infinite number or broken Unicode is refused."""
    try:
        text = raw.decode("utf-8")
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite)
        if "\\u" in text:  # an escape may stand for half a surrogate pair, which has no UTF-8
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        malformed("a part of the token is not plain JSON with each key once")
    if not isinstance(value, dict):
        malformed("a part of the token is not a JSON object")
    return value


def check_rsa_signature(signature: bytes, modulus: int) -> None:
    """The signature has exactly the modulus' length and is below it, else s + n would be a second text."""
    if len(signature) != (modulus.bit_length() + 7) // 8 or int.from_bytes(signature, "big") >= modulus:
        raise AuthnetError(Code.TOKEN_SIGNATURE, "the token's RSA signature is not in its one form")


def check_ed25519_signature(signature: bytes) -> None:
    """64 bytes and S < L, else S + L would be a second text."""
    if len(signature) != 64 or int.from_bytes(signature[32:], "little") >= _ED25519_ORDER:
        raise AuthnetError(Code.TOKEN_SIGNATURE, "the token's EdDSA signature is not in its one form")


def malformed(message: str) -> NoReturn:
    """Refuse the token's text."""
    raise AuthnetError(Code.TOKEN_MALFORMED, message) from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("duplicate key")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError("infinite number")
    return value
