"""abci_app's ASSIGN per second as a ratio to CometBFT's own kvstore over the same kind of socket.

Two chains of one validator each, the same CometBFT, configuration, transaction size and loader; `abci-cli kvstore` is
out of process too, so that the ratio is of the applications. Rounds alternate between the two, so that whatever else
the machine does falls on both.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from authnet.supervisor import comet_config
from authnet_runtime.genesis import BLOCK_MAX_BYTES
from bench import preload
from bench.figures import median
from bench.tx_load import LoadRun, Rpc, height_of, request_of, run_load

BIN = Path(__file__).resolve().parent.parent / ".cache" / "bin"
APP, KVSTORE = "abci_app", "kvstore"


@dataclass(frozen=True)
class Ratio:
    """Medians of the rounds, and each round's pair."""

    kvstore_tx_s: float
    app_tx_s: float
    ratio: float
    rounds: tuple[tuple[float, float], ...]
    refused: int

    def as_json(self) -> dict[str, Any]:
        return {
            "tx_s": round(self.app_tx_s, 1),
            "ratio": round(self.ratio, 3),
            "rounds": [[round(kv, 1), round(app, 1)] for kv, app in self.rounds],
            "refused": self.refused,
        }


@dataclass
class Chain:
    """One validator and its application, in a folder."""

    name: str
    folder: Path
    processes: list[subprocess.Popen[bytes]]

    @property
    def socket(self) -> Path:
        return self.folder / "run" / "comet.sock"

    def stop(self) -> None:
        for process in reversed(self.processes):
            process.terminate()
        for process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def measure(rounds: int = 5, count: int = 3000) -> Ratio:
    """Alternate `rounds` loads of `count` transactions on each chain."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="authnet-bench-")))
        kv = stack.enter_context(_running(KVSTORE, folder / "kv", 26_000))
        app = stack.enter_context(_running(APP, folder / "app", 26_010))
        return asyncio.run(_rounds(kv, app, rounds, count))


async def _rounds(kv: Chain, app: Chain, rounds: int, count: int) -> Ratio:
    await _load(kv, -1, count // 4)
    await _load(app, -1, count // 4)
    pairs, refused = [], 0
    for number in range(rounds):
        ours_first = number % 2 == 1
        order = (app, kv) if ours_first else (kv, app)
        runs = {chain.name: await _load(chain, number, count) for chain in order}
        refused += sum(run.refused for run in runs.values())
        pairs.append((runs[KVSTORE].per_s, runs[APP].per_s))
    kv_rate, app_rate = median([p[0] for p in pairs]), median([p[1] for p in pairs])
    return Ratio(kv_rate, app_rate, median([a / k for k, a in pairs if k]), tuple(pairs), refused)


async def _load(chain: Chain, number: int, count: int) -> LoadRun:
    probe = Rpc(chain.socket)
    height = await height_of(probe)
    probe.close()
    label = f"{number}"
    txs = [preload.assign_tx(preload.account(label, i), height) for i in range(count)]
    if chain.name == KVSTORE:
        # The same size: a key that differs from its first byte on, and text up to the length of an ASSIGN.
        txs = [_pair(preload.account(label, i), len(tx)) for i, tx in enumerate(txs)]
    return await run_load(chain.socket, [request_of(tx) for tx in txs])


def _pair(name: bytes, size: int) -> bytes:
    head = name.hex().encode() + b"="
    return head + b"v" * (size - len(head))


@contextmanager
def _running(name: str, folder: Path, port: int) -> Iterator[Chain]:
    chain = Chain(name, folder, [])
    _lay_out(name, folder, port)
    try:
        _start(chain)
        yield chain
    finally:
        chain.stop()


def _lay_out(name: str, folder: Path, port: int) -> None:
    """Keys by `cometbft init`, the configuration that nodes run with, one genesis form for both."""
    for part in ("run", "logs", "abci"):
        (folder / part).mkdir(parents=True, mode=0o700)
    subprocess.run([str(BIN / "cometbft"), "init", "--home", str(folder / "cometbft")], check=True, capture_output=True)
    toml: dict[str, Any] = {"cometbft": {"p2p": f"127.0.0.1:{port}"}, "node": {"log_level": "error"}}
    (folder / "cometbft" / "config" / "config.toml").write_text(comet_config.render(name, toml, []))
    key = json.loads((folder / "cometbft" / "config" / "priv_validator_key.json").read_text())["pub_key"]
    state = preload.app_state()
    observed = {field: getattr(state, field) for field in state.__struct_fields__}
    genesis = {
        "genesis_time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "chain_id": preload.CHAIN_ID,
        "initial_height": "1",
        "consensus_params": {
            "block": {"max_bytes": str(BLOCK_MAX_BYTES), "max_gas": "-1"},
            "evidence": {"max_age_num_blocks": "100000", "max_age_duration": "172800000000000", "max_bytes": "1048576"},
            "validator": {"pub_key_types": ["ed25519"]},
            "version": {"app": "0"},
            "abci": {"vote_extensions_enable_height": "0"},
        },
        "validators": [
            {
                "address": hashlib.sha256(base64.b64decode(key["value"])).digest()[:20].hex().upper(),
                "pub_key": key,
                "power": "1",
                "name": "",
            }
        ],
        "app_hash": "",
    }
    if name == APP:
        genesis["app_state"] = observed
    (folder / "genesis.json").write_text(json.dumps(genesis))
    (folder / "node.toml").write_text(
        f"""[node]
network_id = "{preload.NETWORK}"
dev = true
log_level = "error"
[ethereum]
rpc = "http://127.0.0.1:1"
registry = "0x{"00" * 20}"
chain_id = 31337
[p2p]
listen = "/ip4/127.0.0.1/tcp/{port + 1}"
[api]
listen = "127.0.0.1:{port + 2}"
endpoint = "http://127.0.0.1:{port + 2}"
[cometbft]
p2p = "127.0.0.1:{port}"
"""
    )


def _start(chain: Chain) -> None:
    """The application first: cometbft tries a missing socket again only after seconds."""
    if chain.name == APP:
        argv = [sys.executable, "-m", "bench.preload", str(chain.folder / "node.toml")]
    else:
        argv = [str(BIN / "abci-cli"), "kvstore", "--address", "unix://run/abci.sock", "--log_level", "error"]
    chain.processes.append(_spawn(argv, chain.folder, "app"))
    _wait(chain.folder / "run" / "abci.sock", chain.processes[-1])
    argv = [str(BIN / "cometbft"), "start", "--home", "cometbft"]
    chain.processes.append(_spawn(argv, chain.folder, "cometbft"))
    _wait(chain.socket, chain.processes[-1])
    time.sleep(1.0)


def _spawn(argv: list[str], folder: Path, name: str) -> subprocess.Popen[bytes]:
    root = str(Path(__file__).resolve().parent.parent)
    with (folder / "logs" / f"{name}.log").open("ab") as log:
        return subprocess.Popen(
            argv, cwd=folder, env=os.environ | {"PYTHONPATH": root}, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )


def _wait(path: Path, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 30
    while not path.exists():
        if process.poll() is not None or time.monotonic() > end:
            log = "\n".join(p.read_text()[-800:] for p in (path.parent.parent / "logs").iterdir())
            raise RuntimeError(f"{path.name} never came:\n{log}")
        time.sleep(0.05)


def have_tools() -> bool:
    """Whether set-up has put cometbft and abci-cli there."""
    return all(shutil.which(str(BIN / tool)) for tool in ("cometbft", "abci-cli"))
