"""Connections of the SDK: a pool for each node, so that one login's cost does not grow with all connections."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import anyio
import anyio.abc
import anyio.lowlevel
import httpcore
import httpx
import pytest

from authnet_client.connections import request_of
from authnet_client.link import _URLS, HEDGE_S, Link
from authnet_core.errors import AuthnetError, Code

pytestmark = pytest.mark.anyio
SLOW_S = 3 * HEDGE_S


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def origin(url: str) -> httpcore.Origin:
    return request_of("GET", httpx.URL(url), {}, None).url.origin


async def test_each_node_has_its_own_connections_and_their_number_is_bounded() -> None:
    async with Link(1.0) as link:
        first = link._pool(origin("http://127.0.0.1:1/sss/jrpc"))
        assert link._pool(origin("http://127.0.0.1:1/v1/resolve/x")) is first
        assert link._pool(origin("http://127.0.0.1:2/sss/jrpc")) is not first
        assert link._pool(origin("https://127.0.0.1:1/sss/jrpc")) is not first
        for port in range(1000, 1000 + 2 * _URLS):
            link._pool(origin(f"http://127.0.0.1:{port}/"))
        assert len(link._pools) == _URLS
        assert link._pool(origin("http://127.0.0.1:1/")) is first
    assert not link._pools


@asynccontextmanager
async def server(slow_s: float = 0.0) -> AsyncIterator[tuple[str, list[int]]]:
    """An HTTP server that answers everything with its path; yields its URL and how many connections it ever had."""
    opened = [0]

    async def talk(stream: anyio.abc.SocketStream) -> None:
        opened[0] += 1
        with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
            async with stream:
                while True:
                    head = await stream.receive()
                    path = head.split()[1]
                    await anyio.sleep(slow_s)
                    if path == b"/last":
                        await stream.send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok")
                        return
                    await stream.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(path), path))

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, talk)
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        yield f"http://127.0.0.1:{port}", opened
        group.cancel_scope.cancel()


async def test_connections_are_used_again_and_what_the_node_closed_is_not() -> None:
    async with server() as (url, opened), Link(5.0) as link:
        for number in range(3):
            assert await link.fetch("GET", f"{url}/{number}") == (200, f"/{number}".encode())
        assert opened == [1]
        assert await link.fetch("GET", f"{url}/last") == (200, b"ok")
        assert await link.fetch("GET", f"{url}/again") == (200, b"/again")
        assert opened == [2]


async def test_many_idle_connections_cost_a_request_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls pile up while nodes are slow, and leave a connection each: looking at all would keep the client slow."""
    looks = [0]
    look = httpcore.AsyncHTTPConnection.has_expired

    def counted(connection: httpcore.AsyncHTTPConnection) -> bool:
        looks[0] += 1
        return look(connection)

    async with server(slow_s=0.05) as (url, opened), Link(5.0) as link:
        async with anyio.create_task_group() as group:
            for number in range(40):
                group.start_soon(link.fetch, "GET", f"{url}/{number}")
        assert opened[0] > 20, "they were many"
        monkeypatch.setattr(httpcore.AsyncHTTPConnection, "has_expired", counted)
        await link.fetch("GET", f"{url}/one-more")
    assert looks[0] <= 2


async def test_a_request_that_is_given_up_leaves_no_connection_behind() -> None:
    async with server(slow_s=30.0) as (url, opened), Link(0.1) as link:
        with pytest.raises(AuthnetError) as caught:
            await link.fetch("GET", url)
        assert caught.value.code is Code.TIMEOUT
        assert opened == [1]
        assert not link._pool(origin(url))._idle


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/", "http://", "http://127.0.0.1:99999/", "nonsense"])
async def test_what_is_no_address_is_not_reachable(url: str) -> None:
    async with Link(1.0) as link:
        with pytest.raises(AuthnetError) as caught:
            await link.fetch("GET", url)
        assert caught.value.code is Code.NETWORK_DOWN


async def test_a_link_that_is_not_entered_says_so() -> None:
    with pytest.raises(RuntimeError, match="async with"):
        await Link(1.0).fetch("GET", "http://127.0.0.1:1/")


