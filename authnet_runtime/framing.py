"""Frames on a node's unix sockets: uint32 length (big-endian), then that many bytes of JSON."""

from __future__ import annotations

from anyio import EndOfStream
from anyio.abc import ByteReceiveStream

from authnet_core.errors import Code, DecodeError

MAX_FRAME = 1 << 20
_CHUNK = 65_536


def pack(payload: bytes) -> bytes:
    """Return `payload` with its length in front. Raises DecodeError(TOO_LARGE)."""
    if len(payload) > MAX_FRAME:
        raise DecodeError(f"a message has at most {MAX_FRAME} bytes", Code.TOO_LARGE)
    return len(payload).to_bytes(4, "big") + payload


class FrameReader:
    """Cuts a byte stream into frames; never holds more than one frame and one read."""

    def __init__(self, stream: ByteReceiveStream) -> None:
        self._stream = stream
        self._buffer = bytearray()

    async def next(self) -> bytes | None:
        """The next frame, or None at a clean end. Raises DecodeError for a frame too long or cut short."""
        if not await self._fill(4):
            return None
        size = int.from_bytes(self._buffer[:4], "big")
        if size > MAX_FRAME:
            raise DecodeError(f"a frame of {size} bytes exceeds {MAX_FRAME}", Code.TOO_LARGE)
        if not await self._fill(4 + size):
            raise DecodeError("the stream ended inside a frame")
        frame = bytes(self._buffer[4 : 4 + size])
        del self._buffer[: 4 + size]
        return frame

    async def _fill(self, size: int) -> bool:
        while len(self._buffer) < size:
            try:
                self._buffer += await self._stream.receive(_CHUNK)
            except EndOfStream:
                return False
        return True
