"""Rogue clients at the public port, each attack beside somebody who only wants to log in."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack
from itertools import count
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx
import pytest
import uvicorn

from authnet_core.errors import AuthnetError, Code
from node_api.http_protocol import MAX_AHEAD, ConnectionLimits, limited_protocol
from node_api.limits import ASSIGNS_OF_ONE, CLIENT, Slots
from tests.component.api.scripted import ScriptedNet, scripted_network, until
from tests.component.api.torus_calls import commitment, lookup

pytestmark = pytest.mark.anyio
PING = json.dumps({"jsonrpc": "2.0", "id": 10, "method": "Ping", "params": {}}).encode()
_hosts = count(1)


@pytest.fixture(scope="module")
async def running_wide() -> AsyncIterator[ScriptedNet]:
    wide = "\n".join(f"{name} = 100000" for name in ("rate_per_s", "burst", "new_keys_per_s", "new_keys_burst"))
    async with scripted_network(1, wide) as running:
        yield running


@pytest.fixture
def wide(running_wide: ScriptedNet) -> ScriptedNet:
    """No limit on how often; only on how much at once."""
    running_wide.forget()
    return running_wide


@pytest.fixture(scope="module")
async def narrow() -> AsyncIterator[ScriptedNet]:
    """Few connections, few requests, few new keys."""
    limits = "rate_per_s = 0.5\nburst = 40\nnew_keys_per_s = 0.01\nnew_keys_burst = 5\nmax_connections = 24"
    async with scripted_network(1, limits) as running:
        yield running


def fresh() -> str:
    """A loopback address that no limit has seen."""
    number = next(_hosts)
    return f"127.2.{number // 250}.{number % 250 + 1}"


def client(address: str = "") -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=200)
    transport = httpx.AsyncHTTPTransport(local_address=address or fresh(), limits=limits)
    return httpx.AsyncClient(transport=transport, trust_env=False, timeout=30)


async def ask(net: ScriptedNet, http: httpx.AsyncClient, method: str, **params: Any) -> str:
    """`ok` or the code of the refusal."""
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    answer = (await http.post(net.rpc_url(), json=body)).json()
    return str(answer["error"]["authnet"]["code"]) if "error" in answer else "ok"


async def login_works(net: ScriptedNet) -> bool:
    async with client() as http:
        return await ask(net, http, "CommitmentRequest", **commitment(f"token-{next(_hosts)}")) == "ok"


async def counted(net: ScriptedNet, sample: str) -> float:
    """A sample of the node's metrics, 0 while there is none."""
    async with client() as http:
        page = (await http.get(net.metrics[1])).text
    return sum(float(line.rpartition(" ")[2]) for line in page.splitlines() if line.startswith(sample))


async def connect(net: ScriptedNet, address: str, first: bytes = b"") -> asyncio.StreamWriter:
    where = urlsplit(net.endpoints[1])
    _, writer = await asyncio.open_connection(where.hostname, where.port, local_addr=(address, 0))
    writer.write(first)
    await writer.drain()
    return writer


@pytest.mark.parametrize(
    "first",
    [
        b"",
        b"POST /sss/jrpc HTTP/1.1\r\nhost",
        b"POST /sss/jrpc HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{",
        b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n",
    ],
    ids=["silent", "half a head", "half a body", "kept alive"],
)
async def test_connections_that_say_nothing_do_not_lock_others_out(narrow: ScriptedNet, first: bytes) -> None:
    before = await counted(narrow, 'authnet_api_dropped_connections_total{process="node_api",why="made_room"}')
    async with AsyncExitStack() as stack:
        for _ in range(40):
            writer = await connect(narrow, fresh(), first)
            stack.callback(writer.close)
        assert await login_works(narrow)
        cut = await counted(narrow, 'authnet_api_dropped_connections_total{process="node_api",why="made_room"}')
    assert cut - before >= 16, "forty addresses, twenty-four places"


async def test_room_is_made_by_the_address_that_holds_most(narrow: ScriptedNet) -> None:
    greedy, modest = fresh(), fresh()
    async with AsyncExitStack() as stack, client(modest) as http:
        assert (await http.get(f"{narrow.endpoints[1]}/healthz")).status_code == 200
        kept = http._transport._pool.connections[0]  # type: ignore[attr-defined]
        for address in [greedy] * 12 + [fresh() for _ in range(20)]:
            writer = await connect(narrow, address)
            stack.callback(writer.close)
        assert (await http.get(f"{narrow.endpoints[1]}/healthz")).status_code == 200
        assert http._transport._pool.connections == [kept], "its connection was not cut"  # type: ignore[attr-defined]


