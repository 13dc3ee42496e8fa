"""The proxies between the nodes of a localnet: a connection is passed on, held up or silenced, by who talks to whom.

    python -m localnet.chaos.links DIR

A cut holds bytes back and closes nothing, as a network that loses packets does: the ends find out by their own
time-outs. Sees ciphertext only. Orders come over DIR/run/links.sock, and each replaces the former ones.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio

from authnet_core.errors import AuthnetError, Code
from authnet_runtime import rpc
from localnet.chaos.dialers import dialer
from localnet.places import Places, load

CHUNK = 65_536
WINDOW = 64
"""Chunks under way in one direction."""
WHO_TRIES = 20
WHO_PAUSE_S = 0.1
Pair = tuple[int, int]


def pair(a: int, b: int) -> Pair:
    """Both directions of a link are one."""
    return (min(a, b), max(a, b))


class Orders:
    """Which links are cut or slow now. Waiters wake when that changes."""

    def __init__(self) -> None:
        self._cut: frozenset[Pair] = frozenset()
        self._delay_s: dict[Pair, float] = {}
        self._changed = asyncio.Event()

    def replace(self, params: dict[str, Any]) -> None:
        """{"cut": [[i, j]], "delay": [[i, j, ms]]}. Raises AuthnetError(BAD_PARAMS) and changes nothing."""
        try:
            cut = frozenset(pair(int(a), int(b)) for a, b in params.get("cut", []))
            delay = {pair(int(a), int(b)): int(ms) / 1000 for a, b, ms in params.get("delay", [])}
        except (TypeError, ValueError):
            raise AuthnetError(Code.BAD_PARAMS, "cut wants [[i, j]], delay wants [[i, j, ms]]") from None
        self._cut, self._delay_s = cut, delay
        self._changed.set()
        self._changed = asyncio.Event()

    def delay_s(self, link: Pair) -> float:
        return self._delay_s.get(link, 0.0)

    async def passable(self, link: Pair) -> None:
        """Return when the link is not cut."""
        while link in self._cut:
            await self._changed.wait()


class Proxies:
    """Two listeners per node, for libp2p and for CometBFT."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self.orders = Orders()
        self.open: Counter[Pair] = Counter()

    async def listen(self) -> None:
        """Open all doors. Raises OSError if one is taken."""
        for index in self._places.indexes:
            ports = self._places.ports(index)
            for door, inside in ((ports.p2p_proxy, ports.p2p), (ports.comet_proxy, ports.comet)):
                await self._listen_at(index, door, inside)

    async def _listen_at(self, index: int, door: int, inside: int) -> None:
        async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await self._serve(index, inside, reader, writer)
            except (OSError, asyncio.IncompleteReadError):
                pass
            finally:
                writer.close()

        await asyncio.start_server(accepted, "127.0.0.1", door, limit=CHUNK)

    async def _serve(self, index: int, inside: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        other = await self._who(writer.get_extra_info("peername"))
        if not other:
            return
        link = pair(index, other)
        await self.orders.passable(link)
        back_reader, back_writer = await asyncio.open_connection("127.0.0.1", inside, limit=CHUNK)
        for end in (writer, back_writer):
            end.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.open[link] += 1
        both = [
            asyncio.create_task(_Pipe(self.orders, link, reader, back_writer).run()),
            asyncio.create_task(_Pipe(self.orders, link, back_reader, writer).run()),
        ]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.open[link] -= 1
            for task in both:
                task.cancel()
            back_writer.close()

    async def _who(self, peer: tuple[str, int]) -> int:
        """A supervisor writes a little later than its child dials."""
        for _ in range(WHO_TRIES):
            if found := dialer(self._places, peer):
                return found
            await asyncio.sleep(WHO_PAUSE_S)
        return 0


class _Pipe:
    """One direction of a connection."""

    def __init__(self, orders: Orders, link: Pair, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._orders, self._link, self._reader, self._writer = orders, link, reader, writer
        self._waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(WINDOW)

    async def run(self) -> None:
        """Until either end closes."""
        filling = asyncio.create_task(self._fill())
        try:
            with suppress(OSError):
                await self._drain()
        finally:
            filling.cancel()

    async def _fill(self) -> None:
        now = asyncio.get_running_loop().time
        chunk = b"-"
        while chunk:
            try:
                chunk = await self._reader.read(CHUNK)
            except OSError:
                chunk = b""
            await self._waiting.put((now() + self._orders.delay_s(self._link), chunk))

    async def _drain(self) -> None:
        now = asyncio.get_running_loop().time
        while True:
            due, chunk = await self._waiting.get()
            if (wait := due - now()) > 0:
                await asyncio.sleep(wait)
            await self._orders.passable(self._link)
            if not chunk:
                return
            self._writer.write(chunk)
            await self._writer.drain()


async def serve(places: Places) -> None:
    """Listen, and take orders, until cancelled."""
    proxies = Proxies(places)
    await proxies.listen()

    async def set_links(params: dict[str, Any], _: rpc.Connection) -> Any:
        proxies.orders.replace(params)
        return {}

    async def show(_: dict[str, Any], __: rpc.Connection) -> Any:
        return {"open": [[*link, count] for link, count in sorted(proxies.open.items())]}

    await rpc.serve(places.links_sock, {"set": set_links, "show": show}, mode=0o600)


def main(argv: list[str]) -> int:
    """Serve the localnet in argv[0]."""
    places = load(Path(argv[0]))
    if places is None:
        print("links: no localnet.json there", file=sys.stderr)
        return 2
    anyio.run(serve, places, backend="asyncio")
    return 0


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        sys.exit(main(sys.argv[1:]))
