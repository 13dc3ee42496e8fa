"""Real `python -m epoch_manager` processes against a real anvil: from an open epoch to a chain that knows it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from authnet_core.errors import Code
from authnet_runtime.config import NodeConfig
from authnet_runtime.ethereum import Ethereum
from authnet_runtime.genesis import build_genesis
from authnet_runtime.registry import Registry
from authnet_runtime.rpc_client import RpcClient
from localnet.registry_admin import RegistryAdmin
from tests.component.epoch.eth_net import MOCK_GOOGLE, OWNER_KEY, Anvil, FakeNode, fake_nodes, mine, setup_for
from tests.component.epoch.fakes import FakeChain, fake_keeper, until, write_node

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("late_socket_events")]


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


async def ask(config: NodeConfig, method: str = "status") -> Any:
    async with RpcClient(config.epoch_sock) as rpc:
        await until("epoch.sock answers", rpc.connected.is_set)
        return await rpc.call(method)


async def problem_codes(config: NodeConfig) -> dict[str, str]:
    return {problem["where"]: problem["code"] for problem in (await ask(config))["problems"]}


async def until_problem(config: NodeConfig, where: str, code: Code) -> None:
    async def shows() -> bool:
        return (await problem_codes(config)).get(where) == code.value

    await until(f"{where} shows {code}", shows)


async def fill(registry: Registry, nodes: list[FakeNode]) -> None:
    for node in nodes:
        await node.register(registry)
    await mine(registry.ethereum)


def node_of(tmp_path: Path, registry: Registry, node: FakeNode, extra: str = "") -> NodeConfig:
    rpc = registry.ethereum.rpc
    return write_node(tmp_path / str(node.number), node, rpc=rpc, registry=registry.address, extra=extra)


async def test_two_nodes_register_and_write_the_same_genesis(
    tmp_path: Path, registry: Registry, nodes: list[FakeNode]
) -> None:
    rpc = registry.ethereum.rpc
    chain = FakeChain()
    async with AsyncExitStack() as stack:
        configs = []
        for node in nodes[:2]:
            config = node_of(tmp_path, registry, node)
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

        async def is_registered() -> bool:
            return bool((await ask(configs[0]))["registered"])

        await until("it has seen that it is registered", is_registered)
        status = await ask(configs[0])
        assert status["members"] == 5
        assert status["problems"] == []
        for config in configs:
            log = (config.dir / "epoch.log").read_text()
            assert (config.dir / "eth.key").read_text().strip() not in log
        assert "authnet_registry_members 5.0" in await ask(configs[0], "metrics")


async def test_members_changed_after_genesis_are_refused_by_name(
    tmp_path: Path, registry: Registry, nodes: list[FakeNode], admin: RegistryAdmin
) -> None:
    chain = FakeChain()
    await fill(registry, nodes)
    other = await admin.set_up(setup_for([*nodes[:4], fake_nodes(6)[5]]))
    await fill(other, [*nodes[:4], fake_nodes(6)[5]])
    rpc = registry.ethereum.rpc
    config = node_of(tmp_path, other, nodes[0])
    genesis = await build_genesis(rpc, registry.address)
    config.genesis.write_bytes(genesis)
    async with fake_keeper(config, nodes[0], chain), running(config):
        await until_problem(config, "genesis", Code.GENESIS_MISMATCH)
        assert chain.observed == []
    assert config.genesis.read_bytes() == genesis


async def test_a_chain_that_refuses_the_record_is_named(
    tmp_path: Path, registry: Registry, nodes: list[FakeNode]
) -> None:
    chain = FakeChain()
    chain.refuse = Code.GENESIS_MISMATCH
    await fill(registry, nodes)
    config = node_of(tmp_path, registry, nodes[0])
    async with fake_keeper(config, nodes[0], chain), running(config):
        await until_problem(config, "epoch 1", Code.GENESIS_MISMATCH)


async def test_addresses_are_corrected_until_the_start(
    tmp_path: Path, registry: Registry, nodes: list[FakeNode]
) -> None:
    config = node_of(tmp_path, registry, nodes[0])

    async def endpoint() -> str:
        epoch = await registry.epoch(1)
        return epoch.members[0].endpoint if epoch is not None and epoch.members else ""

    async def is_moved() -> bool:
        return await endpoint() == "http://127.0.0.1:7777"

    async with fake_keeper(config, nodes[0]):
        async with running(config):
            await until("it is registered", endpoint)
        text = (config.dir / "node.toml").read_text()
        moved = text.replace('endpoint = "http://127.0.0.1:9201"', 'endpoint = "http://127.0.0.1:7777"')
        (config.dir / "node.toml").write_text(moved)
        async with running(config):
            await until("the endpoint is corrected", is_moved)


async def test_an_operator_registered_with_other_keys_is_named(
    tmp_path: Path, registry: Registry, nodes: list[FakeNode]
) -> None:
    await nodes[0].register(registry)
    config = node_of(tmp_path, registry, nodes[0])
    async with fake_keeper(config, nodes[0]), running(config):
        await until_problem(config, "registration", Code.REGISTRATION_CONFLICT)


async def test_an_operator_left_out_is_named(tmp_path: Path, registry: Registry, nodes: list[FakeNode]) -> None:
    await fill(registry, nodes)
    outsider = fake_nodes(8)[7]
    config = node_of(tmp_path, registry, outsider)
    async with fake_keeper(config, outsider), running(config):
        await until_problem(config, "registration", Code.NOT_A_MEMBER)
        await until("genesis is written all the same", config.genesis.exists)


async def test_another_networks_registry_is_named(tmp_path: Path, admin: RegistryAdmin, nodes: list[FakeNode]) -> None:
    foreign = await admin.set_up(setup_for(nodes, "othernet"))
    await fill(foreign, nodes)
    config = node_of(tmp_path, foreign, nodes[0])
    async with fake_keeper(config, nodes[0]), running(config):
        await until_problem(config, "ethereum", Code.REGISTRY_MISMATCH)
        assert not config.genesis.exists()


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda folder: (folder / "eth.key").chmod(0o644), "FILE_MODE"),
        (lambda folder: (folder / "eth.key").unlink(), "CONFIG"),
        (lambda folder: (folder / "node.toml").write_text("[node]"), "CONFIG"),
        (lambda folder: (folder / "genesis_params.json").write_text("[]"), "CONFIG"),
    ],
)
async def test_an_operators_mistake_ends_it_before_anything_starts(
    tmp_path: Path, spoil: Callable[[Path], object], code: str
) -> None:
    config = write_node(tmp_path / "1", fake_nodes(1)[0], rpc="http://127.0.0.1:9", registry="0x" + "11" * 20)
    spoil(config.dir)
    process = launch(config)
    assert process.wait(30) == 2
    assert f'"code": "{code}"' in (config.dir / "epoch.log").read_text()


async def test_it_waits_for_an_ethereum_and_a_keeper_that_come_later(tmp_path: Path) -> None:
    anvil = Anvil(tmp_path)
    owner_nodes = fake_nodes(5)
    anvil.start()
    async with Ethereum(anvil.url) as ethereum:
        registry = await RegistryAdmin(ethereum, OWNER_KEY).set_up(setup_for(owner_nodes))
        await fill(registry, owner_nodes[1:])
        config = node_of(tmp_path, registry, owner_nodes[0])
    anvil.stop()
    try:
        async with running(config):
            await until_problem(config, "ethereum", Code.UNAVAILABLE)
            anvil.start()
            async with fake_keeper(config, owner_nodes[0], FakeChain()), Ethereum(anvil.url) as ethereum:

                async def written() -> bool:
                    await mine(ethereum, 1)
                    return config.genesis.exists()

                await until("genesis is written", written)
    finally:
        anvil.stop()
