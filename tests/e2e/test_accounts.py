"""One account has one key, whoever asks, wherever and at the same time; a flood from one address harms nobody else."""

from __future__ import annotations

import asyncio
import itertools
import secrets
import socket
import time
from collections import Counter
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest

from tests.e2e.doors import DOORS, one_round, two_rounds
from tests.e2e.net import Net, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
VERIFIER = "mock-google"


def lookup(user: str) -> dict[str, Any]:
    return {
        "jsonrpc": "2.0",
        "id": 10,
        "method": "GetPubKeyOrKeyAssign",
        "params": {
            "distributed_metadata": True,
            "verifier": VERIFIER,
            "verifier_id": user,
            "one_key_flow": True,
            "key_type": "secp256k1",
            "fetch_node_index": True,
            "client_time": "0",
        },
    }


async def ask_everywhere(net: Net, users: list[str], clients: int = 1) -> dict[str, list[dict[str, Any]]]:
    """Every user at every node by every client, all in flight at once."""
    found: dict[str, list[dict[str, Any]]] = {user: [] for user in users}

    async def one(http: httpx.AsyncClient, j: int, user: str) -> None:
        code = "no answer"
        for _ in range(40):
            try:
                answer = (await http.post(net.api_url(j), json=lookup(user))).json()
            except (httpx.RemoteProtocolError, httpx.ReadError):  # a kept connection that the node closed as idle
                continue
            code = answer.get("error", {}).get("authnet", {}).get("code", "")
            if code not in {"RATE_LIMITED", "BUSY", "POOL_RESERVED", "POOL_EMPTY"}:
                found[user].append(answer)
                return
            await asyncio.sleep(0.5)
        raise AssertionError(f"node {j} never served {user}: {code}")

    # Two clients are two addresses, so that the limit per address is no part of this test. A pool of connections
    # looks through all that wait for one whenever something happens: each node has one, in which nothing waits.
    async with AsyncExitStack() as stack:
        doors: list[tuple[int, httpx.AsyncClient]] = []
        for address, j in itertools.product((f"127.0.0.{20 + c}" for c in range(clients)), net.indexes):
            transport = httpx.AsyncHTTPTransport(local_address=address, limits=httpx.Limits(max_connections=None))
            doors.append((j, await stack.enter_async_context(httpx.AsyncClient(transport=transport, timeout=150))))
        async with asyncio.TaskGroup() as group:
            for user in users:
                for j, http in doors:
                    group.create_task(one(http, j, user))
    return found


def key_of(answer: dict[str, Any]) -> str:
    assert "result" in answer, answer
    key = answer["result"]["keys"][0]
    return f"{key['pub_key_X']} {key['pub_key_Y']} {key['nonce_data']['pubNonce']['x']}"


def test_two_clients_at_all_nodes_at_once_get_one_key(net: Net) -> None:
    for _ in range(5):
        user = f"raced-{secrets.token_hex(5)}@example.com"
        answers = asyncio.run(ask_everywhere(net, [user], clients=2))[user]
        assert len(answers) == 2 * net.n
        assert len({key_of(answer) for answer in answers}) == 1, "one account has several keys"


def test_two_hundred_accounts_at_once_get_two_hundred_keys(net: Net) -> None:
    wait_for("keys in the pool", 60, lambda: (p := net.status().pool) and p.free > 260)
    users = [f"crowd-{i}-{secrets.token_hex(4)}@example.com" for i in range(200)]
    found = asyncio.run(ask_everywhere(net, users))
    keys = {user: {key_of(answer) for answer in answers} for user, answers in found.items()}
    assert all(len(of_one) == 1 for of_one in keys.values()), "nodes disagree on an account's key"
    assert len(set.union(*keys.values())) == 200, "two accounts share a key"


@pytest.mark.parametrize("name", sorted(DOORS))
def test_a_look_up_before_the_first_login_names_the_key_that_logs_in(net: Net, name: str) -> None:
    user = f"early-{secrets.token_hex(5)}@example.com"
    resolved = net.cli("resolve", VERIFIER, user)
    assert resolved["is_new"]
    assert len(resolved["agreed"]) >= net.k
    assert not resolved["disagreed"]
    door = DOORS[name](net)
    first = two_rounds(door, user)
    assert one_round(door, user) == first
    from authnet_core.crypto.secp256k1 import pub

    assert pub(first).hex() == resolved["Y"]


def test_a_look_up_that_may_not_assign_does_not(net: Net) -> None:
    user = f"nobody-{secrets.token_hex(5)}@example.com"
    body = {"jsonrpc": "2.0", "id": 10, "method": "VerifierLookupRequest", "params": _lookup_only(user)}
    for j in net.indexes:
        error = httpx.post(net.api_url(j), json=body).json()["error"]
        assert "Verifier + VerifierID has not yet been assigned" in error["data"]
        got = httpx.get(f"{net.node(j).api}/v1/resolve/{VERIFIER}/{user}?assign=0")
        assert (got.status_code, got.json()["error"]["code"]) == (404, "ACCOUNT_NOT_FOUND")


