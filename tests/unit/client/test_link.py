"""Connections of the SDK: a pool for each node, so that one login's cost does not grow with all connections."""

from __future__ import annotations

import httpx
import pytest

from authnet_client.link import _URLS, Link

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
