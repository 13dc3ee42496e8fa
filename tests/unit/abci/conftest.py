"""Worlds at several stages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.abci.handover_world import announce, next_record, phase
from tests.unit.abci.world import World


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[World]:
    """A chain with one empty block."""
    world = World(tmp_path / "app")
    world.block()
    yield world
    world.app.close()


@pytest.fixture
def world(fresh: World) -> World:
    """The first epoch is in charge, nothing else."""
    fresh.begin_epoch()
    return fresh


@pytest.fixture
def joining(world: World) -> World:
    """Epoch 2 is announced and its notice over."""
    announce(world, next_record())
    world.block()
    assert phase(world) == "joining"
    return world


@pytest.fixture
def dealing(world: World) -> World:
    """The first session has just started."""
    world.announce()
    world.block()
    return world


@pytest.fixture
def pooled(fresh: World) -> World:
    """A pool of 192 keys (n = 5) and a verifier."""
    fresh.fill_pool()
    return fresh
