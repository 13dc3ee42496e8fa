"""The local Ethereum chain: anvil with a state file, and the few dev calls that hurry it along.

Blocks come every second; a block is final two blocks later. During start-up blocks are mined as fast as
they are wanted, with timestamps that stay at the wall clock.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from authnet_core.errors import ConfigError
from localnet.places import Places

CHAIN_ID = 31_337
MODULES = Path(__file__).resolve().parent.parent / "contracts" / "node_modules" / "@foundry-rs"


def binary() -> Path:
    """The pinned anvil of contracts/. Raises ConfigError when set-up did not run."""
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    path = MODULES / f"anvil-{platform.system().lower()}-{machine}" / "bin" / "anvil"
    if not path.exists():
        raise ConfigError("localnet: anvil is not installed; run `make setup`")
    return path


def start(places: Places, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start anvil, resuming from its state file. It dies with this process."""
    argv = [sys.executable, "-P", "-m", "localnet.tether", str(binary())]
    argv += ["--host", "127.0.0.1", "--port", str(places.eth_port), "--chain-id", str(CHAIN_ID)]
    argv += ["--block-time", "1", "--slots-in-an-epoch", "1"]
    argv += ["--state", str(places.eth / "state.json"), "--state-interval", "1"]
    with (places.logs / "anvil.log").open("ab") as log:
        return subprocess.Popen(
            argv,
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def call(rpc: str, method: str, *params: Any, timeout: float = 5.0) -> Any:
    """One JSON-RPC call. Raises OSError when the chain is not there, ValueError when it refuses."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)})
    url = urlsplit(rpc)
    connection = HTTPConnection(url.hostname or "127.0.0.1", url.port, timeout=timeout)
    try:
        connection.request("POST", "/", body, {"content-type": "application/json"})
        answer = json.load(connection.getresponse())
    except HTTPException as error:
        raise OSError(str(error)) from None
    finally:
        connection.close()
    if "error" in answer:
        raise ValueError(f"{method}: {answer['error'].get('message', '')}")
    return answer["result"]


def wait_up(rpc: str, timeout_s: float = 20.0) -> None:
    """Return when the chain answers. Raises TimeoutError."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        try:
            call(rpc, "eth_chainId", timeout=1.0)
        except (OSError, ValueError):
            time.sleep(0.03)
            continue
        return
    raise TimeoutError("anvil does not answer; see logs/anvil.log")


def fund(rpc: str, address: str) -> None:
    """Give `address` 1000 ether for gas."""
    call(rpc, "anvil_setBalance", address, hex(10**21))


def mine(rpc: str) -> None:
    """One block now, if the chain is there."""
    try:
        call(rpc, "evm_mine", timeout=1.0)
    except (OSError, ValueError):
        return
