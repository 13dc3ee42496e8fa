"""`localnet status --json`: the network as its own nodes describe it, and what it can still lose.

"Can lose" counts nodes that hold the shares of every final session, not nodes that merely run.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from authnet_core.errors import AuthnetError
from authnet_core.protocol.committee import Committee
from authnet_runtime.retained import all_batches, all_retained, hold_all
from authnet_runtime.rpc_once import call_once, query_once
from localnet import procs
from localnet.discovery import ask_chain, network_json
from localnet.members import Members
from localnet.places import Places

SCHEMA = 1
EMPTY_POOL = {"free": 0, "assigned": 0, "short": 0, "low": 0, "high": 0}
HANDOVER = ("phase", "batches", "batches_done", "keys", "keys_done", "notice_ends_ms", "deadline_ms")
_ASK_S = 1.0


def status(places: Places, members: Members) -> dict[str, Any]:
    """The whole answer. Blocking, about 20 ms."""
    network = network_json(places)
    epoch = _ask(places, "/epoch/current") or {}
    pool = _ask(places, "/pool") or {}
    former = _ask(places, f"/epoch/{epoch['previous']}") if epoch.get("previous") else None
    retained = all_retained(lambda path: _ask(places, path))
    retained += all_batches(lambda path: _ask(places, path), epoch.get("epoch", 0))
    seats = {member["endpoint"]: member for member in epoch.get("members", ())}
    with ThreadPoolExecutor(len(places.all_indexes)) as workers:
        nodes = list(workers.map(lambda index: _node(places, members, index), places.all_indexes))
    for node in nodes:
        member = seats.get(node["api"])
        if member is not None:
            node["party"] = member["index"]
            node["identity_pub"], node["peer_id"] = member["identity"], member["peer_id"]
            node["holds_all"] = hold_all(retained, member["index"])
        node["epochs"] = [e for e in (1, *places.committees) if node["index"] in places.committee(e)]
    size = Committee.of(len(seats) or places.nodes)
    works, can_lose = _margins(size, [node for node in nodes if node["party"] or not seats])
    serving = bool(epoch.get("epoch")) and pool.get("free", 0) + pool.get("assigned", 0) > 0
    return {
        "schema": SCHEMA,
        "ready": serving and works["two_round"],
        "dir": str(places.dir),
        "network_id": places.network_id,
        "chain_id": network["chain_id"],
        "epoch": epoch.get("epoch", 0),
        "grace_ends": former["grace_ends_ms"] if former else 0,
        "handover": _handover(_ask(places, "/handover")),
        "n": size.n,
        "k": size.k,
        "t": size.t,
        "front": places.front,
        "eth": {"rpc": places.eth_rpc, "registry": network["registry"], "chain_id": network["eth_chain_id"]},
        "pool": {name: pool.get(name, 0) for name in EMPTY_POOL},
        "can_lose": can_lose,
        "works": works,
        "nodes": nodes,
    }


def _handover(found: dict[str, Any] | None) -> dict[str, Any] | None:
    """The hand-over under way, in short."""
    if found is None:
        return None
    return {"epoch": found["committee"]["epoch"]} | {name: found[name] for name in HANDOVER}


def _margins(size: Committee, nodes: list[dict[str, Any]]) -> tuple[dict[str, bool], dict[str, int]]:
    up = sum(node["state"] == "up" for node in nodes)
    holding = sum(node["state"] == "up" and node["holds_all"] for node in nodes)
    margins = {
        "generation": up - size.quorum,
        "two_round": min(up - size.quorum, holding - size.k),
        "one_round": holding - size.k,
    }
    works = {what: margin >= 0 for what, margin in margins.items()}
    return works, {what: max(0, margin) for what, margin in margins.items()}


def _node(places: Places, members: Members, index: int) -> dict[str, Any]:
    run = places.node_dir(index) / "run"
    found: dict[str, Any] = {}
    identity: dict[str, Any] = {}
    state = "retired" if index in places.retired else members.state(index)
    processes = members.processes(index) if state == "up" else []
    if state == "up":
        try:
            found = query_once(run / "read.sock", "/status", timeout=_ASK_S)
        except AuthnetError:
            state = "starting"
        try:
            identity = call_once(run / "ops.sock", "identity", timeout=_ASK_S)
        except AuthnetError:
            state = "starting"
    return {
        "index": index,
        "state": state,
        "dir": str(places.node_dir(index)),
        "api": f"http://127.0.0.1:{places.ports(index).api}",
        "comet_rpc": f"http://127.0.0.1:{places.ports(index).api}/comet",
        "identity_pub": identity.get("identity_pub", ""),
        "peer_id": identity.get("peer_id", ""),
        "height": found.get("height", 0),
        "app_hash": found.get("app_hash", ""),
        "holds_all": False,
        "party": 0,
        "epochs": [],
        "supervisor_pid": members.supervisor_pid(index),
        "processes": [process | {"rss_mb": round(procs.rss_mb(process["pid"]), 1)} for process in processes],
    }


def _ask(places: Places, path: str) -> Any:
    try:
        return ask_chain(places, path)
    except AuthnetError:
        return None
