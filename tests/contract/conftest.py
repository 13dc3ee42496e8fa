"""A scripted network in a background thread, so that commands run as a person runs them: with their own loop."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from anyio.from_thread import start_blocking_portal

from tests.component.api.scripted import ScriptedNet, scripted_network


@pytest.fixture(scope="module")
def running() -> Iterator[ScriptedNet]:
    with start_blocking_portal() as portal:
        network = scripted_network(5, "rate_per_s = 100000\nburst = 100000")
        with portal.wrap_async_context_manager(network) as net:
            yield net


@pytest.fixture
def net(running: ScriptedNet) -> ScriptedNet:
    running.forget()
    return running


@pytest.fixture
def folder(net: ScriptedNet, tmp_path: Path) -> Path:
    """A --dir whose network.json names the scripted network."""
    (tmp_path / "network.json").write_text(json.dumps(msgspec.to_builtins(net.network)))
    return tmp_path
