"""Re-organisations, outages and restarts of a real Ethereum node: the watcher goes on, and says what it saw."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import pytest
from msgspec.structs import replace

from authnet_core.errors import Code
from authnet_runtime.ethereum import Ethereum
from authnet_runtime.registry import Registry, Snapshot
from epoch_manager.status import Status
from epoch_manager.watcher import Watcher
from localnet.registry_admin import RegistryAdmin
from tests.component.epoch.eth_net import (
    ETH_CHAIN_ID,
    MOCK_GOOGLE,
    OWNER_KEY,
    Anvil,
    fake_nodes,
    mine,
    setup_for,
)
from tests.component.epoch.fakes import until

pytestmark = pytest.mark.anyio


@dataclass
class Rig:
    """A network on an anvil of its own, and a running watcher."""

    anvil: Anvil
    ethereum: Ethereum
    admin: RegistryAdmin
    registry: Registry
    status: Status
    journal: Path
    seen: list[Snapshot] = field(default_factory=list)

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        async def check() -> None:
            await self.registry.check(ETH_CHAIN_ID, "testnet", True)

        async def take(snapshot: Snapshot) -> None:
            self.seen.append(snapshot)

        watcher = Watcher(self.registry, check, self.journal, self.status, take)
        async with anyio.create_task_group() as group:
            group.start_soon(watcher.run, 0.02)
            yield
            group.cancel_scope.cancel()

    async def restart_ethereum(self) -> None:
        """With its state. anvil answers for blocks made after that only, so finalized has to move past it."""
        self.anvil.start()
        await mine(self.ethereum)

    def problem(self) -> Code | None:
        found = self.status.problems.get("ethereum")
        return found.code if found is not None else None

    def versions(self) -> list[int]:
        return [verifier.version for verifier in self.seen[-1].verifiers] if self.seen else []


@pytest.fixture
async def rig(own_anvil: Anvil, tmp_path: Path) -> AsyncIterator[Rig]:
    async with Ethereum(own_anvil.url) as ethereum:
        admin = RegistryAdmin(ethereum, OWNER_KEY)
        registry = await admin.set_up(setup_for(fake_nodes(5)))
        status = Status(registry.address, 1, "0xoperator")
        yield Rig(own_anvil, ethereum, admin, registry, status, tmp_path / "journal.json")


async def test_a_change_of_a_verifier_arrives_when_it_is_final(rig: Rig) -> None:
    await mine(rig.ethereum)
    async with rig.watching():
        await until("the first reading", lambda: rig.versions() == [1])
        await rig.admin.change_verifier(rig.registry, replace(MOCK_GOOGLE, iat_limit_s=60))
        newest = await rig.ethereum.block("latest")
        assert newest is not None
        assert rig.versions() == [1]
        await mine(rig.ethereum)
        await until("the change", lambda: rig.versions() == [2])
        assert rig.seen[-1].block.number >= newest.number
    assert len(rig.seen) == 2


async def test_a_deep_reorganisation_is_read_anew(rig: Rig) -> None:
    await mine(rig.ethereum)
    await rig.admin.change_verifier(rig.registry, replace(MOCK_GOOGLE, iat_limit_s=60))
    await mine(rig.ethereum)
    async with rig.watching():
        await until("the change", lambda: rig.versions() == [2])
        await rig.ethereum.request("anvil_reorg", 5, [])
        await until("the change is gone with its block", lambda: rig.versions() == [1])
        assert rig.status.rescans == 1
        await rig.admin.change_verifier(rig.registry, replace(MOCK_GOOGLE, iat_limit_s=30))
        await mine(rig.ethereum)
        await until("the next change", lambda: rig.versions() == [2])
    assert rig.seen[-1].verifiers[0].iat_limit_s == 30


async def test_an_outage_is_named_and_got_over(rig: Rig) -> None:
    await mine(rig.ethereum)
    async with rig.watching():
        await until("the first reading", lambda: rig.versions() == [1])
        rig.anvil.stop()
        await until("the outage is named", lambda: rig.problem() is Code.UNAVAILABLE)
        assert not rig.status.ethereum_up
        await rig.restart_ethereum()
        await until("it is over", lambda: rig.problem() is None and rig.status.ethereum_up)
        await rig.admin.change_verifier(rig.registry, replace(MOCK_GOOGLE, iat_limit_s=60))
        await mine(rig.ethereum)
        await until("a change after it", lambda: rig.versions() == [2])
    assert rig.status.rescans == 0


async def test_an_ethereum_that_comes_back_empty_is_named(rig: Rig) -> None:
    await mine(rig.ethereum)
    async with rig.watching():
        await until("the first reading", lambda: rig.versions() == [1])
        rig.anvil.stop()
        rig.anvil.start(keep_state=False)
        await until("the loss is named", lambda: rig.problem() is Code.REGISTRY_MISSING)
        assert rig.versions() == [1]
        rig.anvil.stop()
        await rig.restart_ethereum()
        await until("the state is back", lambda: rig.problem() is None)
    assert rig.status.rescans >= 1


async def test_a_restarted_watcher_resumes_and_notices_what_happened_meanwhile(rig: Rig) -> None:
    await mine(rig.ethereum)
    async with rig.watching():
        await until("the first reading", lambda: rig.versions() == [1])
    await rig.admin.change_verifier(rig.registry, replace(MOCK_GOOGLE, iat_limit_s=60))
    await mine(rig.ethereum)
    async with rig.watching():
        await until("the change", lambda: rig.versions() == [2])
    assert rig.status.rescans == 0
    await rig.ethereum.request("anvil_reorg", 5, [])
    async with rig.watching():
        await until("the re-organisation", lambda: rig.versions() == [1])
    assert rig.status.rescans == 1
