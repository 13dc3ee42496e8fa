"""`authnet session list`: key generation runs that the chain knows, open and recent."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from authnet.commands.options import DEFAULT_DIR, Dir, Json, local_network, node_run
from authnet.output import Output, reporting
from authnet_core.protocol.committee import Committee
from authnet_runtime.rpc_once import query_once
from localnet.discovery import ask_chain

app = typer.Typer(help="Key generation runs.", no_args_is_help=True)


def register(parent: typer.Typer) -> None:
    parent.add_typer(app, name="session")


@app.callback()
def group() -> None:
    """Key generation runs."""


@app.command("list")
def list_sessions(
    node: Annotated[int, typer.Option(help="Node to ask; any when left out.")] = 0,
    dir: Dir = DEFAULT_DIR,
    json: Json = False,
) -> None:
    """Open sessions first, then finished ones: sid, phase, h0, B, m, Q, holders, final."""
    with reporting(Output(json)) as out:
        found = local_network(dir)
        path = "/sessions"
        answer = query_once(node_run(dir, node) / "read.sock", path) if node else ask_chain(found, path)
        rows = [_row(view, len(view["eks"])) for view in (*answer["open"], *answer["recent"])]
        if out.json or not sys.stdout.isatty():
            out.emit(rows)
            return
        columns = ("sid", "phase", "h0", "B", "m", "Q", "holders", "final")
        out.table("", columns, [[str(row[c])[:16] for c in columns] for row in rows])


def _row(view: dict[str, Any], n: int) -> dict[str, Any]:
    dealers = view["q"] or ()
    return {
        "sid": view["sid"],
        "phase": view["phase"],
        "h0": view["h0"],
        "B": view["rows"],
        "m": len(dealers) - (Committee.of(n).k - 1) if dealers else 0,
        "Q": list(dealers),
        "holders": list(view["holders"]),
        "final": view["phase"] == "final",
    }
