"""Several real CometBFTs, each with an application of its own; the applications share one thread of the test."""

from __future__ import annotations

import asyncio
import base64
import json
import signal
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx

from abci_app.abci.application import Application
from abci_app.abci.dispatch import Dispatcher
from abci_app.abci.server import serve
from authnet_core.crypto.secp256k1 import pub
from tests.component.abci.node import CONFIG, free_port, wait_until
from tests.unit.abci.world import NETWORK, secret


class Member:
    """One CometBFT: as a validator, or as a full node that may become one."""

    def __init__(self, folder: Path, cometbft: str) -> None:
        self.home, self.run = folder / "cometbft", folder / "run"
        self.run.mkdir(mode=0o700, parents=True)
        subprocess.run([cometbft, "init", "--home", self.home], check=True, capture_output=True)
        self.port = free_port()
        shown = subprocess.run([cometbft, "show-node-id", "--home", self.home], check=True, capture_output=True)
        self.address = f"{shown.stdout.decode().strip()}@127.0.0.1:{self.port}"
        self.genesis: dict[str, Any] = json.loads((self.home / "config/genesis.json").read_text())
        self.consensus = base64.b64decode(self.genesis["validators"][0]["pub_key"]["value"])
        self.app = Application(folder / "app")
        self._cometbft, self._log = cometbft, (folder / "log").open("ab")
        self._process: subprocess.Popen[bytes] | None = None
        transport = httpx.HTTPTransport(uds=str(self.run / "comet.sock"), verify=False)
        self._http = httpx.Client(transport=transport, base_url="http://comet", timeout=20)

    def start(self, genesis: dict[str, Any], peers: Sequence[str]) -> None:
        config = CONFIG.format(run=self.run, port=self.port)
        more = f'allow_duplicate_ip = true\npersistent_peers = "{",".join(p for p in peers if p != self.address)}"\n'
        config = config.replace("pex = false\n", "pex = false\n" + more)
        config = config.replace('interval = "5s"', 'interval = "1s"').replace('propose = "300ms"', 'propose = "1s"')
        (self.home / "config/config.toml").write_text(config)
        (self.home / "config/genesis.json").write_text(json.dumps(genesis))
        self._process = subprocess.Popen(
            [self._cometbft, "start", "--home", str(self.home)], stdout=self._log, stderr=self._log
        )

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

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

    def view(self, path: str) -> Any:
        response = self.rpc("abci_query", path=path)["response"]
        return json.loads(base64.b64decode(response["value"])) if response.get("value") else None

    def send(self, raw: bytes) -> int:
        return int(self.rpc("broadcast_tx_sync", tx=base64.b64encode(raw).decode()).get("code", -1))

    def validators(self, height: int) -> set[bytes]:
        found = self.rpc("validators", height=str(height), per_page="100")["validators"]
        assert all(item["voting_power"] == "1" for item in found)
        return {base64.b64decode(item["pub_key"]["value"]) for item in found}

    def signers(self, height: int) -> int:
        """How many signed the block of this height."""
        commit = self.rpc("commit", height=str(height))["signed_header"]["commit"]
        return sum(1 for signature in commit["signatures"] if signature["block_id_flag"] == 2)


class Network:
    """`validators` genesis members, each with a home; only those that are started take part."""

    def __init__(self, folder: Path, cometbft: str, count: int, validators: int, **params: int) -> None:
        self.members = [Member(folder / f"n{number}", cometbft) for number in range(1, count + 1)]
        self.genesis = self.members[0].genesis
        self.genesis["chain_id"] = f"{NETWORK}-1"
        self.genesis["consensus_params"]["block"]["max_bytes"] = "2097152"
        keys = [member.genesis["validators"][0] for member in self.members[:validators]]
        self.genesis["validators"] = [{**key, "power": "1"} for key in keys]
        self.genesis["app_state"] = {
            "network_id": NETWORK,
            "eth_chain_id": 31337,
            "registry": "0x00",
            "dev": True,
            "observers": [pub(secret("id", number)).hex() for number in range(1, validators + 1)],
            "params": params,
        }
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._served: list[Any] = []

    def start(self, numbers: Sequence[int]) -> None:
        peers = [self.members[number - 1].address for number in numbers]
        for number in numbers:
            member = self.members[number - 1]
            ready = threading.Event()
            served = serve(member.run / "abci.sock", Dispatcher(member.app), ready.set)
            self._served.append(asyncio.run_coroutine_threadsafe(served, self._loop))
            assert ready.wait(30)
            member.start(self.genesis, peers)
        first = self.members[numbers[0] - 1]
        wait_until(lambda: first.height() >= 1, "the first block", 60)

    def close(self) -> None:
        for member in self.members:
            member.close()
        for served in self._served:
            served.cancel()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        for member in self.members:
            member.app.close()
