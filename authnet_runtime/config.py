"""One TOML file per node, read into frozen structures; an error names the setting by its dotted key.

Relative paths are taken from the folder of the file. Reads the file and nothing else.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from authnet_core.errors import ConfigError

SOCKET_PATH_LIMIT = 100
"""sun_path holds 108 bytes on Linux; the longest name below run/ needs the rest."""


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the file; unknown keys are an error, so that a typo never goes unnoticed."""


class NodeSection(Section, frozen=True, kw_only=True):
    network_id: str
    dev: bool = False
    log_level: str = "info"


class EthereumSection(Section, frozen=True, kw_only=True):
    rpc: str
    registry: str
    chain_id: int
    key: str = "eth.key"
    epoch: int = 1
    poll_ms: int = 1000


class P2pSection(Section, frozen=True, kw_only=True):
    listen: str
    announce: str = ""


class ApiSection(Section, frozen=True, kw_only=True):
    listen: str
    endpoint: str
    rate_per_s: float = 50.0
    burst: int = 300
    new_keys_per_s: float = 1.0
    new_keys_burst: int = 60
    """Accounts that look-ups of one address may have assigned; half a member's look-up quota a minute."""
    max_body: int = 65_536
    max_connections: int = 512
    body_timeout_s: float = 10.0
    proxies: tuple[str, ...] = ()
    """Addresses whose X-Forwarded-For is believed."""


class CometSection(Section, frozen=True, kw_only=True):
    p2p: str
    announce: str = ""
    """host:port at which other nodes reach `p2p`, where that is another address."""
    binary: str = "cometbft"
    timeout_propose_ms: int = 300
    timeout_vote_ms: int = 100
    timeout_commit_ms: int = 50
    empty_blocks_s: float = 5.0
    snapshot_s: float = 60.0
    """Of block time, between two states that joining nodes can have from this one."""
    state_sync: bool = False
    """Whether a node without blocks asks for such a state, in place of all blocks."""


class MetricsSection(Section, frozen=True, kw_only=True):
    listen: str = ""


class KeeperSection(Section, frozen=True, kw_only=True):
    passphrase_file: str = "passphrase"
    scrypt_n: int = 32_768


class Users(Section, frozen=True, kw_only=True):
    """Which user each process runs as; empty means the user who starts them all."""

    abci_app: str = ""
    p2p_dkg: str = ""
    epoch_manager: str = ""
    node_api: str = ""


class NodeToml(Section, frozen=True, kw_only=True):
    node: NodeSection
    ethereum: EthereumSection
    p2p: P2pSection
    api: ApiSection
    cometbft: CometSection
    metrics: MetricsSection = MetricsSection()
    keeper: KeeperSection = KeeperSection()
    user: Users = Users()


class NodeConfig(msgspec.Struct, frozen=True):
    """A node's configuration and the places derived from it."""

    dir: Path
    toml: NodeToml

    @property
    def run(self) -> Path:
        return self.dir / "run"

    @property
    def read_sock(self) -> Path:
        return self.run / "read.sock"

    @property
    def api_sock(self) -> Path:
        return self.run / "api.sock"

    @property
    def ops_sock(self) -> Path:
        return self.run / "ops.sock"

    @property
    def abci_sock(self) -> Path:
        return self.run / "abci.sock"

    @property
    def comet_sock(self) -> Path:
        return self.run / "comet.sock"

    @property
    def epoch_sock(self) -> Path:
        return self.run / "epoch.sock"

    @property
    def genesis(self) -> Path:
        return self.dir / "genesis.json"

    @property
    def passphrase_file(self) -> Path:
        return self.dir / self.toml.keeper.passphrase_file

    @property
    def eth_key(self) -> Path:
        return self.dir / self.toml.ethereum.key


def _dotted(error: msgspec.ValidationError) -> str:
    """Turn "Expected `int` - at `$.api.burst`" into "api.burst: expected `int`"."""
    text, _, place = str(error).partition(" - at `$.")
    key = place.rstrip("`") or "node.toml"
    return f"{key}: {text[:1].lower()}{text[1:]}"


def _check(toml: NodeToml) -> None:
    """Rules that types can not say. Raises ConfigError naming the key."""
    if not 2 <= toml.keeper.scrypt_n <= 2**15 or toml.keeper.scrypt_n & (toml.keeper.scrypt_n - 1):
        raise ConfigError("keeper.scrypt_n: must be a power of two up to 32768")
    for rate, burst in (("rate_per_s", "burst"), ("new_keys_per_s", "new_keys_burst")):
        if not 0 < getattr(toml.api, rate) < float("inf") or getattr(toml.api, burst) < 1:
            raise ConfigError(f"api.{rate}: rate and burst must be positive")
    for key, address in (("api.listen", toml.api.listen), ("cometbft.p2p", toml.cometbft.p2p)):
        split_address(address, key)
    if toml.cometbft.announce:
        split_address(toml.cometbft.announce, "cometbft.announce")
    if toml.metrics.listen:
        split_address(toml.metrics.listen, "metrics.listen")
    if not 0.001 <= toml.cometbft.snapshot_s < float("inf"):
        raise ConfigError("cometbft.snapshot_s: must be positive")
    endpoint = urlsplit(toml.api.endpoint)
    if endpoint.scheme not in ("http", "https") or not endpoint.hostname:
        raise ConfigError("api.endpoint: must be an http or https URL")


def split_address(address: str, key: str = "address") -> tuple[str, int]:
    """Split "host:port". Raises ConfigError naming `key`."""
    host, _, port = address.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise ConfigError(f"{key}: {address!r} is not host:port")
    return host.strip("[]"), int(port)


def parse_node(text: str, folder: Path) -> NodeConfig:
    """Read the text of a node.toml that lies in `folder`. Raises ConfigError."""
    try:
        raw: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"node.toml: {error}") from None
    try:
        toml = msgspec.convert(raw, NodeToml)
    except msgspec.ValidationError as error:
        raise ConfigError(_dotted(error)) from None
    _check(toml)
    if len(str(folder / "run")) > SOCKET_PATH_LIMIT - 12:
        raise ConfigError(f"node.dir: {folder} is too long a path for unix sockets; use a shorter one")
    return NodeConfig(folder, toml)


def load_node(path: Path) -> NodeConfig:
    """Read a node's configuration from its node.toml. Raises ConfigError."""
    path = path.resolve()
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path.name}: can not be read: {error}") from None
    return parse_node(text, path.parent)
