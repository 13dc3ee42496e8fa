"""`authnet status` and `authnet localnet status`: the network at a glance."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from authnet.commands.options import DEFAULT_DIR, Dir, Json, ask_daemon
from authnet.output import SCHEMA, Output, reporting
from authnet_core.protocol.committee import Committee
from authnet_runtime.retained import all_batches, all_retained, hold_all
from authnet_runtime.rpc_once import query_once

WORD = {
    "generation": "key generation stops",
    "two_round": "two-round logins stop",
    "one_round": "one-round logins stop",
}


def register(parent: typer.Typer) -> None:
    parent.command()(status)


def status(
    dir: Dir = DEFAULT_DIR,
    node: Annotated[Path | None, typer.Option("--node", help="A node's node.toml instead.")] = None,
    json: Json = False,
) -> None:
    """The network, its nodes, and how many of them may still be lost."""
    with reporting(Output(json)) as out:
        if node is None:
            show(out, ask_daemon(dir, "status"))
        else:
            show_node(out, node_view(node.resolve().parent))


def node_view(folder: Path) -> dict[str, Any]:
    """The network as one node's chain describes it; who is up is not known there, who holds shares is."""
    read = folder / "run" / "read.sock"
    chain = query_once(read, "/status")
    epoch = query_once(read, "/epoch/current")
    former = query_once(read, f"/epoch/{epoch['previous']}") if epoch["previous"] else None
    retained = all_retained(lambda path: query_once(read, path))
    retained += all_batches(lambda path: query_once(read, path), epoch["epoch"])
    size = Committee.of(len(epoch["members"]) or len(chain["observers"]))
    holding = sum(hold_all(retained, member["index"]) for member in epoch["members"])
    return {
        "schema": SCHEMA,
        "network_id": chain["network_id"],
        "chain_id": chain["chain_id"],
        "height": chain["height"],
        "app_hash": chain["app_hash"],
        "epoch": chain["epoch"],
        "grace_ends": former["grace_ends_ms"] if former else 0,
        "n": size.n,
        "k": size.k,
        "t": size.t,
        "pool": query_once(read, "/pool"),
        "holding": holding,
        "can_lose": {
            "generation": size.n - size.quorum,
            "two_round": max(0, min(size.n - size.quorum, holding - size.k)),
            "one_round": max(0, holding - size.k),
        },
        "works": {"generation": True, "two_round": holding >= size.k, "one_round": holding >= size.k},
    }


def show_node(out: Output, found: dict[str, Any]) -> None:
    """Print what one node knows."""
    if out.json:
        out.emit(found)
        return
    pool = found["pool"]
    fields = {
        "network": f"{found['network_id']}, epoch {found['epoch']}, n={found['n']} k={found['k']} t={found['t']}",
        "chain": f"height {found['height']}, app hash {found['app_hash'][:12]}",
        "pool": f"{pool['free']} free, {pool['assigned']} assigned, {pool['short']} not yet held by all",
        "holders": f"{found['holding']} of {found['n']} members hold the shares of every session",
    }
    out.fields("", fields | _grace(found))
    for what, text in WORD.items():
        typer.echo(_loss(found, what, text))


def show(out: Output, found: dict[str, Any]) -> None:
    """Print what the localnet daemon said."""
    if out.json:
        out.emit(found)
        return
    pool = found["pool"]
    fields = {
        "state": "ready" if found["ready"] else "not ready",
        "network": f"{found['network_id']}, epoch {found['epoch']}, n={found['n']} k={found['k']} t={found['t']}",
        "front": found["front"],
        "pool": f"{pool['free']} free, {pool['assigned']} assigned, {pool['short']} not yet held by all",
    }
    out.fields("", fields | _grace(found))
    for what, text in WORD.items():
        typer.echo(_loss(found, what, text))
    rows = [
        (
            node["index"],
            node["state"],
            node["height"],
            node["app_hash"][:12],
            "yes" if node["holds_all"] else "no",
            " ".join(_process(process) for process in node["processes"]),
            f"{sum(p['rss_mb'] for p in node['processes']):.0f}",
        )
        for node in found["nodes"]
    ]
    out.table("", ("node", "state", "height", "app hash", "holds all", "processes (restarts)", "MB"), rows)


def _grace(found: dict[str, Any]) -> dict[str, str]:
    """How long the former committee still serves, while it does."""
    left_s = found["grace_ends"] / 1000 - time.time()
    return {"grace": f"the former committee erases its shares in {left_s:.0f} s"} if left_s > 0 else {}


def _loss(found: dict[str, Any], what: str, text: str) -> str:
    if not found["works"][what]:
        return text.replace("stops", "has stopped").replace("stop", "have stopped")
    more = found["can_lose"][what]
    return f"you can lose {more} more node{'' if more == 1 else 's'} before {text}"


def _process(found: dict[str, Any]) -> str:
    again = f"(+{found['restarts']})" if found["restarts"] else ""
    return f"{found['name']}:{found['pid'] or 'down'}{again}"
