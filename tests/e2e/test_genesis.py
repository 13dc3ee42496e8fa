"""A registry that no longer says what genesis.json was made from: nobody starts an epoch on it.

Ends the network it is given: no module of its group comes after it (tests/conftest.py).
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from authnet_core.errors import AuthnetError
from authnet_core.protocol.views import EpochView
from tests.e2e.net import AUTHNET, ROOT, Net, authnet, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]


def test_members_that_changed_after_genesis_are_refused_by_name(small: Net) -> None:
    """One node has another consensus key in the contract than in genesis.json. Nobody starts an epoch on that."""
    assert small.query(1, "/epoch/1", EpochView).epoch == 1
    authnet("localnet", "down", "--dir", str(small.dir))
    _back_to_genesis(small)
    _new_consensus_key(small.node(5).path)
    with _up_in_background(small.dir):
        wait_for("GENESIS_MISMATCH in the log of an epoch manager", 60, lambda: _refused(small), every=0.3)
        time.sleep(2)
        for j in (1, 2, 3):
            assert _epoch(small, j) in (None, 0), "an epoch began on a genesis the contract does not give"


def _back_to_genesis(net: Net) -> None:
    """Chain, Ethereum and what the epoch managers remember go; keys, the contract's address and genesis.json stay."""
    for name in ("state.json", "registry.json"):
        (net.dir / "eth" / name).unlink()
    for j in net.indexes:
        node = net.node(j).path
        shutil.rmtree(node / "abci")
        shutil.rmtree(node / "epoch", ignore_errors=True)
        for path in (node / "cometbft" / "data").iterdir():
            if path.name != "priv_validator_state.json":
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        (node / "cometbft" / "data" / "priv_validator_state.json").write_text('{"height":"0","round":0,"step":0}')
        assert (node / "genesis.json").exists()


def _new_consensus_key(node: Path) -> None:
    binary = ROOT / ".cache" / "bin" / "cometbft"
    with tempfile.TemporaryDirectory() as home:
        subprocess.run([str(binary), "init", "--home", home], check=True, capture_output=True)
        shutil.copy(Path(home) / "config" / "priv_validator_key.json", node / "cometbft" / "config")


@contextmanager
def _up_in_background(folder: Path) -> Iterator[None]:
    up = subprocess.Popen(
        [str(AUTHNET), "localnet", "up", "--dir", str(folder), "--json"],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        up.terminate()
        up.wait(10)
        authnet("localnet", "down", "--dir", str(folder))


def _refused(net: Net) -> bool:
    logs = (net.node(j).path / "logs" / "epoch_manager.log" for j in net.indexes)
    return sum(b"GENESIS_MISMATCH" in log.read_bytes() for log in logs if log.exists()) >= net.n - net.t


def _epoch(net: Net, j: int) -> int | None:
    try:
        return net.query(j, "/epoch/current", EpochView).epoch
    except (AuthnetError, msgspec.ValidationError):
        return None
