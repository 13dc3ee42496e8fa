"""Make the folders of all nodes of a localnet: ports and addresses from `places`, keys by their owners."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from authnet_core.errors import ConfigError
from authnet_runtime import node_folder
from authnet_runtime.node_folder import NodeSettings
from localnet import deploy, ethereum
from localnet.places import Places

MOVED = ("genesis.json", "genesis.export")
SHARED_BINARY = Path(__file__).resolve().parent.parent / ".cache" / "bin" / "cometbft"


def comet_binary() -> str:
    """The cometbft of set-up, else the one in PATH. Raises ConfigError."""
    if SHARED_BINARY.exists():
        return str(SHARED_BINARY)
    if (found := shutil.which("cometbft")) is None:
        raise ConfigError("localnet: cometbft is not installed; run `make setup`")
    return found


def settings(places: Places, index: int, extra: str = "", epoch: int = 1) -> NodeSettings:
    """Node `index` of the localnet, which comes with `epoch`."""
    ports = places.ports(index)
    registry = deploy.registry_address(deploy.address_of(deploy.owner_key(places)))
    return NodeSettings(
        network_id=places.network_id,
        dev=True,
        eth_rpc=places.eth_rpc,
        registry=registry,
        eth_chain_id=ethereum.CHAIN_ID,
        p2p=f"127.0.0.1:{ports.p2p}",
        api=f"127.0.0.1:{ports.api}",
        endpoint=f"http://127.0.0.1:{ports.api}",
        comet=f"127.0.0.1:{ports.comet}",
        metrics=f"127.0.0.1:{ports.metrics}",
        p2p_announce=f"127.0.0.1:{ports.p2p_proxy}" if places.proxied else "",
        comet_announce=f"127.0.0.1:{ports.comet_proxy}" if places.proxied else "",
        binary=comet_binary(),
        epoch=epoch,
        extra=extra,
    )


def make_all(places: Places, extra: str = "") -> None:
    """Make every node's folder; a second call keeps keys. Raises ConfigError."""
    with ThreadPoolExecutor(2) as pool:
        jobs = [
            pool.submit(node_folder.create, places.node_dir(index), settings(places, index, extra))
            for index in places.indexes
        ]
        for job in jobs:
            job.result()


def make_later(places: Places, indexes: Sequence[int], epoch: int) -> None:
    """Folders of nodes that come with a later epoch; they derive the genesis from the same parameters as node 1.

    Where the chain went on from an export, nothing on Ethereum says so: they are given what it began with.
    """
    params = places.node_dir(1) / "genesis_params.json"
    given = [*([params] if params.exists() else []), *_moved_genesis(places)]
    for index in indexes:
        node_folder.create(places.node_dir(index), settings(places, index, epoch=epoch))
        for path in given:
            shutil.copy(path, places.node_dir(index))


def _moved_genesis(places: Places) -> list[Path]:
    """genesis.json and genesis.export of a running node, if it has both."""
    for index in places.indexes:
        found = [places.node_dir(index) / name for name in MOVED]
        if all(path.exists() for path in found):
            return found
    return []
