from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.component.api.scripted import ScriptedNet, scripted_network

WIDE = "rate_per_s = 100000\nburst = 100000\nbody_timeout_s = 0.5"


@pytest.fixture(scope="module")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """node_api runs on uvloop; so do its tests."""
    return ("asyncio", {"use_uvloop": True})


@pytest.fixture(scope="module")
async def running() -> AsyncIterator[ScriptedNet]:
    async with scripted_network(5, WIDE) as running:
        yield running


@pytest.fixture
def net(running: ScriptedNet) -> ScriptedNet:
    running.forget()
    return running


@pytest.fixture(scope="module")
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
        yield client
