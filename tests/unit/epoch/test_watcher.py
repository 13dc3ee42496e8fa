"""The watcher against a made-up Ethereum: every way in which the past or the node can change."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from authnet_core.errors import AuthnetError, Code
from authnet_runtime.ethereum import BlockRef
from authnet_runtime.registry import NEVER_S, Registry, Snapshot
from epoch_manager.status import Status
from epoch_manager.watcher import MAX_LOG_RANGE, READ_EVERY, STORE_EVERY, Watcher

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class World:
    """An Ethereum whose blocks have the hash "<fork>-<number>", and the contract on it."""

    finalized: int = 10
    forks: dict[int, str] = field(default_factory=dict)
    down: bool = False
    missing: bool = False
    emitted: set[int] = field(default_factory=set)
    due_s: int = NEVER_S
    address: str = "0xregistry"
    reads: int = 0
    checks: int = 0
    log_calls: int = 0
    asked: list[int | str] = field(default_factory=list)

    @property
    def ethereum(self) -> World:
        return self

    async def block(self, which: int | str) -> BlockRef | None:
        self.asked.append(which)
        if self.down:
            raise AuthnetError(Code.UNAVAILABLE, "down")
        number = self.finalized if isinstance(which, str) else which
        if number > self.finalized:
            return None
        return BlockRef(number, self._hash(number), 1_000 + number, self._hash(number - 1))

    def _hash(self, number: int) -> str:
        fork = max((at for at in self.forks if at <= number), default=-1)
        return f"{self.forks.get(fork, 'main')}-{number}"

    async def has_changed(self, first: int, last: int) -> bool:
        self.log_calls += 1
        return any(first <= at <= last for at in self.emitted)

    async def snapshot(self, at: BlockRef) -> Snapshot:
        self.reads += 1
        return Snapshot(at, (), (), self.due_s)

    async def check(self) -> None:
        self.checks += 1
        if self.missing:
            raise AuthnetError(Code.REGISTRY_MISSING, "no contract")


class Rig:
    def __init__(self, world: World, folder: Path) -> None:
        self.status = Status("0xregistry", 1, "0xoperator")
        self.seen: list[Snapshot] = []
        journal = folder / "journal.json"
        self.watcher = Watcher(cast(Registry, world), world.check, journal, self.status, self.take)

    async def take(self, snapshot: Snapshot) -> None:
        self.seen.append(snapshot)


async def poll(rig: Rig, world: World, **changes: Any) -> None:
    for name, value in changes.items():
        setattr(world, name, value)
    await rig.watcher.poll()


async def test_a_silent_registry_is_read_once(tmp_path: Path) -> None:
    world = World()
    rig = Rig(world, tmp_path)
    await poll(rig, world)
    await poll(rig, world)
    await poll(rig, world, finalized=11)
    await poll(rig, world, finalized=15)
    assert (world.reads, world.checks, world.log_calls) == (1, 1, 2)
    assert rig.status.finalized is not None
    assert rig.status.finalized.number == 15


async def test_the_next_block_names_the_one_before_it_and_no_other_is_asked_for(tmp_path: Path) -> None:
    world = World(finalized=20)
    rig = Rig(world, tmp_path)
    await rig.watcher.poll()
    world.asked.clear()
    world.finalized = 21
    await rig.watcher.poll()
    assert world.asked == ["finalized"]
    world.finalized, world.forks = 22, {21: "other"}
    await rig.watcher.poll()
    assert (world.asked[1:3], rig.status.rescans) == (["finalized", 21], 1), "its parent is not the stored block"


async def test_an_event_is_read_once(tmp_path: Path) -> None:
    world = World(emitted={12})
    rig = Rig(world, tmp_path)
    await poll(rig, world)
    await poll(rig, world, finalized=12)
    await poll(rig, world, finalized=13)
    assert [s.block.number for s in rig.seen] == [10, 12]


async def test_a_change_that_falls_due_is_read_without_an_event(tmp_path: Path) -> None:
    world = World(due_s=1_013)
    rig = Rig(world, tmp_path)
    await poll(rig, world)
    await poll(rig, world, finalized=12)
    await poll(rig, world, finalized=13)
    assert [s.block.number for s in rig.seen] == [10, 13]


async def test_a_long_absence_is_read_anew_without_logs(tmp_path: Path) -> None:
    world = World()
    rig = Rig(world, tmp_path)
    await poll(rig, world)
    await poll(rig, world, finalized=11 + MAX_LOG_RANGE)
    assert (world.reads, world.log_calls) == (2, 0)


async def test_an_event_whose_logs_an_ethereum_node_lacked_is_read_later(tmp_path: Path) -> None:
    world = World()
    rig = Rig(world, tmp_path)
    for number in range(10, 11 + READ_EVERY):
        await poll(rig, world, finalized=number)
    assert [s.block.number for s in rig.seen] == [10, 10 + READ_EVERY]


async def test_a_reorganisation_below_finalized_is_read_anew(tmp_path: Path) -> None:
    world = World()
    rig = Rig(world, tmp_path)
    await poll(rig, world)
    await poll(rig, world, finalized=12, forks={9: "other"})
    assert (world.reads, world.checks, rig.status.rescans) == (2, 2, 1)
    await poll(rig, world, finalized=13)
    assert world.reads == 2


async def test_a_reorganisation_while_this_node_was_down_is_noticed(tmp_path: Path) -> None:
    world = World()
    await poll(Rig(world, tmp_path), world)
    restarted = Rig(world, tmp_path)
    await poll(restarted, world, finalized=14, forks={8: "other"})
    assert restarted.status.rescans == 1
    assert len(restarted.seen) == 1


async def test_a_restart_resumes_from_the_stored_block(tmp_path: Path) -> None:
    world = World()
    await poll(Rig(world, tmp_path), world)
    restarted = Rig(world, tmp_path)
    await poll(restarted, world, finalized=14)
    assert restarted.status.rescans == 0
    assert len(restarted.seen) == 1


async def test_a_node_that_lags_is_waited_for(tmp_path: Path) -> None:
    world = World()
    rig = Rig(world, tmp_path)
    await poll(rig, world)
    with pytest.raises(AuthnetError, match="behind") as refusal:
        await poll(rig, world, finalized=7)
    assert refusal.value.code is Code.UNAVAILABLE
    await poll(rig, world, finalized=11)
    assert (rig.status.rescans, world.reads) == (0, 1)


async def test_an_ethereum_that_lost_its_state_is_named(tmp_path: Path) -> None:
    world = World()
    rig = Rig(world, tmp_path)
    await poll(rig, world)
    for _ in range(2):
        with pytest.raises(AuthnetError) as refusal:
            await poll(rig, world, finalized=3, forks={0: "new"}, missing=True)
        assert refusal.value.code is Code.REGISTRY_MISSING
    assert rig.status.rescans == 1
    await poll(rig, world, missing=False)
    assert world.reads == 2


async def test_a_lost_state_that_comes_back_is_taken_up(tmp_path: Path) -> None:
    world = World()
    rig = Rig(world, tmp_path)
    await poll(rig, world)
    with pytest.raises(AuthnetError):
        await poll(rig, world, finalized=3, forks={0: "new"}, missing=True)
    await poll(rig, world, finalized=12, forks={}, missing=False)
    assert [s.block.hash for s in rig.seen] == ["main-10", "main-12"]


async def test_an_outage_changes_nothing(tmp_path: Path) -> None:
    world = World()
    rig = Rig(world, tmp_path)
    await poll(rig, world)
    with pytest.raises(AuthnetError):
        await poll(rig, world, down=True)
    await poll(rig, world, down=False, finalized=11)
    assert (world.reads, rig.status.rescans) == (1, 0)


async def test_a_failed_reading_is_repeated(tmp_path: Path) -> None:
    world = World(emitted={11})
    rig = Rig(world, tmp_path)
    await poll(rig, world)
    real, world.snapshot = world.snapshot, None  # type: ignore[method-assign,assignment]
    with pytest.raises(TypeError):
        await poll(rig, world, finalized=11)
    world.snapshot = real  # type: ignore[method-assign]
    await poll(rig, world)
    assert [s.block.number for s in rig.seen] == [10, 11]


async def test_the_stored_block_is_written_now_and_then(tmp_path: Path) -> None:
    world = World()
    rig = Rig(world, tmp_path)
    await poll(rig, world)
    first = (tmp_path / "journal.json").read_bytes()
    await poll(rig, world, finalized=9 + STORE_EVERY)
    assert (tmp_path / "journal.json").read_bytes() == first
    await poll(rig, world, finalized=10 + STORE_EVERY)
    assert (tmp_path / "journal.json").read_bytes() != first
