"""One link: keeps a stream with one peer up, and moves frames over it until it breaks.

The lower peer id dials: an order that both know, whichever committees they are in. A reader always drains (yamux
breaks a stream that nobody reads), heartbeats go every 3 s, silence of 10 s ends the stream. Whatever a peer sends,
the worst it reaches is a closed stream.
"""

from __future__ import annotations

from collections.abc import Callable

import trio
from libp2p.abc import INetStream
from libp2p.exceptions import BaseLibp2pError

from authnet_core.errors import Code, DecodeError
from authnet_core.protocol.dkg.messages import Bundle, Parts, PointList
from authnet_core.protocol.reshare.messages import Nonces, ReshareBundle
from authnet_runtime.logs import get_logger
from p2p_dkg.network import counters
from p2p_dkg.network.directory import Directory, Peer
from p2p_dkg.network.frames import MAX_FRAME, Frame, Hello, Ping, decode, encode
from p2p_dkg.network.host import DialFailed, PeerHost
from p2p_dkg.network.limits import Outbox, TokenBucket

HEARTBEAT_S = 3.0
SILENCE_S = 10.0
HELLO_S = 5.0
WRITE_S = 10.0
BACKOFF_S = (0.1, 0.2, 0.5, 1.0, 2.0)
MAX_BULK_BYTES = 16 << 20
MAX_URGENT = 1024
FRAMES_PER_S, FRAMES_BURST = 500.0, 2000.0
BYTES_PER_S, BYTES_BURST = 32e6, 96e6
_READ = 1 << 16
_BAD_FRAMES = 100
"""A peer that sends this many undecodable frames over one stream loses it."""
_log = get_logger("network")


class LinkBroken(Exception):
    """The stream ended or the peer is not who it should be."""


class FrameStream:
    """Length-prefixed frames over a libp2p stream."""

    def __init__(self, stream: INetStream) -> None:
        self._stream = stream
        self._buffer = bytearray()

    async def read(self) -> bytes:
        """The next frame's bytes. Raises LinkBroken, DecodeError (too long) or TooSlowError."""
        size = int.from_bytes(await self._exactly(4), "big")
        if size > MAX_FRAME:
            raise DecodeError("a frame has at most 1.5 MiB", Code.TOO_LARGE)
        return await self._exactly(size)

    async def write(self, raw: bytes) -> None:
        """Send one frame. Raises LinkBroken or TooSlowError."""
        try:
            with trio.fail_after(WRITE_S):
                await self._stream.write(len(raw).to_bytes(4, "big") + raw)
        except (BaseLibp2pError, OSError, ValueError) as error:
            raise LinkBroken(type(error).__name__) from None

    async def close(self) -> None:
        """Drop the stream at once."""
        with trio.move_on_after(1) as scope:
            scope.shield = True
            try:
                await self._stream.reset()
            except (BaseLibp2pError, OSError, ValueError):
                return

    async def _exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            try:
                with trio.fail_after(SILENCE_S):
                    chunk = await self._stream.read(_READ)
            except (BaseLibp2pError, OSError, ValueError) as error:
                raise LinkBroken(type(error).__name__) from None
            if not chunk:
                raise LinkBroken("end of stream")
            self._buffer += chunk
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken


