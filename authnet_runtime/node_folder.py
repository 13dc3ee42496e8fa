"""Make a node's folder: settings, the passphrase and the Ethereum key, and the keys cometbft makes for itself.

The node identity key is not made here: the keeper makes it at its first start and never shows it.
Touches the new folder only; runs `cometbft init`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
import subprocess
from dataclasses import dataclass
from pathlib import Path

from authnet_core.errors import ConfigError

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
    extra: str = ""
    """More TOML for sections that are not written here."""


def create(folder: Path, settings: NodeSettings) -> None:
    """Make the folder or complete one; keys that exist are kept. Raises ConfigError."""
    for name in ("", "run", "keeper", "abci", "epoch", "logs"):
        (folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)
    write_secret(folder / "passphrase", secrets.token_urlsafe(24))
    write_secret(folder / "eth.key", secrets.token_hex(32))
    _init_comet(folder / "cometbft", settings.binary)
    (folder / "node.toml").write_text(render(settings))


def render(settings: NodeSettings) -> str:
    """The text of node.toml."""
    host, _, port = settings.p2p.rpartition(":")
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
epoch = 1
poll_ms = {250 if settings.dev else 1000}

[p2p]
listen = {q(f"/ip4/{host}/tcp/{port}")}
announce = {q(f"/ip4/{host}/tcp/{port}")}

[api]
listen = {q(settings.api)}
endpoint = {q(settings.endpoint)}

[cometbft]
p2p = {q(settings.comet)}
binary = {q(settings.binary)}

[metrics]
listen = {q(settings.metrics)}
{EVERYTHING_ELSE}{settings.extra}"""


def write_secret(path: Path, text: str) -> None:
    """Write `text` readable by the owner only, unless the file is there."""
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        return
    with os.fdopen(handle, "w") as file:
        file.write(text + "\n")


def comet_id(folder: Path) -> str:
    """CometBFT's node id of the node in `folder`: the address of its node key."""
    body = json.loads((folder / "cometbft" / "config" / "node_key.json").read_text())
    public = base64.b64decode(body["priv_key"]["value"])[32:]
    return hashlib.sha256(public).digest()[:20].hex()


def _init_comet(home: Path, binary: str) -> None:
    if (home / "config" / "priv_validator_key.json").exists():
        return
    try:
        argv = [binary, "init", "--home", str(home)]
        run = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=60)
    except OSError as error:
        raise ConfigError(f"cometbft.binary: {binary} can not be run: {error.strerror}") from None
    if run.returncode != 0:
        raise ConfigError(f"cometbft.binary: init failed: {run.stderr.strip()[-200:]}")
    # Made for a chain of one; ours comes from the registry.
    (home / "config" / "genesis.json").unlink(missing_ok=True)
