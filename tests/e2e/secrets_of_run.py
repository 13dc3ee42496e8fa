"""The secrets of a run, whatever shape a socket gives them in, and every form in which a file might hold one."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import Any

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
    """Searches many needles at once: an index of their first 8 bytes, then the whole."""

    def __init__(self, values: set[bytes]) -> None:
        self.needles: dict[bytes, list[bytes]] = {}
        for value in values:
            for form in forms(value):
                if len(form) >= MIN_SECRET:
                    self.needles.setdefault(form[:8], []).append(form)

    def search(self, content: bytes) -> list[bytes]:
        heads = self.needles
        found = []
        for at in range(len(content) - MIN_SECRET + 1):
            for needle in heads.get(content[at : at + 8], ()):
                if content.startswith(needle, at):
                    found.append(needle)
        return found
