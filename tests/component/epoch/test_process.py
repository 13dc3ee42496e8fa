"""Real `python -m epoch_manager` processes against a real anvil: from an open epoch to a chain that knows it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from authnet_runtime.config import NodeConfig
from authnet_runtime.genesis import build_genesis
from authnet_runtime.registry import Registry
from authnet_runtime.rpc_client import RpcClient
from tests.component.epoch.eth_net import MOCK_GOOGLE, FakeNode, mine
from tests.component.epoch.fakes import FakeChain, fake_keeper, until, write_node

pytestmark = pytest.mark.anyio


def launch(config: NodeConfig) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-m", "epoch_manager", str(config.dir / "node.toml")]
    with (config.dir / "epoch.log").open("ab") as log:
        return subprocess.Popen(argv, cwd=config.dir, stderr=log, env=os.environ | {"PYTHONPATH": os.getcwd()})


@asynccontextmanager
async def running(config: NodeConfig) -> AsyncIterator[subprocess.Popen[bytes]]:
    process = launch(config)
    try:
        yield process
    finally:
        process.terminate()
        assert process.wait(10) == 0


async def ask_status(config: NodeConfig) -> dict[str, Any]:
    async with RpcClient(config.epoch_sock) as rpc:
        await until("epoch.sock answers", rpc.connected.is_set)
        answer: dict[str, Any] = await rpc.call("status")
        return answer


async def test_two_nodes_register_and_write_the_same_genesis(
    tmp_path: Path, registry: Registry, nodes: list[FakeNode]
) -> None:
    rpc = registry.ethereum.w3.provider.endpoint_uri
    chain = FakeChain()
    async with AsyncExitStack() as stack:
        configs = []
        for node in nodes[:2]:
            config = write_node(tmp_path / str(node.number), node, rpc=rpc, registry=registry.address)
            await stack.enter_async_context(fake_keeper(config, node, chain))
            await stack.enter_async_context(running(config))
            configs.append(config)
        for node in reversed(nodes[2:]):
            await node.register(registry)

        async def is_started() -> bool:
            epoch = await registry.epoch(1)
            return epoch is not None and len(epoch.members) == 5

        await until("all members are registered", is_started)
        await mine(registry.ethereum)
        await until("both genesis files are there", lambda: all(c.genesis.exists() for c in configs))
        await until("the chain knows the verifier", lambda: "mock-google" in chain.verifiers)
        first, second = (config.genesis.read_bytes() for config in configs)
        assert first == second == await build_genesis(rpc, registry.address)
        assert [m.index for m in chain.epochs[1].members] == [1, 2, 3, 4, 5]
        assert [m.operator for m in chain.epochs[1].members] == [node.operator for node in nodes]
        assert len(json.loads(first)["validators"]) == 5
        assert chain.verifiers["mock-google"].issuer == MOCK_GOOGLE.issuer
        status = await ask_status(configs[0])
        assert status["registered"]
        assert status["members"] == 5
        assert status["problems"] == []
        for config in configs:
            log = (config.dir / "epoch.log").read_text()
            assert (config.dir / "eth.key").read_text().strip() not in log