async def test_requests_sent_ahead_are_bounded(narrow: ScriptedNet) -> None:
    where = urlsplit(narrow.endpoints[1])
    reader, writer = await asyncio.open_connection(where.hostname, where.port, local_addr=(fresh(), 0))
    writer.write(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n" * 1500)
    answers = await asyncio.wait_for(reader.read(), 20)
    assert answers.count(b"HTTP/1.1 200") <= MAX_AHEAD + 1
    assert answers.count(b"HTTP/1.1 400") == 1
    assert await counted(narrow, 'authnet_api_dropped_connections_total{process="node_api",why="too_far_ahead"}')
    writer.close()


async def test_a_few_requests_sent_ahead_are_answered_in_turn(narrow: ScriptedNet) -> None:
    where = urlsplit(narrow.endpoints[1])
    reader, writer = await asyncio.open_connection(where.hostname, where.port, local_addr=(fresh(), 0))
    few = MAX_AHEAD // 2
    writer.write(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n" * few)
    writer.write(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    assert (await asyncio.wait_for(reader.read(), 20)).count(b"HTTP/1.1 200") == few + 1
    writer.close()


async def test_an_answer_that_nobody_reads_ends_the_connection() -> None:
    async def large(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": bytes(16 << 20)})

    protocol = limited_protocol(ConnectionLimits(4, 4, unread_timeout_s=0.3))
    config = uvicorn.Config(large, port=0, http=protocol, lifespan="off", log_config=None, timeout_keep_alive=600)
    server = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    port = server.servers[0].sockets[0].getsockname()[1]
    _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
    writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
    opened = protocol.open_now  # type: ignore[attr-defined]
    await until(lambda: is_true(lambda: any(each.cycle is not None for each in opened)))
    await until(lambda: is_true(lambda: not opened))
    writer.close()
    await server.shutdown()


async def test_one_address_can_not_fill_the_queue_for_new_keys(wide: ScriptedNet) -> None:
    hold = wide.keepers[1].held["assign"] = asyncio.Event()
    codes: list[str] = []

    async def look_up(http: httpx.AsyncClient, user: str) -> None:
        codes.append(await ask(wide, http, "GetPubKeyOrKeyAssign", **lookup(user)))

    async with client() as rogue, client() as other, anyio.create_task_group() as group:
        for number in range(ASSIGNS_OF_ONE + 10):
            group.start_soon(look_up, rogue, f"rogue-{number}")
        await until(lambda: is_true(lambda: len(codes) == 10))
        assert set(codes) == {"BUSY"}
        group.start_soon(look_up, other, "someone-else")
        assert await login_works(wide), "a login does not wait behind look-ups"
        hold.set()
    assert sorted(set(codes)) == ["BUSY", "ok"]
    assert codes.count("ok") == ASSIGNS_OF_ONE + 1
    assert await counted(wide, 'authnet_api_busy_total{process="node_api",what="assign"}') >= 10


async def is_true(condition: Any) -> bool:
    return bool(condition())


async def test_new_keys_for_one_address_are_bounded_known_ones_are_not(narrow: ScriptedNet) -> None:
    async with client() as drain, client() as other:
        codes = [await ask(narrow, drain, "GetPubKeyOrKeyAssign", **lookup(f"user-{i}")) for i in range(8)]
        assert codes == ["ok"] * 5 + ["RATE_LIMITED"] * 3
        assert await ask(narrow, drain, "GetPubKeyOrKeyAssign", **lookup("user-1")) == "ok"
        assert await ask(narrow, other, "GetPubKeyOrKeyAssign", **lookup("user-9")) == "ok"
    assert await counted(narrow, 'authnet_api_rate_limited_total{bucket="new_keys",process="node_api"}') >= 3


async def test_enumeration_from_many_addresses_meets_the_verifier_s_limit() -> None:
    codes: list[str] = []
    async with scripted_network(1, "rate_per_s = 0.1\nburst = 10") as net:
        for lane in range(12):
            async with client() as http:
                for number in range(9):
                    codes.append(await ask(net, http, "VerifierLookupRequest", **lookup(f"guess-{lane}-{number}")))
        assert codes[:90] == ["ACCOUNT_NOT_FOUND"] * 90, "each address stays below its own limit"
        assert "RATE_LIMITED" in codes, "one verifier's accounts have a limit of 100"
        assert await login_works(net), "a login needs no look-up"
        assert await counted(net, 'authnet_api_rate_limited_total{bucket="verifier",process="node_api"}') >= 1


async def test_asking_whether_the_node_is_ready_is_counted_for_it_costs_a_question_to_the_keeper(
    narrow: ScriptedNet,
) -> None:
    async with client() as http:
        statuses = {(await http.get(f"{narrow.endpoints[1]}/readyz")).status_code for _ in range(60)}
        alive = {(await http.get(f"{narrow.endpoints[1]}/healthz")).status_code for _ in range(60)}
    assert statuses == {200, 429}
    assert alive == {200}


async def test_a_flood_from_more_addresses_than_the_table_has_costs_no_memory() -> None:
    from node_api.limits import TABLE_SIZE, Limits

    limits = Limits(50, 300)
    for number in range(TABLE_SIZE * 2):
        limits.admit_address(f"10.{number}", 0.0)
    assert len(limits._addresses) == TABLE_SIZE


async def test_slots_are_bounded_in_all_and_for_one_and_come_back() -> None:
    slots = Slots("test", 3, 2)

    def take(name: str, stack: ExitStack) -> None:
        CLIENT.set(name)
        stack.enter_context(slots.one())

    with ExitStack() as first:
        for name in ("a", "a", "b"):
            take(name, first)
        for name in ("a", "c"):
            with pytest.raises(AuthnetError) as caught:
                take(name, first)
            assert caught.value.code is Code.BUSY
    with ExitStack() as second:
        for name in ("a", "a", "c"):
            take(name, second)
        assert slots._taken == {"a": 2, "c": 1}
    assert not slots._taken