class Nodes:
    """Nodes 1..n by script: what each does when asked, and in which order they were."""

    def __init__(self, behaviour: dict[int, str]) -> None:
        self.behaviour, self.asked = behaviour, list[int]()

    async def __call__(self, index: int) -> int:
        self.asked.append(index)
        match self.behaviour.get(index):
            case "refuses":
                raise AuthnetError(Code.BUSY, "no")
            case "hangs":
                await anyio.sleep_forever()
            case "is slow":
                await anyio.sleep(SLOW_S)
        return index

    async def answers(self, link: Link, first: int | None, enough: int = 99) -> list[int]:
        got = []
        async for answer in link.ask(range(1, 6), self, first=first):
            got += [answer.index] if answer.error is None else []
            if len(got) >= enough:
                break
        return got


async def test_no_more_nodes_are_asked_than_are_needed() -> None:
    async with Link(1.0) as link:
        nodes = Nodes({})
        assert len(await nodes.answers(link, first=4, enough=4)) == 4
        assert len(nodes.asked) == 4


async def test_another_node_is_asked_for_each_that_fails_and_the_failed_one_last_next_time() -> None:
    async with Link(1.0) as link:
        nodes = Nodes({2: "refuses"})
        for _ in range(20):
            assert len(await nodes.answers(link, first=4, enough=4)) == 4
        assert nodes.asked.count(2) <= 1


async def test_all_are_asked_when_one_hangs_or_the_first_answers_do_not_do() -> None:
    async with Link(1.0) as link:
        hanging = Nodes({1: "hangs", 2: "hangs"})
        assert sorted(await hanging.answers(link, first=4, enough=3)) == [3, 4, 5]
        unsatisfied = Nodes({})
        assert sorted(await unsatisfied.answers(link, first=3)) == [1, 2, 3, 4, 5]


async def test_where_all_are_slow_nobody_more_is_asked_for_it() -> None:
    """Nodes that take three times HEDGE_S: at first all are asked, then it is known what answers take here."""
    async with Link(5.0) as link:
        slow = Nodes(dict.fromkeys(range(1, 6), "is slow"))
        for _ in range(6):
            assert len(await slow.answers(link, first=4, enough=4)) == 4
        slow.asked.clear()
        assert len(await slow.answers(link, first=4, enough=4)) == 4
        assert len(slow.asked) == 4
        # One that hangs is not waited for any longer because of that than twice what the others take.
        slow.behaviour |= {1: "hangs", 2: "hangs"}
        with anyio.fail_after(3 * SLOW_S + 2 * SLOW_S):
            assert sorted(await slow.answers(link, first=4, enough=3)) == [3, 4, 5]


async def test_a_node_that_is_slow_on_purpose_makes_nobody_patient() -> None:
    async with Link(5.0) as link:
        nodes = Nodes({1: "is slow"})
        for _ in range(8):
            assert len(await nodes.answers(link, first=5, enough=5)) == 5
        assert link.patience_s == HEDGE_S


async def test_without_a_number_all_are_asked_at_once() -> None:
    async with Link(1.0) as link:
        nodes = Nodes({})
        assert len(await nodes.answers(link, first=None, enough=1)) == 1
        await anyio.lowlevel.checkpoint()
        assert sorted(nodes.asked) == [1, 2, 3, 4, 5]


async def test_a_failure_after_there_is_enough_sends_the_request_to_nobody_else() -> None:
    """The request may hold a token: nodes that are not needed do not see it."""
    failing = anyio.Event()
    asked = list[int]()

    async def call(index: int) -> int:
        asked.append(index)
        if len(asked) == 4:
            await failing.wait()
            raise AuthnetError(Code.BUSY, "no")
        return index

    async with Link(1.0) as link:
        answers = link.ask(range(1, 6), call, first=4)
        got = [(await anext(answers)).value for _ in range(3)]
        failing.set()
        await anyio.wait_all_tasks_blocked()
    assert len(set(got)) == 3
    assert len(asked) == 4
