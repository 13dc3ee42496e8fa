"""A hand-over as one epoch manager lives through it: real process, real anvil, a scripted chain and keeper."""

from __future__ import annotations

from pathlib import Path

import pytest

from authnet_core.protocol.committee import Committee
from authnet_core.wire.tx import decode_record
from authnet_runtime.config import NodeConfig
from authnet_runtime.ethereum import Ethereum
from authnet_runtime.registry import Registry
from authnet_runtime.registry_state import EpochStatus
from localnet.registry_admin import RegistryAdmin
from tests.component.epoch.eth_net import OWNER_KEY, Anvil, FakeNode, fake_nodes, mine, setup_for
from tests.component.epoch.fakes import FakeChain, fake_keeper, until
from tests.component.epoch.test_process import ask, fill, node_of, running

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("late_socket_events")]
FIVE = Committee.of(5)


async def open_second(admin: RegistryAdmin, registry: Registry, nodes: list[FakeNode]) -> None:
    """Epoch 2 for these operators, funded."""
    await admin.fund([node.operator for node in nodes])
    await admin.open_epoch(registry, 2, FIVE, [node.operator for node in nodes])


def observed(chain: FakeChain) -> list[tuple[int, bool]]:
    """(epoch, aborted) of every epoch record the keeper was given, in order."""
    records = [decode_record(raw) for raw in chain.observed]
    return [(r.epoch.epoch, r.epoch.aborted) for r in records if r.WhichOneof("kind") == "epoch"]


async def test_a_member_registers_again_reports_the_next_epoch_and_its_end(
    tmp_path: Path, registry: Registry, nodes: list[FakeNode], admin: RegistryAdmin
) -> None:
    chain = FakeChain()
    chain.phases[2] = "next"
    await fill(registry, nodes[1:])
    config = node_of(tmp_path, registry, nodes[0])
    others = [*nodes[1:4], fake_nodes(6)[5]]

    async def is_registered() -> bool:
        epoch = await registry.epoch(2)
        return epoch is not None and nodes[0].operator in [m.operator for m in epoch.members]

    async with fake_keeper(config, nodes[0], chain):
        async with running(config):
            await until("epoch 1 is full", lambda: _has_started(registry, 1))
            await mine(registry.ethereum)
            await until("epoch 1 is on chain", lambda: 1 in chain.epochs)
            chain.in_charge = 1
            genesis = config.genesis.read_bytes()
            await open_second(admin, registry, [nodes[0], *others])
            await until("it registers for epoch 2", is_registered)
            assert (await ask(config))["epoch"] == 2
        for node in others:
            await node.register(registry, node.entry(epoch=2))
        assert 2 not in chain.epochs, "an epoch that has not started, or is not final, is no news"
        await mine(registry.ethereum)
        async with running(config):
            await until("the chain hears of epoch 2", lambda: 2 in chain.epochs)
            await until("the keeper hears of it", lambda: 2 in chain.told)
            peers = (config.dir / "cometbft/config/peers.txt").read_text()
            assert others[-1].entry().comet_id in peers
            await admin.abort_epoch(registry, 2)
            await mine(registry.ethereum)
            await until("the chain hears of its end", lambda: (2, True) in observed(chain))
            await until("the keeper hears of its end", lambda: chain.told[2].aborted)
    assert config.genesis.read_bytes() == genesis
    assert observed(chain)[:2] == [(1, False), (2, False)]


