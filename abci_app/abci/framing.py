"""CometBFT's socket framing: an unsigned varint length, then the protobuf message. Pure."""

from __future__ import annotations

from authnet_core.errors import Code, DecodeError

MAX_FRAME = 64 << 20
"""A block has at most 2 MiB; the rest is room for the commit and evidence around it."""
_MAX_VARINT = 10


def pack(payload: bytes) -> bytes:
    """`payload` with its length in front."""
    size, length = len(payload), bytearray()
    while size > 127:
        length.append(size & 127 | 128)
        size >>= 7
    length.append(size)
    return bytes(length) + payload


class Frames:
    """Cuts a byte stream into messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, received: bytes) -> list[bytes]:
        """The messages that `received` completes. Raises DecodeError for a length that can not be."""
        self._buffer += received
        frames, start = [], 0
        while (header := self._header(start)) is not None:
            size, body = header
            if len(self._buffer) < body + size:
                break
            frames.append(bytes(self._buffer[body : body + size]))
            start = body + size
        del self._buffer[:start]
        return frames

    def _header(self, start: int) -> tuple[int, int] | None:
        """(message size, where it begins), or None if the length is not complete yet."""
        size = 0
        for place in range(_MAX_VARINT):
            if start + place >= len(self._buffer):
                return None
            byte = self._buffer[start + place]
            size |= (byte & 127) << 7 * place
            if size > MAX_FRAME:
                raise DecodeError(f"a message has at most {MAX_FRAME} bytes", Code.TOO_LARGE)
            if byte < 128:
                return size, start + place + 1
        raise DecodeError("a length of more than 10 bytes")
