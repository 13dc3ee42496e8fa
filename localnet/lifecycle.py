"""`up` and `down` from the outside: start the daemon and follow it; leave no process and no socket behind."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from authnet_core.errors import AuthnetError, Code, ConfigError
from authnet_core.protocol.committee import SUPPORTED_SIZES
from localnet import places as layout
from localnet import procs
from localnet.places import Places

POLL_S = 0.05
STOP_GRACE_S = 20.0
SOCKET_ROOM = 88
"""Longest path of a node's run/ folder; sun_path holds 108 bytes."""


@dataclass(frozen=True, slots=True)
class Step:
    """One line of progress."""

    stage: str
    state: str
    text: str
    ms: int


def daemon_pid(folder: Path) -> int:
    """The running daemon of the localnet in `folder`, 0 if there is none."""
    try:
        pid = int(json.loads((folder / "run" / "daemon.pid").read_text())["pid"])
    except (OSError, ValueError, KeyError):
        return 0
    return pid if procs.is_marked(pid, folder) else 0


def choose(folder: Path, nodes: int | None, base_port: int | None, *, proxied: bool = False) -> Places:
    """The localnet to start: the one laid out in `folder`, else a new one. Raises ConfigError.

    `proxied` is for a new one: a node's address is in the registry for good.
    """
    folder = folder.resolve()
    known = layout.load(folder)
    if known is not None:
        for name, asked, has in (("nodes", nodes, known.nodes), ("base-port", base_port, known.base_port)):
            if asked is not None and asked != has:
                raise ConfigError(f"--{name}: the network in {folder} has {has}; use another --dir or delete it")
        if proxied and not known.proxied:
            raise ConfigError(f"--proxied: the network in {folder} has no proxies; use another --dir or delete it")
        return known
    places = Places(
        folder,
        nodes or layout.DEFAULT_NODES,
        base_port or layout.DEFAULT_PORT,
        f"local-{secrets.token_hex(4)}",
        proxied,
    )
    _check(places)
    return places


def _check(places: Places) -> None:
    if places.nodes not in SUPPORTED_SIZES:
        raise ConfigError(f"--nodes: a committee has {', '.join(map(str, SUPPORTED_SIZES))} nodes")
    if places.base_port < 1024 or max(places.all_ports()) >= layout.PORT_CEILING:
        raise ConfigError(f"--base-port: ports must lie between 1024 and {layout.PORT_CEILING}")
    if len(str(places.node_dir(places.nodes) / "run")) > SOCKET_ROOM:
        raise ConfigError(f"--dir: {places.dir} is too long a path for unix sockets; use a shorter one")


def taken_ports(places: Places) -> list[str]:
    """Which of the network's ports are in use, each with what it was meant for."""
    return taken(places.all_ports())


def taken(ports: Mapping[int, str]) -> list[str]:
    """Which of these ports are in use, each with what it was meant for."""
    found = []
    for port, use in ports.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                found.append(f"{port} ({use})")
    return found


def start_daemon(places: Places) -> None:
    """Lay the folder out and start the daemon in a session of its own. Raises ConfigError if a port is taken."""
    sweep(places.dir)
    if used := taken_ports(places):
        raise ConfigError(f"--base-port: in use on 127.0.0.1: {', '.join(used)}")
    places.save()
    places.progress.unlink(missing_ok=True)
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    with (places.logs / "daemon.log").open("ab") as log:
        daemon = subprocess.Popen(
            [sys.executable, "-P", "-m", "localnet.daemon", str(places.dir)],
            cwd=places.dir,
            env=environment | {procs.MARK: str(places.dir)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    while not daemon_pid(places.dir) and daemon.poll() is None:
        time.sleep(POLL_S)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep other `up`s out of `folder` meanwhile. Raises ConfigError if one is at work there."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(folder / "up.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise ConfigError(f"--dir: another `up` is at work in {folder}") from None
    finally:
        os.close(lock)


def follow(places: Places) -> Iterator[Step]:
    """Yield progress until the network is ready. Raises AuthnetError when it will not be."""
    seen = 0
    while True:
        ended = not daemon_pid(places.dir)
        for step in _steps(places.progress)[seen:]:
            seen += 1
            if step.state == "failed":
                raise AuthnetError(Code.NETWORK_DOWN, f"{step.text} (logs: {places.dir}/node*/logs, {places.logs})")
            yield step
            if step.stage == "ready":
                return
        if ended:
            raise AuthnetError(Code.NETWORK_DOWN, f"the localnet ended: {_last_words(places.logs / 'daemon.log')}")
        time.sleep(POLL_S)


def _last_words(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip(" |+-")]
    return f"{' / '.join(lines[-3:])[-600:]} ({log})"


def _steps(path: Path) -> list[Step]:
    try:
        lines = path.read_text().split("\n")[:-1]
    except FileNotFoundError:
        return []
    return [Step(**json.loads(line)) for line in lines]


def down(folder: Path) -> bool:
    """Stop the localnet in `folder` and whatever is left of it. Returns whether anything ran."""
    folder = folder.resolve()
    pid = daemon_pid(folder)
    if pid:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        procs.wait_gone([pid], folder, STOP_GRACE_S)
    return sweep(folder) or pid != 0


def sweep(folder: Path) -> bool:
    """End processes that carry this localnet's mark, then remove stale sockets and pid files."""
    found = procs.marked(folder)
    while left := procs.marked(folder):
        procs.end(left, folder, grace_s=3.0)
    if folder.exists():
        for path in (*folder.glob("run/*"), *folder.glob("node*/run/*")):
            if stat.S_ISSOCK(path.lstat().st_mode) or path.name in ("daemon.pid", "supervisor.json"):
                path.unlink(missing_ok=True)
    return bool(found)
