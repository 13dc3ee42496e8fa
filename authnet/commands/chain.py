"""`authnet chain ...`: what a node's chain holds, for comparing nodes and for auditors."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer

from authnet.commands import diff, move
from authnet.commands.options import DEFAULT_DIR, Dir, Json, local_network, node_run
from authnet.output import Output, reporting
from authnet_runtime.rpc_once import query_once
from localnet.discovery import ask_chain, key_count
from localnet.hashes import app_hashes

PAGE = 1000
FIELDS = ("index", "curve", "Y", "N", "sid", "epoch", "free", "holders")

app = typer.Typer(help="What the chain holds.", no_args_is_help=True)
app.command()(move.export)
app.command()(move.sign)
app.command("import")(move.import_)
app.command()(diff.diff)


def register(parent: typer.Typer) -> None:
    parent.add_typer(app, name="chain")


@app.command()
def hashes(
    node: Annotated[int, typer.Option(help="Node, 1 to n.")] = 1,
    first: Annotated[int, typer.Option("--from", help="First height.")] = 1,
    last: Annotated[int, typer.Option("--to", help="Last height; the newest when left out.")] = 0,
    dir: Dir = DEFAULT_DIR,
    json: Json = False,
) -> None:
    """The app hash after each block, as this node has it."""
    with reporting(Output(json)) as out:
        run = node_run(dir, node)
        newest = query_once(run / "read.sock", "/status")
        rows = app_hashes(run / "comet.sock", max(1, first), min(last or newest["height"], newest["height"]))
        if rows and rows[-1]["height"] == newest["height"] - 1 and (last or newest["height"]) >= newest["height"]:
            rows.append({"height": newest["height"], "app_hash": newest["app_hash"]})
        if out.is_rich:
            out.table("", ("height", "app hash"), [(row["height"], row["app_hash"]) for row in rows])
        else:
            out.emit(rows)


@app.command()
def keys(
    first: Annotated[int, typer.Option("--from", help="First key index.")] = 0,
    node: Annotated[int, typer.Option(help="Node to ask; any when left out.")] = 0,
    dir: Dir = DEFAULT_DIR,
    json_: Annotated[bool, typer.Option("--json", help="Always JSON lines.")] = False,
) -> None:
    """Every key of the network, JSON lines: index, curve, Y, N, sid, epoch, free, holders."""
    with reporting(Output(json_)):
        found = local_network(dir)

        def ask(path: str) -> Any:
            return query_once(node_run(dir, node) / "read.sock", path) if node else ask_chain(found, path)

        for start in range(first, key_count(ask("/pool")), PAGE):
            for key in ask(f"/keys/{start}/{PAGE}"):
                sys.stdout.write(json.dumps({name: key[name] for name in FIELDS}) + "\n")