class Link:
    """The link with one peer. `on_frame` is called with each good frame and must not block."""

    def __init__(
        self, host: PeerHost, directory: Callable[[], Directory], peer: Peer, on_frame: Callable[[Link, Frame], None]
    ) -> None:
        self.peer = peer
        """As the newest directory has it: a change of its places ends no stream."""
        self._host, self._directory, self._on_frame = host, directory, on_frame
        self._outbox = Outbox(MAX_BULK_BYTES, MAX_URGENT)
        self._frames = TokenBucket(FRAMES_PER_S, FRAMES_BURST)
        self._bytes = TokenBucket(BYTES_PER_S, BYTES_BURST)
        self._talk_scope: trio.CancelScope | None = None
        self._turn = 0
        self.on_up: Callable[[Peer], None] = lambda _: None
        self.connected = False

    @property
    def dials(self) -> bool:
        """Whether this side opens the stream."""
        return self._host.peer_id < self.peer.peer_id

    def send(self, frame: Frame, raw: bytes = b"") -> None:
        """Queue a frame; dropped while there is no stream, since the peer asks again.

        `raw`: its bytes, if they are made already: a bundle goes to all members, and is held once for all of them.
        """
        if not self.connected:
            return
        raw = raw or encode(frame)
        if isinstance(frame, Bundle | PointList | Parts | ReshareBundle | Nonces):
            self._outbox.put_bulk(raw)
        else:
            self._outbox.put_urgent(raw)

    async def run(self) -> None:
        """Keep the stream up: dial again and again, or wait to be dialled (`accept`)."""
        if not self.dials:
            await trio.sleep_forever()
        failures = 0
        while True:
            try:
                stream = await self._host.dial(self.peer.peer_id, self.peer.address)
            except DialFailed as error:
                _log.debug("peer.dial_failed", peer=self.peer.label, reason=str(error))
            else:
                if await self.talk(stream):
                    failures = 0
                await self._host.hang_up(self.peer.peer_id)
            await trio.sleep(BACKOFF_S[min(failures, len(BACKOFF_S) - 1)])
            failures += 1

    def disconnect(self) -> None:
        """End the running stream, if any."""
        if self._talk_scope is not None:
            self._talk_scope.cancel()

    async def accept(self, stream: INetStream) -> None:
        """Talk over a stream the peer opened; an older one is dropped."""
        if self.dials:
            await FrameStream(stream).close()
            return
        await self.talk(stream)

    async def talk(self, stream: INetStream) -> bool:
        """Exchange hellos, then frames, until the stream breaks. Returns whether the hellos were good."""
        self.disconnect()
        frames, greeted = FrameStream(stream), False
        with trio.CancelScope() as scope:
            self._talk_scope = scope
            try:
                await self._greet(frames)
                greeted = True
                await self._exchange(frames)
            except* (LinkBroken, DecodeError, trio.TooSlowError) as group:
                self._note_end(group)
            finally:
                if self._talk_scope is scope:
                    self._set_connected(False)
                    self._talk_scope = None
                await frames.close()
        self._turn += not greeted
        return greeted

    def _note_end(self, group: BaseExceptionGroup[Exception]) -> None:
        reason = group.exceptions[0]
        _log.info("peer.down", peer=self.peer.label, reason=f"{type(reason).__name__}: {reason}")

    def _set_connected(self, connected: bool) -> None:
        if connected != self.connected:
            self.connected = connected
            counters.CONNECTED.inc(1 if connected else -1)
        self._outbox.clear()

    async def _greet(self, frames: FrameStream) -> None:
        """Hellos of both: the side that dials speaks first, the other one answers only who it knows."""
        with trio.fail_after(HELLO_S):
            if self.dials:
                await frames.write(encode(self._hello(None)))
            theirs = decode(await frames.read())
            if not (isinstance(theirs, Hello) and self._directory().is_right(self.peer.peer_id, theirs)):
                counters.REFUSED.labels(self.peer.label, "hello").inc()
                raise LinkBroken("the hello names another chain, version, or no place of this peer")
            if not self.dials:
                await frames.write(encode(self._hello(theirs)))
        self._set_connected(True)
        _log.info("peer.up", peer=self.peer.label)
        self.on_up(self.peer)

    def _hello(self, heard: Hello | None) -> Hello:
        hello = self._directory().hello(self.peer.peer_id, self._turn, heard)
        if hello is None:
            raise LinkBroken("this peer is in no committee any more")
        return hello

    async def _exchange(self, frames: FrameStream) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._read, frames)
            nursery.start_soon(self._write, frames)
            nursery.start_soon(self._heartbeat)

    async def _read(self, frames: FrameStream) -> None:
        bad = 0
        while bad < _BAD_FRAMES:
            raw = await frames.read()
            if not (self._frames.take(1) and self._bytes.take(len(raw))):
                counters.REFUSED.labels(self.peer.label, "rate").inc()
                continue
            try:
                frame = decode(raw)
            except DecodeError:
                counters.REFUSED.labels(self.peer.label, "decode").inc()
                bad += 1
                continue
            counters.FRAMES_IN.labels(self.peer.label).inc()
            counters.BYTES_IN.labels(self.peer.label).inc(len(raw))
            if isinstance(frame, Hello):
                counters.REFUSED.labels(self.peer.label, "second_hello").inc()
            elif not isinstance(frame, Ping):
                self._on_frame(self, frame)
        raise LinkBroken("too many frames that are none")

    async def _write(self, frames: FrameStream) -> None:
        while True:
            raw = await self._outbox.get()
            await frames.write(raw)
            counters.FRAMES_OUT.labels(self.peer.label).inc()
            counters.BYTES_OUT.labels(self.peer.label).inc(len(raw))

    async def _heartbeat(self) -> None:
        ping = encode(Ping())
        while True:
            await trio.sleep(HEARTBEAT_S)
            self._outbox.put_urgent(ping)
