"""Limits of the public port, on by default: floods, sizes, slow clients, too many connections, CORS, paths."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from itertools import count
from urllib.parse import urlsplit

import anyio
import httpx
import pytest

from authnet_runtime.config import ApiSection
from tests.component.api.scripted import ScriptedNet, scripted_network, until
from tests.component.api.scripted_chain import VERIFIER

pytestmark = pytest.mark.anyio
PING = json.dumps({"jsonrpc": "2.0", "id": 10, "method": "Ping", "params": {}}).encode()


@pytest.fixture(scope="module")
async def net() -> AsyncIterator[ScriptedNet]:
    """One node with limits low enough to be reached on a slow machine."""
    limits = "rate_per_s = 5\nburst = 40\nbody_timeout_s = 0.5\nmax_connections = 40"
    async with scripted_network(1, limits) as running:
        yield running


_hosts = count(1)


def fresh_address() -> str:
    """A loopback address that no limit has seen."""
    return f"127.1.0.{next(_hosts)}"


def client(address: str = "") -> httpx.AsyncClient:
    """A client whose connections come from `address`, by default one of its own."""
    transport = httpx.AsyncHTTPTransport(local_address=address or fresh_address())
    return httpx.AsyncClient(transport=transport, trust_env=False, timeout=20)


async def raw(net: ScriptedNet, address: str = "") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    where = urlsplit(net.endpoints[1])
    return await asyncio.open_connection(where.hostname, where.port, local_addr=(address or fresh_address(), 0))


def test_the_limits_are_on_as_shipped() -> None:
    shipped = ApiSection(listen="127.0.0.1:1", endpoint="http://127.0.0.1:1")
    assert (shipped.rate_per_s, shipped.burst, shipped.max_body) == (50, 300, 65_536)
    assert shipped.max_connections == 512


async def test_a_flood_is_refused_by_code_while_another_address_is_served(net: ScriptedNet) -> None:
    async with client("127.0.0.5") as flood, client("127.0.0.6") as other:
        answers = [await flood.post(net.rpc_url(), content=PING) for _ in range(80)]
        assert {answer.status_code for answer in answers} == {200}, "torus.js loses the text of a 429"
        codes = [a.json().get("error", {}).get("authnet", {}).get("code") for a in answers]
        assert codes[:40] == [None] * 40, "a burst is served"
        assert "RATE_LIMITED" in codes
        refused = await flood.get(f"{net.endpoints[1]}/v1/resolve/{VERIFIER}/bob")
        assert refused.status_code == 429
        assert refused.json()["error"]["code"] == "RATE_LIMITED"
        assert int(refused.headers["retry-after"]) >= 1
        assert refused.headers["access-control-allow-origin"] == "*"
        assert "result" in (await other.post(net.rpc_url(), content=PING)).json()
        assert (await flood.get(f"{net.endpoints[1]}/healthz")).status_code == 200


async def test_a_refused_flooder_keeps_its_connection_and_is_served_again(net: ScriptedNet) -> None:
    async with client("127.0.0.7") as flood:
        for _ in range(60):
            await flood.post(net.rpc_url(), content=PING)

        async def is_served() -> bool:
            return "result" in (await flood.post(net.rpc_url(), content=PING)).json()

        await until(is_served, 5)


async def test_forwarded_for_is_not_believed_from_anybody(net: ScriptedNet) -> None:
    async with client("127.0.0.8") as flood:
        for number in range(60):
            headers = {"x-forwarded-for": f"9.9.9.{number % 250}"}
            answer = await flood.post(net.rpc_url(), content=PING, headers=headers)
        assert answer.json()["error"]["authnet"]["code"] == "RATE_LIMITED"


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_over_the_limit_is_refused(net: ScriptedNet, chunked: bool) -> None:
    body = b'{"x":"' + b"y" * 66_000 + b'"}'

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 8_000):
            yield body[start : start + 8_000]

    async with client() as http:
        answer = await http.post(net.rpc_url(), content=pieces() if chunked else body)
        assert answer.status_code == 200
        assert answer.json()["error"]["authnet"]["code"] == "TOO_LARGE"
        assert answer.headers["connection"] == "close"


async def test_a_slow_body_is_cut_off_and_others_are_served(net: ScriptedNet) -> None:
    reader, writer = await raw(net)
    writer.write(b"POST /sss/jrpc HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{")
    async with client() as http:
        assert "result" in (await http.post(net.rpc_url(), content=PING)).json()
    answer = await asyncio.wait_for(reader.read(), 5)
    assert b'"TIMEOUT"' in answer
    writer.close()


async def test_a_body_that_ends_early_harms_nobody(net: ScriptedNet) -> None:
    for _ in range(20):
        _, writer = await raw(net)
        writer.write(b"POST /sss/jrpc HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{")
        writer.close()
    async with client() as http:
        assert "result" in (await http.post(net.rpc_url(), content=PING)).json()


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nx: " + b"y" * 20_000 + b"\r\n\r\n",
        b"GET /" + b"y" * 20_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 4000 + b"\r\n",
        b"\x00\x01\x02\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /sss/jrpc HTTP/1.1\r\nhost: x\r\ncontent-length: -5\r\n\r\n",
        b"POST /sss/jrpc HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n",
        b"POST /sss/jrpc HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n",
    ],
)
async def test_a_bad_request_head_ends_the_connection(net: ScriptedNet, head: bytes) -> None:
    reader, writer = await raw(net)
    writer.write(head)
    answer = await asyncio.wait_for(reader.read(), 5)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4")
    assert b"Traceback" not in answer
    writer.close()


async def test_an_endless_request_head_is_cut_off(net: ScriptedNet) -> None:
    reader, writer = await raw(net)
    writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n")
    with pytest.raises((ConnectionError, TimeoutError)):  # noqa: PT012
        with anyio.fail_after(10):
            for number in range(10_000):
                writer.write(b"x-%d: %s\r\n" % (number, b"y" * 500))
                await writer.drain()
                await asyncio.sleep(0)
                if reader.at_eof():
                    raise ConnectionError
    writer.close()


async def test_one_address_can_not_take_all_connections(net: ScriptedNet) -> None:
    held = []
    try:
        for _ in range(30):
            held.append(await raw(net, "127.0.0.9"))
        refused = [await asyncio.wait_for(reader.read(), 5) for reader, _ in held[20:]]
        assert all(b'"BUSY"' in answer for answer in refused), "20 of 40 connections are one address's share"
        async with client("127.0.0.10") as http:
            assert "result" in (await http.post(net.rpc_url(), content=PING)).json()
    finally:
        for _, writer in held:
            writer.close()


async def test_pages_of_any_origin_may_call_the_api_and_only_that(net: ScriptedNet) -> None:
    async with client() as http:
        for path in ("/sss/jrpc", "/jrpc", f"/v1/resolve/{VERIFIER}/x"):
            answer = await http.options(f"{net.endpoints[1]}{path}", headers={"origin": "https://dapp.example"})
            assert answer.status_code == 204
            assert answer.headers["access-control-allow-origin"] == "*"
            allowed = answer.headers["access-control-allow-headers"]
            assert {"content-type", "x-api-key", "x-embed-host"} <= set(allowed.split(", "))
            assert {"GET", "POST", "PUT"} <= set(answer.headers["access-control-allow-methods"].split(", "))
        for path in ("/metrics", "/comet/status", "/healthz"):
            answer = await http.get(f"{net.endpoints[1]}{path}", headers={"origin": "https://dapp.example"})
            assert "access-control-allow-origin" not in answer.headers
        posted = await http.post(net.rpc_url(), content=PING, headers={"origin": "https://dapp.example"})
        assert posted.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/", 404, "UNKNOWN_PATH"),
        ("GET", "/v1/../healthz/x", 404, "UNKNOWN_PATH"),
        ("GET", "/sss/jrpc", 405, "UNKNOWN_METHOD"),
        ("DELETE", "/v1/node-details", 405, "UNKNOWN_METHOD"),
        ("GET", "/v1/resolve/nope/bob", 404, "VERIFIER_UNKNOWN"),
        ("GET", f"/v1/resolve/{VERIFIER}/%20", 400, "BAD_PARAMS"),
        ("GET", f"/v1/resolve/{VERIFIER}/bob?assign=0", 404, "ACCOUNT_NOT_FOUND"),
        ("GET", f"/v1/resolve/{VERIFIER}/bob?curve=p256", 400, "UNSUPPORTED_CURVE"),
        ("GET", "/comet/broadcast_tx_sync?tx=00", 405, "UNKNOWN_METHOD"),
        ("GET", "/comet/commit?height=x", 400, "BAD_PARAMS"),
        ("GET", "/comet/status", 503, "UNAVAILABLE"),
    ],
)
async def test_refused_paths(net: ScriptedNet, method: str, path: str, status: int, code: str) -> None:
    async with client() as http:
        answer = await http.request(method, f"{net.endpoints[1]}{path}")
        assert answer.status_code == status
        assert answer.json()["error"]["code"] == code
        assert answer.json()["error"]["cure"]


async def test_resolve_and_details_are_equal_on_all_nodes() -> None:
    async with scripted_network(5) as net, client() as http:
        details = [(await http.get(f"{url}/v1/node-details")).json() for url in net.endpoints.values()]
        assert all(each == details[0] for each in details)
        assert details[0]["nodeDetails"]["torusIndexes"] == [1, 2, 3, 4, 5]
        assert details[0]["nodeDetails"]["torusNodeSSSEndpoints"] == [net.rpc_url(i) for i in range(1, 6)]
        found = [(await http.get(f"{url}/v1/resolve/{VERIFIER}/a%2Fb%3Fc")).json() for url in net.endpoints.values()]
        assert {each["id"] for each in found} == {"a/b?c"}, "an id may hold anything"
        assert len({(each["key_index"], each["address"], each["account_id"]) for each in found}) == 1


async def test_the_operator_s_page_has_every_process(net: ScriptedNet) -> None:
    async with client() as http:
        await http.post(net.rpc_url(), content=PING)
        page = (await http.get(net.metrics[1])).text
    assert 'scripted_keeper_total{process="p2p_dkg"} 2.0' in page
    assert 'scripted_chain{process="abci_app"} 1.0' in page
    assert 'authnet_api_requests_total{method="Ping",outcome="ok",process="node_api"}' in page
    assert 'authnet_process_up{name="cometbft"} 0.0' in page
