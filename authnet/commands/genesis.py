"""`authnet genesis build`: derive genesis.json from the registry, byte for byte as every node does."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from authnet.output import Output, reporting

app = typer.Typer(help="The first block.", no_args_is_help=True)


def register(parent: typer.Typer) -> None:
    parent.add_typer(app, name="genesis")


@app.callback()
def group() -> None:
    """The first block."""


@app.command()
def build(
    registry: Annotated[str, typer.Option(help="Address of the registry contract.")],
    rpc: Annotated[str, typer.Option(help="Ethereum JSON-RPC URL.")],
    output: Annotated[Path | None, typer.Option("-o", help="File; stdout when left out.")] = None,
    allow_forkable: Annotated[bool, typer.Option("--allow-forkable", help="Other sizes than 5, 6, 9: tests.")] = False,
) -> None:
    """genesis.json of the network whose registry this is, at Ethereum's finalized block."""
    from authnet_runtime.genesis import build_genesis

    with reporting(Output()):
        built = asyncio.run(build_genesis(rpc, registry, allow_forkable=allow_forkable))
        if output is not None:
            output.write_bytes(built)
        else:
            sys.stdout.buffer.write(built)
