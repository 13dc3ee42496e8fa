"""Connections of the SDK: a pool for each node, so that one login's cost does not grow with all connections."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import httpx
import pytest

from authnet_client.link import _URLS, Link
from authnet_core.errors import AuthnetError, Code

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_each_node_has_its_own_connections_and_their_number_is_bounded() -> None:
    async with Link(1.0) as link:
        first = link._pool(httpx.URL("http://127.0.0.1:1/sss/jrpc"))
        assert link._pool(httpx.URL("http://127.0.0.1:1/v1/resolve/x")) is first
        assert link._pool(httpx.URL("http://127.0.0.1:2/sss/jrpc")) is not first
        assert link._pool(httpx.URL("https://127.0.0.1:1/sss/jrpc")) is not first
        rest = [link._pool(httpx.URL(f"http://127.0.0.1:{port}/")) for port in range(1000, 1000 + 2 * _URLS)]
        assert rest[-1] is rest[-2], "beyond the bound all share one"
        assert len(link._pools) == _URLS + 1
        assert link._pool(httpx.URL("http://127.0.0.1:1/")) is first
    assert not link._pools


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
