"""One real CometBFT validator with one real abci_app process: started, killed and asked by the tests."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from authnet_core.crypto.secp256k1 import pub
from tests.unit.abci.world import NETWORK, secret

CONFIG = """
proxy_app = "unix://{run}/abci.sock"
moniker = "one"
log_level = "error"
db_backend = "goleveldb"
[rpc]
laddr = "unix://{run}/comet.sock"
[p2p]
laddr = "tcp://127.0.0.1:{port}"
pex = false
addr_book_strict = false
[mempool]
size = 20000
cache_size = 40000
max_tx_bytes = 131072
[consensus]
timeout_propose = "300ms"
timeout_prevote = "100ms"
timeout_precommit = "100ms"
timeout_commit = "20ms"
skip_timeout_commit = true
create_empty_blocks = false
create_empty_blocks_interval = "5s"
[tx_index]
indexer = "null"
"""
NODE_TOML = """
[node]
network_id = "{network}"
dev = true
[ethereum]
rpc = "http://127.0.0.1:1"
registry = "0x0000000000000000000000000000000000000000"
chain_id = 31337
[p2p]
listen = "/ip4/127.0.0.1/tcp/1"
[api]
listen = "127.0.0.1:1"
endpoint = "http://127.0.0.1:1"
[cometbft]
p2p = "127.0.0.1:1"
"""


def find_cometbft() -> str | None:
    """The pinned binary: from the environment, where `make setup` puts it, or on the path."""
    if chosen := os.environ.get("AUTHNET_COMETBFT"):
        return chosen
    installed = Path(__file__).parents[3] / ".cache/bin/cometbft"
    return str(installed) if installed.exists() else shutil.which("cometbft")


def wait_until(check: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
    """Poll `check`; fail loudly."""
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, f"timed out: {what}"
        time.sleep(0.02)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Node:
    """A chain of one member. Its app state survives kills, its processes do not."""

    def __init__(self, folder: Path, cometbft: str) -> None:
        self.folder, self.binary = folder, cometbft
        self.home = folder / "cometbft"
        self.run = folder / "run"
        self.app: subprocess.Popen[bytes] | None = None
        self.comet: subprocess.Popen[bytes] | None = None
        self._log = (folder / "log").open("ab")
        subprocess.run([cometbft, "init", "--home", self.home], check=True, capture_output=True)
        self.run.mkdir(mode=0o700)
        transport = httpx.HTTPTransport(uds=str(self.run / "comet.sock"), verify=False)
        self._http = httpx.Client(transport=transport, base_url="http://comet", timeout=5)
        (folder / "node.toml").write_text(NODE_TOML.format(network=NETWORK))
        self.port = free_port()
        config = CONFIG.format(run=self.run, port=self.port)
        (self.home / "config/config.toml").write_text(config)
        self._write_genesis()

    def _write_genesis(self) -> None:
        path = self.home / "config/genesis.json"
        genesis: dict[str, Any] = json.loads(path.read_text())
        genesis["chain_id"] = f"{NETWORK}-1"
        genesis["consensus_params"]["block"]["max_bytes"] = "2097152"
        genesis["validators"][0]["power"] = "1"
        self.consensus = base64.b64decode(genesis["validators"][0]["pub_key"]["value"])
        genesis["app_state"] = {
            "network_id": NETWORK,
            "eth_chain_id": 31337,
            "registry": "0x00",
            "dev": True,
            "observers": [pub(secret("id", 1)).hex()],
            "params": {"allow_forkable": 1, "quota": 100_000},
        }
        self.app_state = json.dumps(genesis["app_state"]).encode()
        path.write_text(json.dumps(genesis))

    def start_app(self, **environment: str) -> None:
        command = [sys.executable, "-m", "abci_app", str(self.folder / "node.toml")]
        self.app = subprocess.Popen(
            command, env={**os.environ, **environment}, stderr=self._log, cwd=Path.cwd(), stdout=self._log
        )
        wait_until(lambda: self._listens(self.app), "abci_app listens")

    def _listens(self, process: subprocess.Popen[bytes] | None) -> bool:
        assert process is not None
        assert process.poll() is None, "abci_app ended while starting"
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.run / "abci.sock")) == 0

    def start_comet(self, **environment: str) -> None:
        # CometBFT does not remove the socket that a killed predecessor left.
        (self.run / "comet.sock").unlink(missing_ok=True)
        self.comet = subprocess.Popen(
            [self.binary, "start", "--home", str(self.home)],
            env={**os.environ, **environment},
            stdout=self._log,
            stderr=self._log,
        )

    def start(self, **of_app: str) -> None:
        self.start_app(**of_app)
        self.start_comet()

    def stop(self) -> None:
        """Kill both, as a crash would."""
        for process in (self.comet, self.app):
            if process is not None and process.poll() is None:
                process.send_signal(signal.SIGKILL)
                process.wait()

    def close(self) -> None:
        self.stop()
        self._http.close()
        self._log.close()

    def rpc(self, method: str, **params: Any) -> dict[str, Any]:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        answer: dict[str, Any] = self._http.post("/", json=body).json()
        result: dict[str, Any] = answer.get("result", answer)
        return result

    def height(self) -> int:
        try:
            return int(self.rpc("status")["sync_info"]["latest_block_height"])
        except (httpx.HTTPError, OSError, KeyError):
            return -1

    def send(self, raw: bytes) -> int:
        """broadcast_tx_sync; the code of CheckTx, or -1 when nobody answers."""
        try:
            result = self.rpc("broadcast_tx_sync", tx=base64.b64encode(raw).decode())
        except (httpx.HTTPError, OSError):
            return -1
        return int(result.get("code", -1))

    def query(self, path: str, height: int = 0, prove: bool = False) -> dict[str, Any]:
        response: dict[str, Any] = self.rpc("abci_query", path=path, height=str(height), prove=prove)["response"]
        return response

    def view(self, path: str) -> Any:
        response = self.query(path)
        return json.loads(base64.b64decode(response["value"])) if response.get("value") else None
