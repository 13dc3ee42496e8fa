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

    @property
    def none(self) -> bool:
        """Whether all links are as they should be, so that nobody needs to know who talks to whom."""
        return not self._cut and not self._delay_s

    def delay_s(self, link: Pair) -> float:
        return self._delay_s.get(link, 0.0)

    async def passable(self, link: Pair) -> None:
        """Return when the link is not cut."""
        while link in self._cut:
            await self._changed.wait()


class Connection:
    """One connection to a node. Who opened it is found out when an order makes that matter."""

    def __init__(self, places: Places, index: int, peer: tuple[str, int]) -> None:
        self._places, self._index, self._peer = places, index, peer
        self._other = 0

    async def link(self) -> Pair:
        """Raises ConnectionError when nobody is known to have dialled."""
        for _ in range(WHO_TRIES):
            # A supervisor writes a little later than its child dials.
            self._other = self._other or dialer(self._places, self._peer)
            if self._other:
                return pair(self._index, self._other)
            await asyncio.sleep(WHO_PAUSE_S)
        raise ConnectionError("nobody's connection")


class Proxies:
    """Two listeners per node, for libp2p and for CometBFT."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self.orders = Orders()
        self._open: set[Connection] = set()
        self._listening: set[int] = set()

    async def listen(self) -> None:
        """Open the doors of all nodes that have none yet. Raises OSError if one is taken."""
        for index in self._places.indexes:
            if index in self._listening:
                continue
            self._listening.add(index)
            ports = self._places.ports(index)
            for door, inside in ((ports.p2p_proxy, ports.p2p), (ports.comet_proxy, ports.comet)):
                await self._listen_at(index, door, inside)

    async def welcome(self) -> None:
        """Nodes came later: localnet.json names them."""
        if (found := load(self._places.dir)) is not None:
            self._places.committees.update(found.committees)
        await self.listen()

    async def open_links(self) -> Counter[Pair]:
        """How many connections each link has."""
        found: Counter[Pair] = Counter()
        for connection in list(self._open):
            with suppress(ConnectionError):
                found[await connection.link()] += 1
        return found

    async def _listen_at(self, index: int, door: int, inside: int) -> None:
        async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connection = Connection(self._places, index, writer.get_extra_info("peername"))
            try:
                if not self.orders.none:
                    await self.orders.passable(await connection.link())
                self._open.add(connection)
                await self._pass_on(connection, inside, reader, writer)
            except OSError:
                pass
            finally:
                self._open.discard(connection)
                writer.close()

        await asyncio.start_server(accepted, "127.0.0.1", door, limit=CHUNK)

    async def _pass_on(
        self, connection: Connection, inside: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        back_reader, back_writer = await asyncio.open_connection("127.0.0.1", inside, limit=CHUNK)
        for end in (writer, back_writer):
            end.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        both = [
            asyncio.create_task(_Pipe(self.orders, connection, reader, back_writer).run()),
            asyncio.create_task(_Pipe(self.orders, connection, back_reader, writer).run()),
        ]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in both:
                task.cancel()
            back_writer.close()


class _Pipe:
    """One direction of a connection."""

    def __init__(
        self, orders: Orders, connection: Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._orders, self._connection = orders, connection
        self._reader, self._writer = reader, writer
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
                delay = 0.0 if self._orders.none else self._orders.delay_s(await self._connection.link())
            except OSError:
                chunk, delay = b"", 0.0
            await self._waiting.put((now() + delay, chunk))

    async def _drain(self) -> None:
        now = asyncio.get_running_loop().time
        while True:
            due, chunk = await self._waiting.get()
            if (wait := due - now()) > 0:
                await asyncio.sleep(wait)
            if not self._orders.none:
                await self._orders.passable(await self._connection.link())
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

    async def welcome(_: dict[str, Any], __: rpc.Connection) -> Any:
        await proxies.welcome()
        return {}

    async def show(_: dict[str, Any], __: rpc.Connection) -> Any:
        return {"open": [[*link, count] for link, count in sorted((await proxies.open_links()).items())]}

    await rpc.serve(places.links_sock, {"set": set_links, "welcome": welcome, "show": show}, mode=0o600)


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
