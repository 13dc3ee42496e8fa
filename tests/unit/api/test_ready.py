"""GET /readyz: a node that goes through the past is not ready, however well its parts answer."""

from __future__ import annotations

import json
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import anyio
import httpx
import pytest
from starlette.requests import Request

from authnet_core.errors import AuthnetError, Code
from node_api import comet_proxy
from node_api.chain_view import ChainView
from node_api.comet_proxy import CometProxy
from node_api.node import Node
from node_api.rest import ready

pytestmark = pytest.mark.anyio
REQUEST = cast(Request, None)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Comet(CometProxy):
    """A proxy whose CometBFT answers as told, or not at all."""

    def __init__(self, answer: Any) -> None:
        super().__init__(Path("/nowhere"))
        self.answer, self.asked = answer, 0
        self._http = httpx.AsyncClient(transport=httpx.MockTransport(self._reply), base_url="http://comet")

    def _reply(self, request: httpx.Request) -> httpx.Response:
        assert json.loads(request.content)["method"] == "status"
        self.asked += 1
        if self.answer is None:
            raise httpx.ConnectError("nobody")
        return httpx.Response(200, json=self.answer)


def syncing(value: object) -> dict[str, Any]:
    return {"result": {"sync_info": {"catching_up": value}}}


def node(*, is_in_the_past: bool = False) -> Node:
    async def serving() -> Any:
        return SimpleNamespace(epoch=2)

    async def status() -> dict[str, Any]:
        return {"login_ready": True}

    chain = SimpleNamespace(newest=object(), serving_epoch=serving, height=7, is_in_the_past=is_in_the_past)
    return cast(Node, SimpleNamespace(chain=chain, keeper=SimpleNamespace(status=status)))


async def test_a_node_that_syncs_is_not_ready() -> None:
    with pytest.raises(AuthnetError, match="being synced, at height 7") as caught:
        await ready(Comet(syncing(True)), node(), REQUEST)
    assert caught.value.code is Code.UNAVAILABLE


async def test_nor_is_one_whose_blocks_are_old_whatever_comet_says() -> None:
    with pytest.raises(AuthnetError, match="being synced"):
        await ready(Comet(syncing(False)), node(is_in_the_past=True), REQUEST)


@pytest.mark.parametrize(("late_s", "heard_s_ago", "past"), [(31, 0, True), (29, 0, False), (31, 11, False)])
def test_blocks_of_long_ago_that_keep_coming_are_the_past(late_s: float, heard_s_ago: float, past: bool) -> None:
    chain = ChainView(Path("/nowhere"))
    chain.late_s, chain.heard_at = late_s, time.monotonic() - heard_s_ago
    assert chain.is_in_the_past is past


@pytest.mark.parametrize("silence", [{"error": {}}, [], None])
async def test_what_comet_said_last_counts(silence: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says nothing when it starts, which is when the past begins; a node that was ready serves logins without it."""
    monkeypatch.setattr(comet_proxy, "SYNC_KEPT_S", 0.0)
    comet = Comet(silence)
    with pytest.raises(AuthnetError, match="being synced"):
        await ready(comet, node(), REQUEST)
    for comet.answer in (syncing(False), silence):
        assert await ready(comet, node(), REQUEST) == {"ok": True, "height": 7, "epoch": 2}


async def test_comet_is_asked_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    comet = Comet(syncing(True))
    assert [await comet.is_syncing() for _ in range(3)] == [True] * 3
    assert comet.asked == 1
    monkeypatch.setattr(comet_proxy, "SYNC_KEPT_S", 0.01)
    comet.answer = syncing(False)
    await anyio.sleep(0.02)
    assert not await comet.is_syncing()
