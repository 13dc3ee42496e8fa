"""What every query is made of: the found view with the keys that prove it, proven absence, and strict arguments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from authnet_core.errors import AuthnetError, Code


@dataclass(frozen=True, slots=True)
class Found:
    """A view and the tree keys it was read from."""

    view: Any
    keys: tuple[bytes, ...] = ()


class Absent(Exception):
    """Nothing there; `key` proves it."""

    def __init__(self, code: Code, sentence: str, key: bytes) -> None:
        super().__init__(sentence)
        self.refusal = AuthnetError(code, sentence)
        self.key = key


def parse_hex(text: str, size: int, name: str) -> bytes:
    """An argument of `size` bytes in lowercase hex. Raises AuthnetError(BAD_PARAMS)."""
    try:
        raw = bytes.fromhex(text) if text.isascii() and text == text.lower() else b""
    except ValueError:
        raw = b""
    if len(raw) != size:
        raise AuthnetError(Code.BAD_PARAMS, f"{name} must be {size} bytes of lowercase hex")
    return raw


def parse_page(arguments: list[str], most: int) -> tuple[int, int]:
    """(first, limit). Raises AuthnetError(BAD_PARAMS)."""
    first, limit = parse_number(arguments[0], "first"), parse_number(arguments[1], "limit")
    if not 1 <= limit <= most:
        raise AuthnetError(Code.BAD_PARAMS, f"limit must be 1 to {most}")
    return first, limit


def parse_number(text: str, name: str) -> int:
    """A decimal argument. Raises AuthnetError(BAD_PARAMS)."""
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise AuthnetError(Code.BAD_PARAMS, f"{name} must be a number")
    return int(text)
