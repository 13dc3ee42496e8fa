"""Beginnings and ends of a localnet, step by step: `up` in the background, and what may be left of it."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from localnet import lifecycle, procs
from tests.e2e.net import AUTHNET, ROOT, free_base_port


def run(*args: str, timeout: float = 270) -> subprocess.CompletedProcess[str]:
    argv = [str(AUTHNET), *args]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False)


def sockets(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_socket()]


def left_of(node: Path) -> list[str]:
    """Sockets and processes of one node's folder: command lines name it, CometBFT works in it."""
    pids = []
    for pid in procs.marked(node.parent):
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            is_there = any(word.startswith(f"{node}/".encode()) for word in words)
            if is_there or Path(f"/proc/{pid}/cwd").readlink() == node:
                pids.append(f"pid {pid}")
        except OSError:  # ended meanwhile, or closed to us: then its command line named another node
            continue
    return [*(str(path) for path in sockets(node)), *pids]


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="authnet-"))
    yield made
    lifecycle.down(made)
    shutil.rmtree(made)


def begin(folder: Path) -> subprocess.Popen[bytes]:
    """`up` in the background."""
    argv = [str(AUTHNET), "localnet", "up", "--dir", str(folder), "--base-port", str(free_base_port(5))]
    return subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def everything_runs(folder: Path) -> bool:
    """The daemon, anvil and five supervisors at least."""
    return len(procs.marked(folder)) >= 7


def assert_nothing_left(folder: Path) -> None:
    assert procs.marked(folder) == []
    assert sockets(folder) == []
