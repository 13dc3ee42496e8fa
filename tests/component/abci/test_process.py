"""`python -m abci_app`: what it says when it can not start, and how it ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.component.abci.node import NODE_TOML, wait_until
from tests.unit.abci.world import NETWORK

pytestmark = pytest.mark.e2e


@pytest.fixture
def folder() -> Iterator[Path]:
    # A short path: unix socket names have 108 bytes.
    with tempfile.TemporaryDirectory(prefix="an") as name:
        (Path(name) / "node.toml").write_text(NODE_TOML.format(network=NETWORK))
        yield Path(name)


def start(folder: Path, *more: str, fds: tuple[int, ...] = (), **environment: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "abci_app", str(folder / "node.toml"), *more]
    env = {**os.environ, **environment}
    return subprocess.Popen(command, env=env, pass_fds=fds, stderr=subprocess.PIPE, text=True)


def answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def wait_ready(folder: Path) -> None:
    for name in ("abci.sock", "read.sock"):
        wait_until(lambda name=name: answers(folder / "run" / name), name)  # type: ignore[misc]


def test_it_ends_when_the_supervisor_goes(folder: Path) -> None:
    reading, writing = os.pipe()
    process = start(folder, "--supervised-fd", str(reading), fds=(reading,))
    os.close(reading)
    wait_ready(folder)
    os.close(writing)
    assert process.wait(10) == 0
    assert not list((folder / "run").iterdir())


def test_it_ends_on_sigterm(folder: Path) -> None:
    process = start(folder)
    wait_ready(folder)
    assert ((folder / "run").stat().st_mode & 0o777) == 0o700
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0


def test_a_second_one_on_the_same_state_does_not_start(folder: Path) -> None:
    first = start(folder)
    wait_ready(folder)
    second = start(folder)
    _, errors = second.communicate(timeout=20)
    assert second.returncode != 0
    assert "can not be opened" in errors
    assert "Traceback" not in errors
    assert answers(folder / "run/abci.sock"), "the first one still serves"
    first.kill()
    first.wait()


@pytest.mark.parametrize(
    ("toml", "environment", "says"),
    [
        ("", {}, "node"),
        ("[node]\nnonsense = 1", {}, "node"),
        (None, {"AUTHNET_FAIL_AT": "nowhere"}, "AUTHNET_FAIL_AT: unknown point"),
        ('[user]\nnode_api = "nobody-of-this-name"', {}, "user.node_api: there is no user"),
    ],
)
def test_a_mistake_is_named(folder: Path, toml: str | None, environment: dict[str, str], says: str) -> None:
    whole = NODE_TOML.format(network=NETWORK)
    if toml is not None:
        (folder / "node.toml").write_text(whole + toml if "user" in toml else toml)
    process = start(folder, **environment)
    _, errors = process.communicate(timeout=20)
    assert process.returncode != 0
    assert says in errors
    assert "Traceback" not in errors
