"""A handle on one localnet, from outside: the command line, the front, the sockets and folders of its nodes.

Used by the acceptance tests, the soak and the bench. It ends and starts only processes of its own localnet.
"""

from __future__ import annotations

import fcntl
import json
import os
import random
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any, TypeVar

import httpx
import msgspec

from authnet_runtime.rpc_once import call_once
from localnet.idp import Provider, TokenWish

ROOT = Path(__file__).resolve().parents[2]
AUTHNET = ROOT / ".venv" / "bin" / "authnet"
PROCESSES = ("p2p_dkg", "abci_app", "cometbft", "node_api", "epoch_manager")
V = TypeVar("V")


class Process(msgspec.Struct, frozen=True):
    name: str
    pid: int | None = None
    restarts: int = 0
    rss_mb: float | None = None


class Node(msgspec.Struct, frozen=True):
    index: int
    state: str
    dir: str
    api: str
    identity_pub: str = ""
    height: int | None = None
    app_hash: str | None = None
    holds_all: bool | None = None
    processes: list[Process] = []

    @property
    def path(self) -> Path:
        return Path(self.dir)

    def pid(self, process: str) -> int | None:
        return next((p.pid for p in self.processes if p.name == process), None)


class Pool(msgspec.Struct, frozen=True):
    free: int
    assigned: int
    short: int
    low: int
    high: int


class Status(msgspec.Struct, frozen=True):
    """`localnet status --json`, the fields that tests rely on."""

    schema: int
    ready: bool
    dir: str
    network_id: str
    chain_id: str
    epoch: int
    n: int
    k: int
    t: int
    front: str
    eth: dict[str, Any]
    pool: Pool | None
    can_lose: dict[str, int] | None
    nodes: list[Node]


class CommandFailed(AssertionError):
    """A command ended with another exit code than 0; `error` is its JSON error object if it gave one."""

    def __init__(self, args: tuple[str, ...], run: subprocess.CompletedProcess[str]) -> None:
        self.exit = run.returncode
        try:
            self.error: dict[str, Any] = json.loads(run.stdout)["error"]
        except (ValueError, KeyError, TypeError):
            self.error = {}
        tail = run.stdout[-600:] + run.stderr[-1200:]
        super().__init__(f"authnet {' '.join(args)} ended with {run.returncode}:\n{tail}")


def authnet(*args: str, timeout: float = 180) -> str:
    """Run the command and return its stdout. Raises CommandFailed."""
    run = subprocess.run([str(AUTHNET), *args], cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False)
    if run.returncode:
        raise CommandFailed(args, run)
    return run.stdout


PATIENCE = 4
"""Limits say what a quiet machine needs; one that does other work beside the tests gets so many times that."""


def wait_for(what: str, seconds: float, probe: Callable[[], V | None], every: float = 0.1) -> V:
    """Poll until `probe` gives something true. Fails with `what` and the last thing it gave."""
    end, last = time.monotonic() + seconds * PATIENCE, None
    while time.monotonic() < end:
        last = probe()
        if last:
            return last
        time.sleep(every)
    raise AssertionError(f"{what}: not within {seconds * PATIENCE:g} s (last: {last!r:.300})")


def socket_call(path: Path, method: str, params: dict[str, Any] | None = None, timeout: float = 60) -> Any:
    """One call over a node's unix socket, with more patience than commands have. Raises AuthnetError."""
    return call_once(path, method, params, timeout)


