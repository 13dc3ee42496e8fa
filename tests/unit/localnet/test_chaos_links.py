"""The proxies between nodes: bytes pass, wait and resume as ordered, for the right pair only."""

import asyncio
import json
import os
import socket
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from authnet_core.errors import AuthnetError, Code
from localnet.chaos.dialers import dialer
from localnet.chaos.launcher import source_address
from localnet.chaos.links import Orders, Proxies, pair
from localnet.places import Places


def free_places(folder: Path) -> Places:
    for port in range(20_000 + os.getpid() % 5_000, 31_000, 100):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port + 14))
            except OSError:
                continue
        return Places(folder, 5, port, "n", proxied=True)
    raise AssertionError("no free port")


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(1000):
        writer.write(chunk)
    writer.close()


def with_proxies(folder: Path, act: Callable[[Places, Proxies], Awaitable[None]]) -> None:
    async def run() -> None:
        places = free_places(folder)
        proxies = Proxies(places)
        await proxies.listen()
        async with await asyncio.start_server(echo, "127.0.0.1", places.ports(2).p2p):
            async with asyncio.timeout(20):
                await act(places, proxies)

    asyncio.run(run())


async def dial(places: Places, source: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", places.ports(2).p2p_proxy, local_addr=(source, 0))


async def says(ends: tuple[asyncio.StreamReader, asyncio.StreamWriter], text: bytes) -> None:
    ends[1].write(text)
    assert await ends[0].readexactly(len(text)) == text


def test_a_cut_holds_bytes_and_new_connections_back_and_loses_none(tmp_path: Path) -> None:
    async def act(places: Places, proxies: Proxies) -> None:
        one, three = await dial(places, source_address(1)), await dial(places, source_address(3))
        await says(one, b"before")
        proxies.orders.replace({"cut": [[2, 1]]})
        one[1].write(b"meanwhile")
        late = await dial(places, source_address(1))
        late[1].write(b"late")
        await says(three, b"others go on")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(one[0].read(1), 0.2)
        assert await proxies.open_links() == {(1, 2): 1, (2, 3): 1}
        proxies.orders.replace({})
        assert await one[0].readexactly(9) == b"meanwhile"
        assert await late[0].readexactly(4) == b"late"

    with_proxies(tmp_path, act)


def test_a_slow_link_delays_each_way_and_keeps_the_order(tmp_path: Path) -> None:
    async def act(places: Places, proxies: Proxies) -> None:
        ends = await dial(places, source_address(4))
        await says(ends, b"x")
        proxies.orders.replace({"delay": [[4, 2, 150]]})
        begun = asyncio.get_running_loop().time()
        for part in (b"a", b"b", b"c"):
            ends[1].write(part)
            await asyncio.sleep(0.01)
        assert await ends[0].readexactly(3) == b"abc"
        assert asyncio.get_running_loop().time() - begun >= 0.3

    with_proxies(tmp_path, act)


def test_both_ends_learn_of_a_close(tmp_path: Path) -> None:
    async def act(places: Places, proxies: Proxies) -> None:
        ends = await dial(places, source_address(1))
        await says(ends, b"x")
        ends[1].write_eof()
        assert await ends[0].read() == b""

    with_proxies(tmp_path, act)


def test_nobody_knows_a_stranger(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as own:
        assert dialer(Places(tmp_path, 5, 9000, "n"), own.getsockname()) == 0


def test_a_cometbft_is_known_by_the_socket_it_owns(tmp_path: Path) -> None:
    run = tmp_path / "node4" / "run"
    run.mkdir(parents=True)
    listed = [{"name": "p2p_dkg", "pid": 1}, {"name": "cometbft", "pid": os.getpid()}]
    (run / "supervisor.json").write_text(json.dumps({"processes": listed}))
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as own:
        assert dialer(Places(tmp_path, 5, 9000, "n"), own.getsockname()) == 4


@pytest.mark.parametrize("params", [{"cut": [[1]]}, {"cut": [["a", 2]]}, {"delay": [[1, 2]]}, {"cut": 3}])
def test_orders_that_are_none_change_nothing(params: dict[str, object]) -> None:
    orders = Orders()
    orders.replace({"delay": [[1, 2, 50]]})
    with pytest.raises(AuthnetError) as refused:
        orders.replace(params)
    assert refused.value.code is Code.BAD_PARAMS
    assert orders.delay_s(pair(2, 1)) == 0.05


def test_a_node_that_comes_later_gets_proxies_too(tmp_path: Path) -> None:
    async def act(places: Places, proxies: Proxies) -> None:
        door = places.ports(6).p2p_proxy
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", door)
        later = replace(places, committees={2: (2, 3, 4, 5, 6)})
        later.save()
        await proxies.welcome()
        await proxies.welcome()
        async with await asyncio.start_server(echo, "127.0.0.1", places.ports(6).p2p):
            ends = await asyncio.open_connection("127.0.0.1", door, local_addr=(source_address(2), 0))
            await says(ends, b"hello")
            proxies.orders.replace({"cut": [[2, 6]]})
            ends[1].write(b"later")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(ends[0].readexactly(5), 0.3)
            proxies.orders.replace({})
            assert await ends[0].readexactly(5) == b"later"
            ends[1].close()

    with_proxies(tmp_path, act)
