"""Options that many commands share, and how they reach a local network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from authnet_core.errors import AuthnetError, Code
from authnet_runtime.rpc_once import call_once
from localnet import places
from localnet.places import Places

Dir = Annotated[Path, typer.Option("--dir", help="Folder of the local network.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
NodeIndex = Annotated[int, typer.Argument(metavar="NODE", help="Node, 1 to n.")]
DEFAULT_DIR = places.DEFAULT_DIR


def local_network(folder: Path) -> Places:
    """The localnet laid out in `folder`. Raises AuthnetError(NETWORK_DOWN)."""
    found = places.load(folder)
    if found is None:
        raise AuthnetError(Code.NETWORK_DOWN, f"there is no local network in {folder}; start one: authnet localnet up")
    return found


def ask_daemon(folder: Path, method: str, params: dict[str, Any] | None = None, timeout: float = 20.0) -> Any:
    """A call to the localnet's daemon. Raises AuthnetError (NETWORK_DOWN when it does not run)."""
    found = local_network(folder)
    try:
        return call_once(found.daemon_sock, method, params, timeout=timeout)
    except AuthnetError as error:
        if error.code is Code.UNAVAILABLE and not found.daemon_sock.exists():
            text = f"the local network in {found.dir} is not running; start it: authnet localnet up"
            raise AuthnetError(Code.NETWORK_DOWN, text) from None
        raise


def node_run(folder: Path, index: int) -> Path:
    """A node's run/ folder. Raises AuthnetError(BAD_PARAMS)."""
    found = local_network(folder)
    if index not in found.indexes:
        raise AuthnetError(Code.BAD_PARAMS, f"running nodes are {', '.join(map(str, found.indexes))}")
    return found.node_dir(index) / "run"
