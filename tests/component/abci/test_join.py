"""A real CometBFT full node joins a chain of a few hundred blocks by state sync, through the nodes' own fronts."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import anyio
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Route

from authnet.supervisor import comet_config
from authnet_core.errors import AuthnetError, Code
from authnet_runtime.trust import Trust, find_trust
from node_api.comet_proxy import CometProxy
from tests.component.abci.node import Node, free_port, wait_until
from tests.component.abci.test_chain import verifier, version_on_chain, wait_first_epoch
from tests.unit.abci.world import CHAIN

pytestmark = pytest.mark.e2e
BLOCKS = 200
SNAPSHOT = "snapshot_s = 2.0\n"


@contextmanager
def front(node: Node) -> Iterator[str]:
    """A public door of `node` with its read-only CometBFT calls; its URL."""
    port = free_port()
    proxy = CometProxy(node.run / "comet.sock")
    routes = [
        Route("/comet", proxy, methods=["POST"]),
        Route("/comet/", proxy, methods=["POST"]),
        Route("/comet/{method}", proxy, methods=["GET"]),
    ]
    server = uvicorn.Server(uvicorn.Config(Starlette(routes=routes), port=port, log_level="error"))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()), daemon=True)
    thread.start()
    wait_until(lambda: server.started, "the front")
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


@contextmanager
def full_node(of: Node, binary: str, trust: Trust) -> Iterator[Node]:
    """A node without blocks and without power, whose settings are those the supervisor writes."""
    with tempfile.TemporaryDirectory(prefix="an") as folder:
        other = Node(Path(folder), binary)
        config = other.home / "config"
        shutil.copy(of.home / "config/genesis.json", config / "genesis.json")
        (config / comet_config.TRUST_FILE).write_text(
            json.dumps({"height": trust.height, "hash": trust.hash, "servers": trust.servers})
        )
        peer = subprocess.run(
            [binary, "show-node-id", "--home", of.home], check=True, capture_output=True, text=True
        ).stdout.strip()
        toml = {"cometbft": {"p2p": f"127.0.0.1:{other.port}", "state_sync": True}}
        section = comet_config._state_sync(config / comet_config.TRUST_FILE, toml)
        text = (config / "config.toml").read_text()
        text = text.replace("pex = false", f'pex = false\npersistent_peers = "{peer}@127.0.0.1:{of.port}"')
        (config / "config.toml").write_text(text.replace("[tx_index]", section + "[tx_index]"))
        yield other
        other.close()


def grow(node: Node, blocks: int) -> int:
    """Verifier records until the chain has so many blocks; the last version."""
    version = version_on_chain(node)
    while node.height() < blocks:
        version += 1
        assert node.send(verifier(node, version)) == 0
        wait_until(partial(_shows, node, version), "a block")
    return version


def _shows(node: Node, version: int) -> bool:
    return node.height() > 0 and version_on_chain(node) == version


def is_same(one: Node, other: Node) -> bool:
    mine, theirs = one.view("/status"), other.view("/status")
    return bool(mine and theirs and (mine["height"], mine["app_hash"]) == (theirs["height"], theirs["app_hash"]))


def test_a_full_node_joins_by_state_sync(node: Node) -> None:
    (node.folder / "node.toml").write_text((node.folder / "node.toml").read_text() + SNAPSHOT)
    node.start()
    wait_first_epoch(node)
    version = grow(node, BLOCKS)
    with front(node) as one, front(node) as two:
        trust = anyio.run(find_trust, [one, two, "http://127.0.0.1:1"], 2, CHAIN)
        assert trust.servers == (f"{one}/comet", f"{two}/comet")
        with pytest.raises(AuthnetError) as refusal:
            anyio.run(find_trust, [one, two, "http://127.0.0.1:1"], 3, CHAIN)
        assert refusal.value.code is Code.UNAVAILABLE
        with full_node(node, node.binary, trust) as joiner:
            joiner.start()
            wait_until(partial(_shows, joiner, version), "the state", 90)
            # It has a state and no block below it.
            assert int(joiner.rpc("status")["sync_info"]["earliest_block_height"]) > BLOCKS // 2
            version = grow(node, node.height() + 10)
            wait_until(lambda: _shows(joiner, version) and is_same(node, joiner), "the newest block", 30)
            seen = verifier(node, version)
            assert joiner.send(seen) == node.send(seen) != 0
            joiner.stop()
            joiner.start()
            version = grow(node, node.height() + 4)
            wait_until(lambda: _shows(joiner, version) and is_same(node, joiner), "it is back", 30)
