"""A running network from the outside: status, listings, kill, start."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.key_checks import door_is_open
from tests.e2e.lives import assert_nothing_left, folder, run
from tests.e2e.net import PROCESSES, CommandFailed, Net, wait_for

__all__ = ["folder"]
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

STATUS = {
    "schema": int,
    "ready": bool,
    "dir": str,
    "network_id": str,
    "chain_id": str,
    "epoch": int,
    "n": int,
    "k": int,
    "t": int,
    "front": str,
    "eth": {"rpc": str, "registry": str, "chain_id": int},
    "pool": {"free": int, "assigned": int, "short": int, "low": int, "high": int},
    "can_lose": {"generation": int, "two_round": int, "one_round": int},
    "nodes": list,
}
NODE = {
    "index": int,
    "state": str,
    "dir": str,
    "api": str,
    "comet_rpc": str,
    "identity_pub": str,
    "peer_id": str,
    "height": int,
    "app_hash": str,
    "holds_all": bool,
    "processes": list,
}
PROCESS = {"name": str, "pid": int, "restarts": int, "rss_mb": float}


def matches(value: Any, shape: Any) -> bool:
    """Fields may be added, never changed or dropped."""
    if isinstance(shape, dict):
        return isinstance(value, dict) and all(name in value and matches(value[name], shape[name]) for name in shape)
    return isinstance(value, shape)


# ---- a running network


def test_status_has_the_promised_shape(net: Net) -> None:
    found = net.cli("localnet", "status")
    assert matches(found, STATUS), found
    assert found["ready"]
    assert (found["n"], found["k"], found["t"]) == (5, 3, 1)
    for node in found["nodes"]:
        assert matches(node, NODE), node
        assert {process["name"] for process in node["processes"]} == set(PROCESSES)
        assert all(matches(process, PROCESS) for process in node["processes"])
        assert sum(process["rss_mb"] for process in node["processes"]) > 0


def test_the_front_serves_what_clients_ask_beside_the_nodes(net: Net) -> None:
    front = net.first.front
    details = httpx.get(f"{front}/fnd/node-details").json()["nodeDetails"]
    assert details["torusIndexes"] == [1, 2, 3, 4, 5]
    assert all(url.startswith("http://127.0.0.1:") for url in details["torusNodeSSSEndpoints"])
    configuration = httpx.get(f"{front}/.well-known/openid-configuration").json()
    assert configuration["issuer"] == front
    assert {key["alg"] for key in httpx.get(configuration["jwks_uri"]).json()["keys"]} == {"RS256", "ES256"}
    network = httpx.get(f"{front}/network.json").json()
    assert network["network_id"] == net.first.network_id
    assert len(network["genesis_hash"]) == 64
    for method in ("GET", "POST", "PUT", "OPTIONS"):
        headers = {"Origin": "http://wallet.example", "Access-Control-Request-Method": "PUT"}
        for path in ("citadel/v1/signer/allow", "signer/api/allow"):
            answer = httpx.request(method, f"{front}/{path}", headers=headers)
            assert answer.status_code == 200
            assert "access-control-allow-origin" in answer.headers


def test_a_second_up_says_that_it_runs_already(net: Net) -> None:
    again = run("localnet", "up", "--dir", str(net.dir))
    assert again.returncode == 0
    assert "running already" in again.stderr
    assert net.first.front in again.stdout


def test_a_network_on_the_same_ports_is_refused_and_the_ports_are_named(net: Net, folder: Path) -> None:
    port = net.first.front.rpartition(":")[2]
    refused = run("localnet", "up", "--dir", str(folder), "--base-port", port)
    assert refused.returncode == 2
    assert f"{port} (front)" in refused.stderr
    assert_nothing_left(folder)


def test_down_in_another_folder_leaves_this_network_alone(net: Net, folder: Path) -> None:
    before = net.pids()
    assert run("localnet", "down", "--dir", str(folder)).returncode == 0
    assert net.pids() == before


def test_killed_processes_come_back(net: Net) -> None:
    before = net.pids()
    answer = net.cli("localnet", "kill", "2", "node_api")
    assert answer["killed"] == [before[(2, "node_api")]]
    wait_for("node_api again", 20, lambda: net.pids().get((2, "node_api"), 0) not in (0, before[(2, "node_api")]))
    restarts = {p["name"]: p["restarts"] for p in net.cli("localnet", "status")["nodes"][1]["processes"]}
    assert restarts["node_api"] >= 1
    wait_for("node 2's door", 20, lambda: door_is_open(net, 2))


def test_a_killed_node_stays_down_until_it_is_started(net: Net) -> None:
    before = net.status()
    assert before.can_lose is not None
    net.kill_node(3)
    try:
        down = net.status()
        assert down.nodes[2].state == "killed"
        assert down.nodes[2].processes == []
        assert down.can_lose is not None
        assert down.can_lose["two_round"] == before.can_lose["two_round"] - 1
        with pytest.raises(CommandFailed) as refused:
            net.kill_node(3)
        assert refused.value.error["code"] == "UNAVAILABLE"
    finally:
        net.start_node(3)
    wait_for("node 3 holds all and answers", 40, lambda: net.status().nodes[2].holds_all and door_is_open(net, 3))
    with pytest.raises(CommandFailed) as refused:
        net.start_node(3)
    assert refused.value.error["code"] == "ALREADY_DONE"


def test_a_killed_supervisor_and_its_children_come_back(net: Net) -> None:
    old = net.cli("localnet", "status")["nodes"][3]
    os.kill(old["supervisor_pid"], signal.SIGKILL)
    before = {process["pid"] for process in old["processes"]}
    wait_for("a new generation", 30, lambda: len({p for (j, _), p in net.pids().items() if j == 4} - before) == 5)
    wait_for("node 4's door", 30, lambda: door_is_open(net, 4))


def test_rotated_keys_sign_tokens_that_log_in(net: Net) -> None:
    old = httpx.get(f"{net.first.front}/.well-known/jwks.json").json()["keys"][0]["kid"]
    kids = net.cli("localnet", "rotate-keys")["kids"]
    assert old in kids
    assert kids[0] != old
    user = "rotated@example.com"
    done = net.cli("login", "mock-google", user)
    assert done["address"] == net.cli("resolve", "mock-google", user)["address"]


def test_commands_name_what_is_wrong(net: Net) -> None:
    for args, code in (
        (("localnet", "kill", "9"), "BAD_PARAMS"),
        (("localnet", "kill", "1", "nobody"), "BAD_PARAMS"),
        (("localnet", "token", "no-such", "a"), "VERIFIER_UNKNOWN"),
        (("localnet", "token", "mock-google", "a", "--alg", "RS1"), "BAD_PARAMS"),
        (("localnet", "token", "mock-google", "a", "--set", "nothing"), "BAD_PARAMS"),
    ):
        with pytest.raises(CommandFailed) as refused:
            net.cli(*args)
        assert (refused.value.error["code"], refused.value.exit) == (code, 2 if code == "BAD_PARAMS" else 1)


def test_listings_agree_with_each_other(net: Net) -> None:
    heights = net.cli("chain", "hashes", "--node", "1", "--from", "1", "--to", "5")
    assert [row["height"] for row in heights] == [1, 2, 3, 4, 5]
    assert heights == net.cli("chain", "hashes", "--node", "5", "--from", "1", "--to", "5")
    keys = net.cli_lines("chain", "keys")
    assert [key["index"] for key in keys] == list(range(len(keys)))
    shares = net.cli_lines("dev", "shares", "--node", "1")
    assert {share["index"] for share in shares} >= {key["index"] for key in keys}
    sessions = net.cli_lines("session", "list")
    assert {session["sid"] for session in sessions if session["final"]} <= {key["sid"] for key in keys}


@pytest.mark.parametrize(
    ("args", "names"),
    [
        (("--faulty", "all"), "--faulty"),
        (("--kind", "boredom"), "--kind"),
        (("--kind", "liar"), "--kind"),
        (("--liar", "README.md"), "--liar"),
        (("--nodes", "5"), "--nodes"),
    ],
)
def test_chaos_that_can_not_be_had_is_refused_by_name(net: Net, args: tuple[str, ...], names: str) -> None:
    refused = run("localnet", "chaos", *args, "--minutes", "0.1", "--dir", str(net.dir))
    assert refused.returncode == 2
    assert names in refused.stderr
    assert net.status().ready
