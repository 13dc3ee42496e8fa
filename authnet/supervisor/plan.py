"""What a node runs, in which order, and what each program waits for.

Registration needs p2p_dkg and epoch_manager alone, before any chain exists; epoch_manager writes genesis.json;
then the chain's pair starts, abci_app first (cometbft tries a missing socket again only after 3 s).
"""

from __future__ import annotations

import shlex
import socket
import sys
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from authnet.supervisor import comet_config
from authnet.supervisor.children import Child, Program

PAIR = frozenset({"abci_app", "cometbft"})
"""End and start together: cometbft ends itself when one of its four ABCI connections drops."""
ORDER = ("p2p_dkg", "epoch_manager", "abci_app", "cometbft", "node_api")
YIELDS = {"epoch_manager": 10}
"""What drives hand-overs is in no hurry, and nobody waits for it."""
SOCKETS = {
    "p2p_dkg": ("api.sock", "ops.sock"),
    "epoch_manager": ("epoch.sock",),
    "abci_app": ("abci.sock", "read.sock"),
    "cometbft": ("comet.sock",),
    "node_api": (),
}


class PlanError(Exception):
    """The node's folder does not allow a start; the message says why."""


@dataclass(frozen=True, slots=True)
class Node:
    """The node's folder and the few settings supervision needs."""

    folder: Path
    toml: dict[str, Any]

    @property
    def genesis(self) -> Path:
        return self.folder / "genesis.json"

    @property
    def comet_key(self) -> Path:
        """The last of CometBFT's key files that epoch_manager makes; CometBFT would make some of its own."""
        return self.folder / "cometbft" / "config" / "node_key.json"

    def socket(self, name: str) -> Path:
        return self.folder / "run" / name


def load(config: Path) -> Node:
    """Read node.toml; the processes check it in full. Raises PlanError."""
    config = config.resolve()
    try:
        toml = tomllib.loads(config.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PlanError(f"{config}: {error}") from None
    for name in ("run", "logs"):
        (config.parent / name).mkdir(mode=0o700, exist_ok=True)
    return Node(config.parent, toml)


def children(node: Node, programs: Mapping[str, str] = MappingProxyType({})) -> dict[str, Child]:
    """The five children in start order, none started.

    `programs`: for tests of a development network, a Python file with its arguments to run in the place of a process.
    Raises PlanError for them on any other network: a node runs what was installed.
    """
    if programs and node.toml.get("node", {}).get("dev") is not True:
        raise PlanError("--program: only for a node of a development network (node.dev = true)")
    users: dict[str, str] = node.toml.get("user", {})
    config = str(node.folder / "node.toml")
    binary = str(node.toml.get("cometbft", {}).get("binary", "cometbft"))
    made = {}
    for name in ORDER:
        ours = name != "cometbft"
        module = ("-P", *shlex.split(programs[name])) if name in programs else ("-P", "-m", name)
        argv = (sys.executable, *module, config) if ours else (binary, "start", "--home", "cometbft")
        program = Program(name, argv, tethered=ours, user=users.get(name, ""), yields=YIELDS.get(name, 0))
        made[name] = Child(program, node.folder)
    return made


def may_start(name: str, node: Node, running: Callable[[str], bool]) -> bool:
    """Whether what `name` stands on is there."""
    match name:
        case "abci_app":
            return node.genesis.exists()
        case "cometbft":
            return node.comet_key.exists() and running("abci_app") and _accepts(node.socket("abci.sock"))
        case "node_api":
            return running("cometbft")
        case _:
            return True


def before_start(name: str, node: Node) -> None:
    """Remove what an earlier life left behind, write what the program reads."""
    for stale in SOCKETS[name]:
        node.socket(stale).unlink(missing_ok=True)
    if name == "cometbft":
        comet_config.write(node.folder, node.toml)


def _accepts(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True
