"""The end of the old committee: when its grace is over its members erase what they had, and say so; the others, and
what a node in both committees has of the new one, are as before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import trio

from authnet_core.protocol.views import EpochView
from p2p_dkg.doors.dev import DevDoor
from p2p_dkg.doors.state import KeeperState
from p2p_dkg.keystore.shares import ShareShelf
from tests.component.keeper.test_sessions import run
from tests.component.keeper.two_committees import OLD, TwoCommittees
from tests.component.keeper.world import until

LONG = 100.0
NEW = (4, 5, 6, 7, 8)
CUTS = {1: "erase:epoch:before", 2: "erase:epoch:after", 3: "submit:erased:before", 4: "submit:erased:after"}


def test_the_old_committee_erases_itself_whatever_dies_when(tmp_path: Path) -> None:
    world = TwoCommittees(tmp_path, NEW, grace_ms=60_000)
    for number, node in world.nodes.items():
        node.erases = True
        node.faults.point = CUTS.get(number, "")

    async def check(nursery: trio.Nursery) -> None:
        await world.rotate(nursery)
        await until(lambda: world.epoch == 2, LONG)
        old: EpochView = world.chain.query("/epoch/1", EpochView)
        assert old.grace_ends_ms > old.serving_until_ms > world.chain.time_ms - 10_000
        copies = {number: _ciphertexts(world, number) for number in OLD}
        world.chain.block(step_ms=old.grace_ends_ms - world.chain.time_ms - 5_000)  # its grace is not over yet
        world.check_keys(1, OLD)
        await until(lambda: len(world.nodes[5].runner.membership.committees.former) == 1, LONG)
        await _check_shown(world, 5, {1: ("former", 5, False), 2: ("current", 2, True)})
        assert await _dev_shares(world, 5, 1) != await _dev_shares(world, 5, 2) != []
        await until(lambda: len(world.chain.query("/epoch/1", EpochView).erased) == len(OLD), LONG)
        assert world.chain.time_ms >= old.grace_ends_ms
        for number, point in CUTS.items():
            assert world.nodes[number].deaths[-1:] == [point]
        for number in OLD:
            assert copies[number]
            _check_gone(world, number)
            assert not copies[number] & _ciphertexts(world, number)
        assert world.check_keys(2, NEW) >= 20
        await until(lambda: not world.nodes[5].runner.membership.committees.former, LONG)
        await _check_shown(world, 5, {1: ("over", 0, None), 2: ("current", 2, True)})
        assert not [number for number in NEW[2:] if 1 in world.nodes[number].keystore.epochs()]

    run(world, check)


def _ciphertexts(world: TwoCommittees, number: int) -> set[bytes]:
    folder = world.nodes[number].folder / "keeper" / "epochs" / "1" / "batches"
    return {entry.read_bytes() for entry in folder.iterdir()}


def _state(world: TwoCommittees, number: int) -> KeeperState:
    node = world.nodes[number]
    mesh: Any = node.mesh
    return KeeperState(node.keystore, mesh, node.runner, node.watch, dev=True)


def _places_shown(world: TwoCommittees, number: int) -> dict[int, tuple[str, int, bool | None]]:
    """Epoch -> role, index, whether it serves."""
    entries = _state(world, number).show()["epochs"]
    return {entry["epoch"]: (entry["role"], entry["index"], entry.get("serving")) for entry in entries}


async def _check_shown(world: TwoCommittees, number: int, wanted: dict[int, tuple[str, int, bool | None]]) -> None:
    """What `status` says of each epoch once its chain has told it; and how much is held."""
    await until(lambda: _places_shown(world, number) == wanted, LONG)
    shown = {entry["epoch"]: entry for entry in _state(world, number).show()["epochs"]}
    for epoch, entry in shown.items():
        files = world.nodes[number].keystore.epoch(epoch)
        assert (entry["held"], entry["erased"]) == (len(files.held), files.is_erased)
        assert files.is_erased == (entry["role"] == "over")


async def _dev_shares(world: TwoCommittees, number: int, epoch: int) -> list[str]:
    """The shares a development network shows, as a member of an epoch."""
    node = world.nodes[number]
    chain: Any = node.reader
    door = DevDoor(chain, node.keystore, ShareShelf(node.keystore, chain), _state(world, number), node.folder)
    nobody: Any = None
    found = await door.shares({"epoch": epoch}, nobody)
    keystore = node.keystore
    for batch in world.batches(epoch):
        rows = keystore.epoch(epoch).batch(bytes.fromhex(batch.id)) or b""
        for line in found[batch.first_index : batch.first_index + batch.count]:
            at = 64 * (line["index"] - batch.first_index)
            assert line["share"] == rows[at : at + 32].hex()
            assert line["x"] == node.runner.membership.index_in(epoch)
    return [line["share"] for line in found]


def _check_gone(world: TwoCommittees, number: int) -> None:
    """Nothing of epoch 1 is served, nor can be made again; in this life and after a restart."""
    keystore = world.nodes[number].keystore
    files = keystore.epoch(1)
    assert files.is_erased
    assert not any([files.held, files.reveal(), files.waiting.secrets])
    made = {batch.id for batch in world.batches(1)}
    assert not made & {name.hex() for name in keystore.sessions()}
    left = {entry.name for entry in (keystore.folder / "epochs" / "1").rglob("*")}
    assert left == {"batches", "erased"}
