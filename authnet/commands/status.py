"""`authnet status` and `authnet localnet status`: the network at a glance."""

from __future__ import annotations

from typing import Any

import typer

from authnet.commands.options import DEFAULT_DIR, Dir, Json, ask_daemon
from authnet.output import Output, reporting

WORD = {
    "generation": "key generation stops",
    "two_round": "two-round logins stop",
    "one_round": "one-round logins stop",
}


def register(parent: typer.Typer) -> None:
    parent.command()(status)


def status(dir: Dir = DEFAULT_DIR, json: Json = False) -> None:
    """The network, its nodes, and how many of them may still be lost."""
    with reporting(Output(json)) as out:
        show(out, ask_daemon(dir, "status"))


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
    out.fields("", fields)
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


def _loss(found: dict[str, Any], what: str, text: str) -> str:
    if not found["works"][what]:
        return text.replace("stops", "has stopped").replace("stop", "have stopped")
    more = found["can_lose"][what]
    return f"you can lose {more} more node{'' if more == 1 else 's'} before {text}"


def _process(found: dict[str, Any]) -> str:
    again = f"(+{found['restarts']})" if found["restarts"] else ""
    return f"{found['name']}:{found['pid'] or 'down'}{again}"
