"""Where a localnet keeps things and which ports it uses: all derived from its folder, node count and base port."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DEFAULT_DIR = Path(".localnet")
DEFAULT_PORT = 8788
DEFAULT_NODES = 5
PORT_CEILING = 32_768
"""Above it the kernel hands ports out to anybody."""


@dataclass(frozen=True, slots=True)
class NodePorts:
    """The TCP ports of one node; the last two only where proxies stand between the nodes."""

    api: int
    p2p: int
    comet: int
    metrics: int
    p2p_proxy: int
    comet_proxy: int


@dataclass(frozen=True, slots=True)
class Places:
    """One localnet on this machine. `dir` is absolute."""

    dir: Path
    nodes: int
    base_port: int
    network_id: str
    proxied: bool = False
    """Whether nodes reach each other through proxies, which chaos can cut and slow down."""
    committees: dict[int, tuple[int, ...]] = field(default_factory=dict)
    """Epoch of the registry -> its nodes in party order, for each epoch after the first; the daemon adds to it."""
    retired: set[int] = field(default_factory=set)
    """Nodes of former committees that were stopped for good."""

    @property
    def front(self) -> str:
        return f"http://127.0.0.1:{self.base_port}"

    @property
    def eth_port(self) -> int:
        return self.base_port + 1

    @property
    def eth_rpc(self) -> str:
        return f"http://127.0.0.1:{self.eth_port}"

    @property
    def all_indexes(self) -> list[int]:
        """Every node there ever was: indexes go on counting."""
        return sorted({*self.committee(1), *(index for nodes in self.committees.values() for index in nodes)})

    @property
    def indexes(self) -> list[int]:
        """The nodes that should run."""
        return [index for index in self.all_indexes if index not in self.retired]

    def committee(self, epoch: int) -> tuple[int, ...]:
        """An epoch's nodes in party order; party j is at j - 1."""
        return tuple(range(1, self.nodes + 1)) if epoch == 1 else self.committees.get(epoch, ())

    def ports(self, index: int) -> NodePorts:
        first = self.base_port + 10 * index
        return NodePorts(first, first + 1, first + 2, first + 3, first + 4, first + 5)

    def all_ports(self) -> dict[int, str]:
        """Every TCP port and what it is for."""
        return {self.base_port: "front", self.eth_port: "Ethereum"} | self.ports_of(self.indexes)

    def ports_of(self, indexes: Iterable[int]) -> dict[int, str]:
        """Every TCP port of some nodes and what it is for."""
        used: dict[int, str] = {}
        for index in indexes:
            p = self.ports(index)
            used |= {p.api: f"node {index} api", p.p2p: f"node {index} libp2p"}
            used |= {p.comet: f"node {index} CometBFT", p.metrics: f"node {index} metrics"}
            if self.proxied:
                used |= {p.p2p_proxy: f"node {index} libp2p proxy", p.comet_proxy: f"node {index} CometBFT proxy"}
        return used

    def node_dir(self, index: int) -> Path:
        return self.dir / f"node{index}"

    @property
    def settings(self) -> Path:
        return self.dir / "localnet.json"

    @property
    def run(self) -> Path:
        return self.dir / "run"

    @property
    def daemon_sock(self) -> Path:
        return self.run / "daemon.sock"

    @property
    def daemon_pid(self) -> Path:
        return self.run / "daemon.pid"

    @property
    def links_sock(self) -> Path:
        """Where the proxies between the nodes take orders."""
        return self.run / "links.sock"

    @property
    def progress(self) -> Path:
        return self.run / "progress.jsonl"

    @property
    def logs(self) -> Path:
        return self.dir / "logs"

    @property
    def idp(self) -> Path:
        return self.dir / "idp"

    @property
    def eth(self) -> Path:
        return self.dir / "eth"

    @property
    def registry_file(self) -> Path:
        """{address, chain_id} of the deployed contract."""
        return self.eth / "registry.json"

    def registry(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads(self.registry_file.read_text())
        return loaded

    def save(self) -> None:
        """Write localnet.json: what `up` needs to resume."""
        for folder in (self.dir, self.run, self.logs, self.idp, self.eth):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        body = {
            "schema": 1,
            "nodes": self.nodes,
            "base_port": self.base_port,
            "network_id": self.network_id,
            "proxied": self.proxied,
            "committees": {str(epoch): list(nodes) for epoch, nodes in self.committees.items()},
            "retired": sorted(self.retired),
        }
        fresh = self.settings.with_suffix(".new")
        fresh.write_text(json.dumps(body, indent=1) + "\n")
        fresh.replace(self.settings)


def load(folder: Path) -> Places | None:
    """The localnet that lives in `folder`, running or not."""
    folder = folder.resolve()
    try:
        body = json.loads((folder / "localnet.json").read_text())
    except FileNotFoundError:
        return None
    proxied = body.get("proxied") is True
    committees = {int(epoch): tuple(nodes) for epoch, nodes in body.get("committees", {}).items()}
    retired = set(body.get("retired", ()))
    return Places(
        folder, int(body["nodes"]), int(body["base_port"]), str(body["network_id"]), proxied, committees, retired
    )
