"""cometbft's config.toml, written from node.toml before each start. Keys that are left out keep its defaults.

Paths are relative to the node's folder, in which cometbft runs, so that a folder can be moved.
"""

from __future__ import annotations

import json
from pathlib import Path
from string import Template
from typing import Any

PEERS_FILE = "peers.txt"
"""In cometbft/config: one id@host:port per line, written when the committee is known."""

TRUST_FILE = "trust.json"
"""In cometbft/config of a node that joins by state sync: {height, hash, servers}, written before genesis.json."""

QUIET = "consensus:error,state:error,*:info"
"""Without the several lines of each block."""

TEMPLATE = Template("""\
proxy_app = "unix://run/abci.sock"
moniker = "$moniker"
genesis_file = "../genesis.json"
log_level = "$log_level"
log_format = "json"
filter_peers = false

[rpc]
laddr = "unix://run/comet.sock"
unsafe = false
pprof_laddr = ""
max_body_bytes = 1000000
max_open_connections = 200

[p2p]
laddr = "tcp://$listen"
external_address = "$announce"
persistent_peers = "$peers"
unconditional_peer_ids = "$peer_ids"
persistent_peers_max_dial_period = "1s"
addr_book_strict = false
allow_duplicate_ip = true
pex = false
flush_throttle_timeout = "5ms"
send_rate = 20000000
recv_rate = 20000000

[mempool]
size = 20000
cache_size = 40000
max_tx_bytes = 131072
max_txs_bytes = 67108864

[consensus]
timeout_propose = "${propose}ms"
timeout_propose_delta = "100ms"
timeout_prevote = "${vote}ms"
timeout_prevote_delta = "50ms"
timeout_precommit = "${vote}ms"
timeout_precommit_delta = "50ms"
timeout_commit = "${commit}ms"
skip_timeout_commit = true
peer_gossip_sleep_duration = "${gossip}ms"
peer_query_maj23_sleep_duration = "1s"
create_empty_blocks = false
create_empty_blocks_interval = "$empty_blocks"
double_sign_check_height = 0

$statesync
[storage]
discard_abci_responses = true

[tx_index]
indexer = "null"

[instrumentation]
prometheus = false
""")

GOSSIP_MS, GOSSIP_MS_A_PEER = 30, 5
"""CometBFT looks so often whether one of its peers lacks a vote or a part of a block, for each peer: with many of them,
as in a hand-over, a node would spend more time looking than working."""

STATE_SYNC = Template("""\
[statesync]
enable = true
rpc_servers = "$servers"
trust_height = $height
trust_hash = "$hash"
trust_period = "168h0m0s"
discovery_time = "5s"
chunk_request_timeout = "10s"
chunk_fetchers = "4"
""")


def write(folder: Path, toml: dict[str, Any]) -> None:
    """Write cometbft/config/config.toml of the node in `folder`."""
    config = folder / "cometbft" / "config"
    trust = _state_sync(config / TRUST_FILE, toml)
    (config / "config.toml").write_text(render(folder.name, toml, _peers(config / PEERS_FILE), trust))


def has_new_peers(folder: Path) -> bool:
    """Whether the peers were written after the config.toml that CometBFT reads at its start."""
    config = folder / "cometbft" / "config"
    try:
        return (config / PEERS_FILE).stat().st_mtime_ns > (config / "config.toml").stat().st_mtime_ns
    except FileNotFoundError:
        return False


def render(moniker: str, toml: dict[str, Any], peers: list[str], state_sync: str = "") -> str:
    """The text of config.toml."""
    comet: dict[str, Any] = toml.get("cometbft", {})
    return TEMPLATE.substitute(
        moniker=moniker,
        log_level="error" if toml.get("node", {}).get("log_level") == "error" else QUIET,
        listen=comet["p2p"],
        announce=comet.get("announce") or comet["p2p"],
        peers=",".join(peers),
        peer_ids=",".join(peer.partition("@")[0] for peer in peers),
        propose=comet.get("timeout_propose_ms", 300),
        vote=comet.get("timeout_vote_ms", 100),
        commit=comet.get("timeout_commit_ms", 50),
        gossip=max(GOSSIP_MS, GOSSIP_MS_A_PEER * len(peers)),
        statesync=state_sync,
        empty_blocks=f"{int(float(comet.get('empty_blocks_s', 5.0)) * 1000)}ms",
    )


def _peers(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []


def _state_sync(path: Path, toml: dict[str, Any]) -> str:
    """The section for a node that asks for a state; CometBFT heeds it only while it has no block.

    Without a trusted block (genesis.json was put there by hand) all blocks are synced.
    """
    if not toml.get("cometbft", {}).get("state_sync", False) or not path.exists():
        return ""
    trust: dict[str, Any] = json.loads(path.read_text())
    servers = ",".join(trust["servers"])
    return STATE_SYNC.substitute(servers=servers, height=int(trust["height"]), hash=trust["hash"])