async def test_a_node_that_comes_waits_for_its_epoch(
    tmp_path: Path, registry: Registry, nodes: list[FakeNode], admin: RegistryAdmin
) -> None:
    chain, fresh = FakeChain(), fake_nodes(10)[5:]
    chain.in_charge = 1
    await fill(registry, nodes)
    await mine(registry.ethereum)
    config = node_of(tmp_path, registry, fresh[0])
    text = (config.dir / "node.toml").read_text().replace("poll_ms = 50", "poll_ms = 50\nepoch = 2")
    (config.dir / "node.toml").write_text(text)
    async with fake_keeper(config, fresh[0], chain), running(config):
        await open_second(admin, registry, fresh)

        async def has_entry() -> bool:
            epoch = await registry.epoch(2)
            return epoch is not None and len(epoch.members) == 1

        await until("it registers", has_entry)
        assert not config.genesis.exists(), "its chain would not know its own committee"
        for node in fresh[1:]:
            await node.register(registry, node.entry(epoch=2))
        await mine(registry.ethereum)
        await until("genesis is written", config.genesis.exists)
        peers = (config.dir / "cometbft/config/peers.txt").read_text().split()
        assert len(peers) == 9, "the others of its own committee, and the one before it"
        assert chain.observed == [], "who is not in charge says nothing"


async def test_an_epoch_that_a_reorganisation_undid_never_reaches_the_chain(tmp_path: Path) -> None:
    """The owner's announcement and all registrations lie in blocks that were never final."""
    anvil, nodes, chain = Anvil(tmp_path), fake_nodes(5), FakeChain()
    chain.in_charge = 1
    anvil.start()
    try:
        async with Ethereum(anvil.url) as ethereum:
            admin = RegistryAdmin(ethereum, OWNER_KEY)
            registry = await admin.set_up(setup_for(nodes))
            await fill(registry, nodes)
            config = node_of(tmp_path, registry, nodes[0])
            async with fake_keeper(config, nodes[0], chain), running(config):
                await until("epoch 1 is on chain", lambda: 1 in chain.epochs)
                before = await ethereum.request("evm_snapshot")
                await open_second(admin, registry, nodes[1:] + fake_nodes(6)[5:])
                await ethereum.request("evm_revert", before)
                await mine(ethereum, 8)
                final = await ethereum.block("finalized")
                assert final is not None
                await until("it has read past that", lambda: _reads(config, final.number))
                assert observed(chain) == [(1, False)]
                assert chain.told == {}
    finally:
        anvil.stop()


async def test_a_member_whose_entry_a_reorganisation_undid_registers_again(tmp_path: Path) -> None:
    """Epoch 2 was full and had started when its announcement and all entries were taken back, and announced anew."""
    anvil, nodes, chain = Anvil(tmp_path), fake_nodes(6), FakeChain()
    chain.in_charge = 1
    anvil.start()
    try:
        async with Ethereum(anvil.url) as ethereum:
            admin = RegistryAdmin(ethereum, OWNER_KEY)
            registry = await admin.set_up(setup_for(nodes[:5]))
            await fill(registry, nodes[1:5])
            config = node_of(tmp_path, registry, nodes[0])
            others = [*nodes[1:4], nodes[5]]
            async with fake_keeper(config, nodes[0], chain), running(config):
                await until("epoch 1 is full", lambda: _has_started(registry, 1))
                await mine(ethereum)
                await until("epoch 1 is on chain", lambda: 1 in chain.epochs)
                before = await ethereum.request("evm_snapshot")
                await open_second(admin, registry, [nodes[0], *others])
                for node in others:
                    await node.register(registry, node.entry(epoch=2))

                async def sees_it_full() -> bool:
                    seen = await ask(config)
                    return (seen["epoch"], seen["members"]) == (2, 5)

                await until("it registers, and epoch 2 starts", sees_it_full)
                assert await _has_started(registry, 2)
                await ethereum.request("evm_revert", before)
                assert await registry.last_epoch() == 1
                await open_second(admin, registry, [*others, nodes[0]])

                async def has_entry() -> bool:
                    epoch = await registry.epoch(2)
                    return epoch is not None and [m.operator for m in epoch.members] == [nodes[0].operator]

                await until("it registers again", has_entry)
    finally:
        anvil.stop()


async def _has_started(registry: Registry, number: int) -> bool:
    epoch = await registry.epoch(number)
    return epoch is not None and epoch.status is EpochStatus.STARTED


async def _reads(config: NodeConfig, number: int) -> bool:
    return int((await ask(config))["ethereum"]["finalized"] or 0) >= number
