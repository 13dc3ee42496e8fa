"""`authnet dev ...`: look into a node's secrets. The keeper refuses unless its genesis says `dev: true`."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from authnet.commands.options import DEFAULT_DIR, Dir, node_run
from authnet.output import Output, reporting
from authnet_runtime.rpc_once import call_once, query_once
from localnet.discovery import key_count

PAGE = 1000

app = typer.Typer(help="For tests on a development network only.", no_args_is_help=True)


def register(parent: typer.Typer) -> None:
    parent.add_typer(app, name="dev")


@app.callback()
def group() -> None:
    """For tests on a development network only."""


@app.command()
def shares(
    node: Annotated[int, typer.Option(help="Node, 1 to n.")],
    first: Annotated[int, typer.Option("--from", help="First key index.")] = 0,
    dir: Dir = DEFAULT_DIR,
    json_: Annotated[bool, typer.Option("--json", help="Always JSON lines.")] = False,
) -> None:
    """The node's shares of all keys, JSON lines: index, x, share, nonce."""
    with reporting(Output(json_)):
        run = node_run(dir, node)
        # A page has fewer rows, or none, where the node lacks shares; others come behind it.
        for start in range(first, key_count(query_once(run / "read.sock", "/pool")), PAGE):
            for row in call_once(run / "ops.sock", "dev_shares", {"from": start, "limit": PAGE}, timeout=30.0):
                sys.stdout.write(json.dumps({name: row[name] for name in ("index", "x", "share", "nonce")}) + "\n")
