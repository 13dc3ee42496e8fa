"""What `resolve` and `login` share: the network a folder names, and running the async SDK once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from authnet_core.errors import AuthnetError, Code

if TYPE_CHECKING:
    from authnet_client import Client, Network

T = TypeVar("T")
PATIENCE_S = 0.2
"""How long a command hears further nodes after the answer stands, to name those that lie or lag."""


def trusted_network(folder: Path, file: Path | None) -> Network:
    """The network of `--network FILE`, else of the localnet in `--dir`. Raises CONFIG or NETWORK_DOWN."""
    from authnet_client import Network

    if file is None:
        file = folder / "network.json"
        if not file.exists():
            text = f"there is no network in {folder}: start one with `authnet localnet up`, or name --network FILE"
            raise AuthnetError(Code.NETWORK_DOWN, text)
    return Network.from_file(file)


def with_client(network: Network, work: Callable[[Client], Awaitable[T]], timeout_s: float) -> T:
    """Run `work` with a client of `network`. Raises AuthnetError."""
    import anyio

    from authnet_client import Client

    async def run() -> T:
        async with Client(network, timeout_s=timeout_s) as client:
            return await work(client)

    return anyio.run(run)
