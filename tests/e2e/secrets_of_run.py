"""The secrets of a run, whatever shape a socket gives them in, and every form in which a file might hold one."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

MIN_SECRET = 16
"""Bytes; shorter ones are found by chance."""
_HEX = re.compile(r"(?:[0-9a-f]{2}){16,}")


def hex_strings(answer: Any) -> Iterator[str]:
    """All hex texts of 16 bytes and more in a JSON answer."""
    match answer:
        case str():
            if _HEX.fullmatch(answer):
                yield answer
        case dict():
            for value in answer.values():
                yield from hex_strings(value)
        case list():
            for value in answer:
                yield from hex_strings(value)


def forms(secret: bytes) -> Iterator[bytes]:
    """Raw (both byte orders), hex in both cases, base64 at each of three alignments, decimal."""
    yield secret
    yield secret[::-1]
    yield secret.hex().encode()
    yield secret.hex().upper().encode()
    for skipped in range(3):
        # Inside a longer base64 text a secret starts at one of three alignments; its first and last digits mix with
        # what stands beside it and are left out.
        text = base64.b64encode(bytes(skipped) + secret).rstrip(b"=")
        core = text[-(-skipped * 4 // 3) : len(text) - 1]
        yield core
        yield core.translate(bytes.maketrans(b"+/", b"-_"))
    if len(secret) <= 32:
        yield str(int.from_bytes(secret, "big")).encode()


class Finder:
    """Searches many needles at once: for the first 3 bytes of any, then for its first 8, then for the whole."""

    def __init__(self, values: set[bytes]) -> None:
        self._needles: dict[bytes, list[bytes]] = {}
        self._starts = np.zeros(1 << 24, np.bool_)
        for value in values:
            for form in forms(value):
                if len(form) >= MIN_SECRET:
                    self._needles.setdefault(form[:8], []).append(form)
                    self._starts[int.from_bytes(form[:3], "little")] = True

    def search(self, content: bytes) -> list[bytes]:
        """All needles that are in it."""
        found: list[bytes] = []
        for at in self._candidates(content) if len(content) >= MIN_SECRET else ():
            for needle in self._needles.get(content[at : at + 8], ()):
                if content.startswith(needle, at):
                    found.append(needle)
        return found

    def _candidates(self, content: bytes) -> Iterator[int]:
        for shift in range(4):
            words = np.frombuffer(content, np.uint32, (len(content) - shift) // 4, shift) & 0xFFFFFF
            yield from (4 * np.flatnonzero(self._starts[words]) + shift).tolist()