@dataclass(frozen=True)
class Net:
    """One localnet in `dir`, running."""

    dir: Path

    # -- the command line

    def cli(self, *args: str, timeout: float = 180) -> Any:
        """One JSON object of `authnet ARGS --json --dir DIR`."""
        return json.loads(authnet(*args, "--json", "--dir", str(self.dir), timeout=timeout))

    def cli_lines(self, *args: str, timeout: float = 180) -> list[dict[str, Any]]:
        """JSON lines of a listing command."""
        text = authnet(*args, "--json", "--dir", str(self.dir), timeout=timeout)
        found = [json.loads(line) for line in text.splitlines() if line]
        return found[0] if len(found) == 1 and isinstance(found[0], list) else found

    def status(self) -> Status:
        """What `localnet status` prints, from the daemon itself: waiting asks often, and the command takes a while."""
        return msgspec.convert(socket_call(self.dir / "run" / "daemon.sock", "status"), Status, strict=False)

    @cached_property
    def first(self) -> Status:
        """What does not change while the network lives: sizes, names, folders, URLs."""
        return self.status()

    @property
    def n(self) -> int:
        return self.first.n

    @property
    def k(self) -> int:
        return self.first.k

    @property
    def t(self) -> int:
        return self.first.t

    @property
    def indexes(self) -> range:
        return range(1, self.n + 1)

    def node(self, j: int) -> Node:
        """Node `j` of the localnet, also one that came later: its party index may be another."""
        if j > len(self.first.nodes):
            return next(node for node in self.status().nodes if node.index == j)
        return self.first.nodes[j - 1]

    def api_url(self, j: int) -> str:
        """The JSON-RPC door of node j."""
        return self.node(j).api.rstrip("/").removesuffix("/sss/jrpc") + "/sss/jrpc"

    # -- life and death

    def kill_node(self, j: int) -> None:
        self.cli("localnet", "kill", str(j))

    def start_node(self, j: int, **env: str) -> None:
        """Start a killed node; `p2p_dkg="K=V"` gives one of its processes a variable, for this start only."""
        extra = [part for process, setting in env.items() for part in ("--env", f"{process}:{setting}")]
        self.cli("localnet", "start", str(j), *extra)

    def kill_process(self, j: int, process: str) -> int:
        """kill -9 one process of node j. Returns its pid."""
        pid = self.pid(j, process)
        os.kill(pid, signal.SIGKILL)
        return pid

    def pid(self, j: int, process: str) -> int:
        """The pid of a process that lives; waits for one that is being started again."""
        return wait_for(f"{process} of node {j}", 20, lambda: _pid_of(self.node(j).path, process))

    def pids(self) -> dict[tuple[int, str], int]:
        """Every process of every node that lives."""
        found = {}
        for j in self.indexes:
            for process in PROCESSES:
                if (pid := _pid_of(self.node(j).path, process)) is not None:
                    found[(j, process)] = pid
        return found

    # -- the chain, read at one node

    def ops(self, j: int, method: str, params: dict[str, Any] | None = None, timeout: float = 60) -> Any:
        return socket_call(self.node(j).path / "run" / "ops.sock", method, params, timeout)

    def query(self, j: int, path: str, kind: type[V]) -> V:
        """The view at `path` in node j's newest committed state. Raises AuthnetError."""
        answer = socket_call(self.node(j).path / "run" / "read.sock", "query", {"path": path, "height": 0})
        return msgspec.convert(answer["value"], kind, str_keys=True)

    def height(self, j: int) -> int:
        answer = socket_call(self.node(j).path / "run" / "read.sock", "query", {"path": "/status", "height": 0})
        return int(answer["value"]["height"])

    def comet(self, j: int, method: str, params: dict[str, str] | None = None) -> dict[str, Any]:
        """A read-only call to node j's CometBFT."""
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(self.node(j).path / "run" / "comet.sock"))) as http:
            body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params or {}}
            answer = http.post("http://comet/", json=body, timeout=10).json()
        assert "result" in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    # -- tokens

    @property
    def provider(self) -> Provider:
        """The identity provider's own keys, read afresh: tests sign what they like."""
        return Provider(self.dir / "idp", self.first.front)

    def token(self, verifier: str, user: str, **wish: Any) -> str:
        return self.provider.token(TokenWish(verifier=verifier, verifier_id=user, **wish))


def _pid_of(folder: Path, process: str) -> int | None:
    """The living process of this name below the node's supervisor. (The keeper's /proc/PID/cwd is closed to us.)"""
    try:
        listed = json.loads((folder / "run" / "supervisor.json").read_text())["processes"]
        pid = next(int(p["pid"]) for p in listed if p["name"] == process and p["pid"])
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, ValueError, KeyError, StopIteration):
        return None
    return None if state == "Z" else pid


_RESERVED: list[IO[bytes]] = []
"""Lock files of the port ranges this process took: the system lets go of them when it ends."""


def free_base_port(nodes: int) -> int:
    """A base port whose whole range is free, away from a demo network's 8788, and no other test process's.

    A free port alone is no promise: a network binds its last ports half a minute after it was asked for.
    """
    for base in random.sample(range(12_000, 32_500 - 10 * nodes, 200), 90):
        if all(_is_free(port) for port in range(base, base + 10 * nodes + 14)) and _reserve(base):
            return base
    raise AssertionError("no free range of ports below 32768")


def _reserve(base: int) -> bool:
    lock = (Path(tempfile.gettempdir()) / f"authnet-ports-{os.getuid()}-{base}.lock").open("wb")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return False
    _RESERVED.append(lock)
    return True


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
