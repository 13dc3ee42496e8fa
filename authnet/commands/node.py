"""`authnet node ...`: run one node, or make the folder of a new one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from authnet.commands import backup
from authnet.output import Output, reporting

app = typer.Typer(help="One node.", no_args_is_help=True)
app.command()(backup.backup)
app.command()(backup.restore)


def register(parent: typer.Typer) -> None:
    parent.add_typer(app, name="node")


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def run(
    context: typer.Context,
    config: Annotated[Path, typer.Argument(metavar="NODE/node.toml")],
    env: Annotated[list[str] | None, typer.Option(help="PROC:NAME=VALUE for PROC's first start.")] = None,
) -> None:
    """Start the node's five processes and keep them running until SIGTERM."""
    from authnet.supervisor.__main__ import main

    settings = [word for setting in env or [] for word in ("--env", setting)]
    sys.exit(main([str(config), *settings, *context.args]))


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(metavar="NODE")],
    network_id: Annotated[str, typer.Option()],
    eth_rpc: Annotated[str, typer.Option(help="Ethereum JSON-RPC URL.")],
    registry: Annotated[str, typer.Option(help="Address of the registry contract.")],
    eth_chain_id: Annotated[int, typer.Option()],
    host: Annotated[str, typer.Option(help="Address that the other nodes reach this one at.")],
    endpoint: Annotated[str, typer.Option(help="Public https URL of this node.")],
    port: Annotated[int, typer.Option(help="API port; libp2p, CometBFT and metrics use the next three.")] = 8798,
    binary: Annotated[str, typer.Option(help="cometbft v0.40.0.")] = "cometbft",
    epoch: Annotated[int, typer.Option(help="The first epoch of the registry that the node is to be in.")] = 1,
    dev: Annotated[bool, typer.Option("--dev")] = False,
) -> None:
    """Make a node's folder: node.toml, passphrase, Ethereum key. Keys that exist are kept."""
    from authnet_runtime import node_folder

    with reporting(Output()) as out:
        settings = node_folder.NodeSettings(
            network_id=network_id,
            dev=dev,
            eth_rpc=eth_rpc,
            registry=registry,
            eth_chain_id=eth_chain_id,
            p2p=f"{host}:{port + 1}",
            api=f"127.0.0.1:{port}",
            endpoint=endpoint,
            comet=f"{host}:{port + 2}",
            metrics=f"127.0.0.1:{port + 3}",
            binary=binary,
            epoch=epoch,
        )
        node_folder.create(folder.resolve(), settings)
        out.note(f"made {folder}; run it: authnet node run {folder}/node.toml")
