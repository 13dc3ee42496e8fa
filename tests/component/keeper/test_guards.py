"""What stops a keeper or keeps it out: forks, restored disks, another network's chain."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import trio

from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.views import EncKeysView, SessionsView
from authnet_runtime.chain import BlockNote
from p2p_dkg.keystore.store import SeenBlock, open_keystore
from p2p_dkg.runner.watch import ChainWatch, header_time_ms
from tests.component.keeper.test_sessions import check_keys, finals, run, sessions
from tests.component.keeper.world import Node, World, until


class Notes:
    """A chain that says what the test tells it to."""

    def __init__(self, *notes: BlockNote) -> None:
        self._notes = notes

    async def blocks(self) -> Any:
        for note in self._notes:
            yield note


class Headers:
    """CometBFT's headers by height."""

    def __init__(self, headers: dict[int, tuple[str, str]]) -> None:
        self._headers = headers

    async def get(self, method: str, params: dict[str, str]) -> Any:
        found = self._headers.get(int(params["height"]))
        if found is None:
            raise AuthnetError(Code.BAD_PARAMS, "height is not available")
        return {"header": {"time": found[0], "app_hash": found[1]}}


@pytest.fixture
def keystore(tmp_path: Path) -> Any:
    passphrase = tmp_path / "passphrase"
    passphrase.write_text("x")
    passphrase.chmod(0o600)
    store = open_keystore(tmp_path / "keeper", "test", passphrase, 2)
    store.bind_chain("test-1", 1)
    return store


def follow(keystore: Any, *notes: BlockNote) -> ChainWatch:
    chain: Any = Notes(*notes)
    watch = ChainWatch(chain, keystore)
    trio.run(watch.run)
    return watch


def note(height: int, app_hash: str = "aa", time_ms: int = 1000) -> BlockNote:
    return BlockNote(height, time_ms * height, app_hash)


def test_blocks_in_order_are_followed(keystore: Any) -> None:
    watch = follow(keystore, note(1), note(2), note(2), note(3))
    assert watch.newest == note(3)


@pytest.mark.parametrize("other", [note(7, "bb"), BlockNote(7, 1, "aa")])
def test_another_block_at_a_remembered_height_stops_the_keeper(keystore: Any, other: BlockNote) -> None:
    keystore.see(SeenBlock(7, 7000, "aa"))
    with pytest.raises(AuthnetError) as caught:
        follow(keystore, note(6), other)
    assert caught.value.code is Code.FORK_SEEN


def test_two_blocks_of_one_height_stop_the_keeper(keystore: Any) -> None:
    with pytest.raises(AuthnetError) as caught:
        follow(keystore, note(5), note(5, "bb"))
    assert caught.value.code is Code.FORK_SEEN


def history(keystore: Any, headers: dict[int, tuple[str, str]], within: float = 5) -> None:
    chain: Any = Notes(note(20))
    comet: Any = Headers(headers)

    async def check() -> None:
        watch = ChainWatch(chain, keystore)
        await watch.run()
        with trio.fail_after(within):
            await watch.check_history(comet)
        assert not watch.is_behind

    trio.run(check)


def test_history_that_agrees_lets_the_keeper_go_on(keystore: Any) -> None:
    keystore.see(SeenBlock(7, 7000, "aa"))
    history(keystore, {7: ("1970-01-01T00:00:07Z", ""), 8: ("1970-01-01T00:00:08Z", "AA")})


@pytest.mark.parametrize(("time", "app_hash"), [("1970-01-01T00:00:07.001Z", "AA"), ("1970-01-01T00:00:07Z", "BB")])
def test_history_that_changed_while_the_keeper_was_down_stops_it(keystore: Any, time: str, app_hash: str) -> None:
    keystore.see(SeenBlock(7, 7000, "aa"))
    with pytest.raises(AuthnetError) as caught:
        history(keystore, {7: (time, ""), 8: ("", app_hash)})
    assert caught.value.code is Code.FORK_SEEN