def _lookup_only(user: str) -> dict[str, str]:
    return {"verifier": VERIFIER, "verifier_id": user, "key_type": "secp256k1", "client_time": "0"}


def test_a_flood_from_one_address_is_refused_and_another_address_is_served(net: Net) -> None:
    """At the shipped limits: 50 requests a second and bursts of 300 per address."""
    began = time.monotonic()
    codes, served = asyncio.run(_flood_and_serve(net))
    allowed = 300 + 50 * (time.monotonic() - began + 1)
    assert codes["RATE_LIMITED"] > 100, codes
    assert set(codes) <= {"", "RATE_LIMITED"}, codes
    assert codes[""] <= allowed
    assert len(served) == 20
    assert all(code == "" for code in served), served


async def _flood_and_serve(net: Net) -> tuple[Counter[str], list[str]]:
    codes: Counter[str] = Counter()
    served: list[str] = []
    stop, drowning = asyncio.Event(), asyncio.Event()

    async def flood(http: httpx.AsyncClient) -> None:
        while not stop.is_set():
            codes[await _ping(http, net)] += 1
            if codes["RATE_LIMITED"] > 100:
                drowning.set()

    async with (
        httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(local_address="127.0.0.1"), timeout=20) as bad,
        httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(local_address="127.0.0.2"), timeout=20) as good,
        asyncio.TaskGroup() as group,
    ):
        for _ in range(8):
            group.create_task(flood(bad))
        await drowning.wait()
        for _ in range(20):
            served.append(await _ping(good, net))
            await asyncio.sleep(0.05)
        stop.set()
    return codes, served


async def _ping(http: httpx.AsyncClient, net: Net) -> str:
    answer = (await http.post(net.api_url(1), json={"jsonrpc": "2.0", "id": 1, "method": "Ping", "params": {}})).json()
    return str(answer.get("error", {}).get("authnet", {}).get("code", ""))


def test_more_connections_than_allowed_are_refused_not_hung(net: Net) -> None:
    """512 connections a node by default: the ones above are closed at once, and the door still opens later."""
    host, port = net.node(1).api.removeprefix("http://").split(":")
    held: list[socket.socket] = []
    try:
        for _ in range(560):
            link = socket.create_connection((host, int(port)), timeout=5, source_address=("127.0.0.9", 0))
            held.append(link)
    finally:
        for link in held:
            link.close()
    wait_for("the door to serve again", 15, lambda: httpx.get(f"{net.node(1).api}/healthz").status_code == 200)


BAD_BODIES = [
    b"",
    b"{",
    b"[]",
    b"null",
    b"\x00\xff\xfe",
    b'{"jsonrpc":"2.0","id":1,"method":"Ping","method":"Pong"}',
    b'{"jsonrpc":"2.0","id":1,"method":7}',
    b'{"jsonrpc":"2.0","id":1,"method":"NoSuchThing","params":{}}',
    b'{"jsonrpc":"2.0","id":1,"method":"CommitmentRequest","params":{"temppubx":"zz"}}',
    b'{"jsonrpc":"2.0","id":1,"method":"GetShareOrKeyAssign","params":{"item":"x"}}',
    b'{"jsonrpc":"2.0","id":1,"method":"GetPubKeyOrKeyAssign","params":{"verifier":"a\\ud800","verifier_id":1}}',
    b"[" * 40_000,
    b'{"a":' * 10_000,
    b"9" * 60_000,
    b" " * 70_000,
]


@pytest.mark.parametrize("body", BAD_BODIES, ids=range(len(BAD_BODIES)))
def test_a_bad_body_gets_a_coded_error_and_the_process_runs_on(net: Net, body: bytes) -> None:
    pid = net.pid(1, "node_api")
    answer = httpx.post(net.api_url(1), content=body, headers={"content-type": "application/json"}, timeout=10)
    assert answer.status_code in (200, 400, 413)
    assert answer.json()["error"], answer.text
    assert "Traceback" not in answer.text
    assert httpx.get(f"{net.node(1).api}/healthz").status_code == 200
    assert net.pid(1, "node_api") == pid


@pytest.mark.parametrize("name", ["api.sock", "ops.sock", "read.sock"])
def test_random_frames_on_a_socket_leave_the_process_running(net: Net, name: str) -> None:
    process = "abci_app" if name == "read.sock" else "p2p_dkg"
    pid = net.pid(2, process)
    path = str(net.node(2).path / "run" / name)
    junk = [
        b"",
        b"\x00" * 4,
        b"\xff" * 64,
        (5).to_bytes(4, "big") + b"abc",
        (2).to_bytes(4, "big") + b"{}",
        (4).to_bytes(4, "big") + b"null",
        (1 << 21).to_bytes(4, "big") + b"x" * 100,
        *(secrets.token_bytes(200) for _ in range(20)),
    ]
    for piece in junk:
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(2)
            link.connect(path)
            try:
                link.sendall(piece)
                link.shutdown(socket.SHUT_WR)
                link.recv(65_536)
            except OSError:
                continue
    assert net.height(2) > 0
    assert net.pid(2, process) == pid
