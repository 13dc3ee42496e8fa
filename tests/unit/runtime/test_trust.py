"""The block that a joining node trusts: n - t members name it, whatever the others say."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import anyio
import httpx
import pytest

from authnet_core.errors import AuthnetError, Code
from authnet_runtime import trust

CHAIN = "testnet-1"
ENDPOINTS = [f"https://node{j}.example" for j in range(1, 6)]
GOOD, BAD = "AB" * 32, "CD" * 32

Answer = Callable[[str, int], Any]


def status(earliest: int, latest: int) -> dict[str, Any]:
    return {"sync_info": {"earliest_block_height": str(earliest), "latest_block_height": str(latest)}}


def commit(height: int, name: str = GOOD, chain: str = CHAIN) -> dict[str, Any]:
    header = {"chain_id": chain, "height": str(height)}
    return {"signed_header": {"header": header, "commit": {"block_id": {"hash": name}}}}


def honest(method: str, height: int) -> Any:
    return {"result": status(3, 20_000) if method == "status" else commit(height)}


def ask(answers: dict[int, Answer], monkeypatch: pytest.MonkeyPatch, needed: int = 4) -> trust.Trust:
    """Members that are not in `answers` are honest."""

    def serve(request: httpx.Request) -> httpx.Response:
        member = int(request.url.host[4])
        answer = answers.get(member, honest)
        found = answer(request.url.path.rpartition("/")[2], int(request.url.params.get("height", 0)))
        raw = found if isinstance(found, bytes) else json.dumps(found).encode()
        return httpx.Response(200, content=raw)

    client = httpx.AsyncClient
    monkeypatch.setattr(httpx, "AsyncClient", lambda **k: client(transport=httpx.MockTransport(serve), **k))
    return anyio.run(trust.find_trust, ENDPOINTS, needed, CHAIN)


def test_all_name_one_block_behind_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    found = ask({}, monkeypatch)
    assert (found.height, found.hash) == (20_000 - trust.BEHIND, GOOD)
    assert found.servers == tuple(f"{endpoint}/comet" for endpoint in ENDPOINTS)


LIES: dict[str, Answer] = {
    "another block": lambda method, h: {"result": status(3, 20_000) if method == "status" else commit(h, BAD)},
    "another chain": lambda method, h: {"result": status(3, 20_000) if method == "status" else commit(h, GOOD, "x-1")},
    "another height": lambda method, h: {"result": status(3, 20_000) if method == "status" else commit(h + 1)},
    "far ahead": lambda method, h: {"result": status(2**61, 2**61) if method == "status" else commit(h)},
    "nothing kept": lambda method, h: {"result": status(20_000, 20_000) if method == "status" else commit(h)},
    "no range": lambda method, h: {"result": status(9, 8) if method == "status" else commit(h)},
    "no answer": lambda method, h: {"error": "no"},
    "no JSON": lambda method, h: b"\xff" * 10,
    "nested": lambda method, h: b"[" * 100_000,
    "endless": lambda method, h: b" " * (2 << 20),
}


@pytest.mark.parametrize("lie", LIES)
def test_one_liar_of_five_changes_nothing(lie: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = ask({2: LIES[lie]}, monkeypatch)
    assert (found.height, found.hash) == (20_000 - trust.BEHIND, GOOD)
    assert len(found.servers) >= 4


@pytest.mark.parametrize("endpoint", ['https://node2.example/"', "https://node2.example/,x", "https://node2:b", "x"])
def test_an_endpoint_that_is_none_is_left_out(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it answers: its text would stand in CometBFT's configuration."""
    good = tuple(f"{known}/comet" for known in ENDPOINTS if known != ENDPOINTS[1])
    monkeypatch.setattr(f"{__name__}.ENDPOINTS", [ENDPOINTS[0], endpoint, *ENDPOINTS[2:]])
    assert ask({}, monkeypatch).servers == good


@pytest.mark.parametrize("lie", ["another block", "no answer", "another chain"])
def test_without_enough_that_agree_nothing_is_trusted(lie: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AuthnetError) as refusal:
        ask({2: LIES[lie], 3: LIES[lie]}, monkeypatch)
    assert refusal.value.code is Code.UNAVAILABLE
