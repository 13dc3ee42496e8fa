"""Fixtures: a shared anvil, one of one's own, a registry whose first epoch is open."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from authnet_runtime.ethereum import Ethereum
from authnet_runtime.registry import Registry
from localnet.registry_admin import RegistryAdmin
from tests.component.epoch.eth_net import OWNER_KEY, Anvil, FakeNode, fake_nodes, setup_for


@pytest.fixture(scope="session")
def anvil(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Anvil]:
    """Shared by tests that only add contracts of their own: blocks are mined on demand."""
    node = Anvil(tmp_path_factory.mktemp("anvil"))
    node.start(keep_state=False)
    yield node
    node.stop()


@pytest.fixture
def own_anvil(tmp_path: Path) -> Iterator[Anvil]:
    """For a test that stops it, re-organises it or needs its clock."""
    node = Anvil(tmp_path)
    node.start()
    yield node
    node.stop()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def late_socket_events() -> None:
    """anyio sets a future when a unix socket becomes readable, also one cancelled in the same turn of the loop."""
    loop = asyncio.get_running_loop()
    handler = loop.get_exception_handler()

    def ignore_late(loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        if handler is not None and not isinstance(context.get("exception"), asyncio.InvalidStateError):
            handler(loop, context)

    loop.set_exception_handler(ignore_late)


@pytest.fixture
async def ethereum(anvil: Anvil) -> AsyncIterator[Ethereum]:
    async with Ethereum(anvil.url) as client:
        yield client


@pytest.fixture
def admin(ethereum: Ethereum) -> RegistryAdmin:
    return RegistryAdmin(ethereum, OWNER_KEY)


@pytest.fixture
def nodes() -> list[FakeNode]:
    return fake_nodes(5)


@pytest.fixture
async def registry(admin: RegistryAdmin, nodes: list[FakeNode]) -> Registry:
    """A set-up network whose epoch 1 is open and empty."""
    return await admin.set_up(setup_for(nodes))
