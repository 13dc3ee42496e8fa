"""Make a node's folder: settings, the passphrase and the operator's Ethereum key.

No key of the node itself is made here: the keeper makes its identity key and epoch_manager CometBFT's keys at
their first start. Touches the new folder only.
"""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

DEV_LIMITS = """\
# All users of a local network come from one address.
new_keys_per_s = 50
new_keys_burst = 300
"""
EVERYTHING_ELSE = """
[keeper]
passphrase_file = "passphrase"
"""


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """What differs from node to node; host:port each."""

    network_id: str
    dev: bool
    eth_rpc: str
    registry: str
    eth_chain_id: int
    p2p: str
    api: str
    endpoint: str
    comet: str
    metrics: str
    binary: str = "cometbft"
    epoch: int = 1
    """The first epoch of the registry that the node is to be in."""
    p2p_announce: str = ""
    """Where others reach `p2p`, when it is not there."""
    comet_announce: str = ""
    extra: str = ""
    """More TOML for sections that are not written here."""


def create(folder: Path, settings: NodeSettings) -> None:
    """Make the folder or complete one; keys that exist are kept."""
    for name in ("", "run", "keeper", "abci", "epoch", "logs"):
        (folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)
    write_secret(folder / "passphrase", secrets.token_urlsafe(24))
    write_secret(folder / "eth.key", secrets.token_hex(32))
    # An operator's changes to the file stay.
    if not (folder / "node.toml").exists():
        (folder / "node.toml").write_text(render(settings))


def render(settings: NodeSettings) -> str:
    """The text of node.toml."""
    q = json.dumps
    return f"""\
[node]
network_id = {q(settings.network_id)}
dev = {q(settings.dev)}

[ethereum]
rpc = {q(settings.eth_rpc)}
registry = {q(settings.registry)}
chain_id = {settings.eth_chain_id}
key = "eth.key"
epoch = {settings.epoch}
poll_ms = {500 if settings.dev else 1000}

[p2p]
listen = {q(_multiaddr(settings.p2p))}
announce = {q(_multiaddr(settings.p2p_announce or settings.p2p))}

[api]
listen = {q(settings.api)}
endpoint = {q(settings.endpoint)}
{DEV_LIMITS if settings.dev else ""}
[cometbft]
p2p = {q(settings.comet)}
announce = {q(settings.comet_announce or settings.comet)}
binary = {q(settings.binary)}

[metrics]
listen = {q(settings.metrics)}
{EVERYTHING_ELSE}{settings.extra}"""


def _multiaddr(address: str) -> str:
    host, _, port = address.rpartition(":")
    return f"/ip4/{host}/tcp/{port}"


def write_secret(path: Path, text: str) -> None:
    """Write `text` readable by the owner only, unless the file is there."""
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        return
    with os.fdopen(handle, "w") as file:
        file.write(text + "\n")
