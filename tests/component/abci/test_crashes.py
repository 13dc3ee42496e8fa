"""Kill the application at each named point and CometBFT at each of its own, under a real chain.

One chain goes through all crashes of a loop: each start has to recover from the one before. In the end every
block is run again in a fresh application, whose hashes must be the ones in the headers.
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from abci_app.abci.application import Application, InitialState
from abci_app.faults import POINTS
from abci_app.rules.genesis import parse
from abci_app.state.records import ValidatorSet
from abci_app.state.state import Block
from tests.component.abci.node import Node, wait_until
from tests.component.abci.test_chain import first_epoch, verifier, version_on_chain, wait_first_epoch
from tests.unit.abci.world import CHAIN, START_MS

pytestmark = pytest.mark.e2e
COMET_POINTS = 20


def _ms(stamp: str) -> int:
    whole, _, fraction = stamp.rstrip("Z").partition(".")
    seconds = int(datetime.fromisoformat(whole).replace(tzinfo=UTC).timestamp())
    return seconds * 1_000 + int((fraction + "000")[:3])


def check_history(node: Node, folder: Path) -> int:
    """Run every block again; return how many transactions they had."""
    app = Application(folder)
    validators = ValidatorSet(((node.consensus, 1),))
    app.init_chain(InitialState(CHAIN, START_MS, parse(node.app_state), validators))
    newest, seen = node.height(), 0
    for height in range(1, newest + 1):
        block = node.rpc("block", height=str(height))["block"]
        if height > 1:
            assert block["header"]["app_hash"].lower() == app.meta.app_hash.hex(), f"height {height}"
        txs = [base64.b64decode(tx) for tx in block["data"]["txs"] or []]
        seen += len(txs)
        app.finalize_block(txs, Block(height, _ms(block["header"]["time"])))
        app.commit()
    app.close()
    return seen


class Load:
    """Keeps sending verifier records of growing version; what a crash swallowed is sent again."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.version = 0

    def step(self) -> None:
        """One transaction, if anybody listens."""
        try:
            if self.node.view("/epoch/current") is None:
                self.node.send(first_epoch(self.node))
                return
            self.version += 1
            self.node.send(verifier(self.node, self.version))
        except (httpx.HTTPError, OSError, KeyError):
            return


def push_until_dead(load: Load, node: Node, what: str) -> None:
    """Send until CometBFT has ended, as it does when it or its application dies."""

    def is_dead() -> bool:
        assert node.comet is not None
        if node.comet.poll() is not None:
            return True
        load.step()
        return False

    wait_until(is_dead, what, 30)


def finish(load: Load, node: Node, tmp_path: Path) -> None:
    """The chain goes on, and its history is what a fresh application makes of its blocks."""
    node.stop()
    node.start()
    before = load.version

    def is_served() -> bool:
        load.step()
        try:
            return version_on_chain(node) > before
        except (httpx.HTTPError, OSError, KeyError):
            return False

    wait_until(is_served, "a transaction after the crashes", 30)
    assert check_history(node, tmp_path / "again") >= 5


@pytest.mark.timeout(240)
def test_the_application_dies_at_each_named_point(node: Node, tmp_path: Path) -> None:
    load = Load(node)
    for place, point in enumerate(POINTS):
        node.start(AUTHNET_FAIL_AT=f"{point}:{1 + place % 3}")
        push_until_dead(load, node, point)
        assert node.app is not None
        wait_until(lambda: node.app is not None and node.app.poll() is not None, point)
        assert node.app.returncode == 99, point
        node.stop()
    finish(load, node, tmp_path)


@pytest.mark.timeout(240)
def test_cometbft_dies_at_each_of_its_points(node: Node, tmp_path: Path) -> None:
    """The application lives on: each new CometBFT must find it without the last one's overlay."""
    load = Load(node)
    node.start_app()
    for index in range(COMET_POINTS):
        node.start_comet(FAIL_TEST_INDEX=str(index))
        push_until_dead(load, node, f"FAIL_TEST_INDEX={index}")
        assert f"*** fail-test {index} ***" in (node.folder / "log").read_text(), "it died of something else"
    finish(load, node, tmp_path)


@pytest.mark.parametrize("victim", ["app", "comet"])
def test_one_of_the_pair_is_killed_under_load(node: Node, tmp_path: Path, victim: str) -> None:
    load = Load(node)
    node.start()
    wait_first_epoch(node)
    for _ in range(5):
        load.step()
        wait_until(lambda: version_on_chain(node) >= load.version, "a record on the chain")
    for _ in range(30):
        load.step()
    process = getattr(node, victim)
    process.kill()
    process.wait()
    finish(load, node, tmp_path)