def test_a_history_that_is_not_there_is_waited_for_and_not_acted_on(keystore: Any) -> None:
    keystore.see(SeenBlock(7, 7000, "aa"))
    with pytest.raises(trio.TooSlowError):
        history(keystore, {}, within=0.3)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:01Z", 1000),
        ("1970-01-01T00:00:01.5Z", 1500),
        ("1970-01-01T00:00:01.123456789Z", 1123),
        ("2026-11-21T12:33:34.000999Z", 1795264414000),
    ],
)
def test_header_times_are_read_to_the_millisecond(text: str, expected: int) -> None:
    assert header_time_ms(text) == expected


def test_the_newest_block_acted_on_is_on_disk(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def check(nursery: trio.Nursery) -> None:
        for node in world.nodes.values():
            nursery.start_soon(node.run)
        await until(lambda: bool(finals(world)))
        seen = world.nodes[1].keystore.seen
        assert seen is not None
        assert seen.height >= sessions(world)[0].h0

    run(world, check)


def test_a_restored_disk_stays_out_of_open_sessions_and_announces_new_keys(tmp_path: Path) -> None:
    world = World(tmp_path)
    victim = world.nodes[2]
    victim.faults.point = "store:deal"

    async def check(nursery: trio.Nursery) -> None:
        for node in world.nodes.values():
            if node is not victim:
                nursery.start_soon(node.run)
        await victim.run()  # ends right after its deal is on disk
        before = world.chain.query("/sessions", SessionsView).open[0]
        restore(victim)
        nursery.start_soon(victim.run)
        await until(lambda: bool(finals(world)))
        assert world.chain.deals(world.pubs[1]) == []
        assert before.sid == sessions(world)[0].sid
        assert 2 not in sessions(world)[0].q
        await until(
            lambda: len([k for _, k, raw in world.chain.included if k == "enckey" and world.pubs[1] in raw]) > 1
        )
        announced = world.chain.query("/enckeys", EncKeysView)
        assert announced.members[1].last >= announced.next_counter
        check_keys(world, [1, 3, 4, 5])

    run(world, check)


def restore(node: Node) -> None:
    """Put the node's folder back from a copy."""
    copy = node.folder.with_name("copy")
    shutil.copytree(node.folder / "keeper", copy)
    shutil.rmtree(node.folder / "keeper")
    os.mkdir(node.folder / "keeper", 0o700)
    shutil.copytree(copy, node.folder / "keeper", dirs_exist_ok=True)


def test_another_networks_chain_is_refused_by_name(tmp_path: Path) -> None:
    world = World(tmp_path)
    node = world.nodes[1]

    async def check(nursery: trio.Nursery) -> None:
        nursery.start_soon(node.run)
        await until(lambda: node.is_bound)
        with pytest.raises(AuthnetError) as caught:
            await node.runner.bind("other")
        assert caught.value.message.startswith("node.network_id:")

    run(world, check)


def test_a_stopped_cometbft_delays_and_loses_nothing(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def check(nursery: trio.Nursery) -> None:
        for node in world.nodes.values():
            nursery.start_soon(node.run)
        await trio.sleep(0.1)
        for node in world.nodes.values():
            node.comet.is_down = True
        await trio.sleep(0.5)
        for node in world.nodes.values():
            node.comet.is_down = False
        await until(lambda: bool(finals(world)))

    run(world, check)


def test_a_chain_behind_the_keepers_memory_is_not_acted_on(tmp_path: Path) -> None:
    world = World(tmp_path)
    victim = world.nodes[2]
    keystore = victim.open()
    keystore.bind_chain("test-1", 1)
    keystore.see(SeenBlock(10_000, 1, "aa"))

    async def check(nursery: trio.Nursery) -> None:
        for node in world.nodes.values():
            nursery.start_soon(node.run)
        await until(lambda: bool(finals(world)))
        assert not any(world.pubs[1] in raw for _, kind, raw in world.chain.included if kind != "observe")

    run(world, check)
