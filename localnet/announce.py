"""The registry owner of a localnet announces an epoch, or calls one off. A process of its own, as the deployment is.

python -m localnet.announce DIR EPOCH [NOTICE_S]    open EPOCH for the nodes that localnet.json names
python -m localnet.announce DIR abort EPOCH
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from authnet_core.errors import AuthnetError
from authnet_core.protocol.committee import Committee
from localnet import ethereum
from localnet.deploy import address_of, owner_key, read_key
from localnet.places import Places, load


async def announce(places: Places, epoch: int, notice_s: int) -> None:
    """Open `epoch` and allow its nodes' operators, in party order. Raises AuthnetError if it has another number."""
    from authnet_runtime.ethereum import Ethereum
    from authnet_runtime.registry import Registry
    from localnet.registry_admin import RegistryAdmin

    operators = [address_of(read_key(places.node_dir(index) / "eth.key")) for index in places.committee(epoch)]
    for address in operators:
        ethereum.fund(places.eth_rpc, address)
    async with Ethereum(places.eth_rpc) as eth:
        admin = RegistryAdmin(eth, owner_key(places))
        registry = Registry(eth, places.registry()["address"])
        await admin.open_epoch(registry, epoch, Committee.of(len(operators)), operators, notice_s=notice_s)


async def abort(places: Places, epoch: int) -> None:
    """Call `epoch` off. Raises AuthnetError."""
    from authnet_runtime.ethereum import Ethereum
    from authnet_runtime.registry import Registry
    from localnet.registry_admin import RegistryAdmin

    async with Ethereum(places.eth_rpc) as eth:
        admin = RegistryAdmin(eth, owner_key(places))
        await admin.abort_epoch(Registry(eth, places.registry()["address"]), epoch)


def main(argv: list[str]) -> str | int:
    """The exit code, or the reason on stderr."""
    places = load(Path(argv[0]))
    if places is None:
        return "no localnet.json there"
    try:
        if argv[1] == "abort":
            asyncio.run(abort(places, int(argv[2])))
        else:
            asyncio.run(announce(places, int(argv[1]), int(argv[2]) if len(argv) > 2 else 0))
    except AuthnetError as refusal:
        return f"{refusal.code.value}: {refusal.message}"
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
