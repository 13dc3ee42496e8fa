"""Two nodes that no longer agree: the block and the keys at which they parted."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from abci_app.state import journal, tables
from authnet.commands.diff import Journal, compare_exports, compare_nodes, name_of
from authnet_core.errors import AuthnetError
from tests.unit.abci.handing_over import lived
from tests.unit.abci.moving import written
from tests.unit.abci.world import World, account


def two(tmp_path: Path) -> tuple[World, World]:
    """The same life on two nodes, in folders as a node has them."""
    worlds = []
    for name in ("one", "two"):
        folder = tmp_path / name / "abci"
        folder.parent.mkdir()
        worlds.append(lived(World(folder)))
    return worlds[0], worlds[1]


def compare(tmp_path: Path, *worlds: World) -> dict[str, object]:
    for world in worlds:
        world.app.close()
    return compare_nodes(*(Journal(tmp_path / name / "run") for name in ("one", "two")))


def test_the_same_life_is_the_same(tmp_path: Path) -> None:
    one, other = two(tmp_path)
    one.block()
    found = compare(tmp_path, one, other)
    assert (found["same"], found["height"], found["compared"]) == (True, other.height, other.height)


def test_the_first_height_and_its_keys_are_named(tmp_path: Path) -> None:
    one, other = two(tmp_path)
    one.send(one.assign(1, account(70)))
    other.send(other.assign(1, account(71)))
    parted = one.height
    for world in (one, other):
        world.send(world.assign(2, account(72)))
    found = compare(tmp_path, one, other)
    assert (found["same"], found["height"], found["parted_before"]) == (False, parted, False)
    keys = found["keys"]
    assert isinstance(keys, list)
    assert {f"account/{account(70).hex()}", f"account/{account(71).hex()}"} < set(keys)
    # Both gave the same key away, to different accounts; the pool's counters are alike.
    assert any(key.startswith("key/") for key in keys)
    assert not any(key.startswith("pool/") for key in keys)


def test_what_one_node_has_on_disk_otherwise_is_found(tmp_path: Path) -> None:
    """A bit of a value that nobody wrote: the next block that reads it gives another hash."""
    one, other = two(tmp_path)
    slot = tables.value(tables.account(account(3)).key)
    other.app.store._db.put(slot, other.app.store._db.get(slot)[:-1] + b"\x7f")
    other.reopen()
    for world in (one, other):
        world.send(world.assign(1, account(3), number=1))
    found = compare(tmp_path, one, other)
    assert (found["same"], found["height"]) == (False, one.height)
    assert found["keys"] == [f"account/{account(3).hex()}"]


def test_nodes_that_parted_before_what_they_remember_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "KEPT", 3)
    one, other = two(tmp_path)
    one.send(one.assign(1, account(70)))
    other.send(other.assign(1, account(71)))
    for _ in range(5):
        one.block()
        other.block()
    found = compare(tmp_path, one, other)
    assert (found["same"], found["parted_before"], found["keys"]) == (False, True, [])


def test_the_journal_forgets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "KEPT", 4)
    world = lived(World(tmp_path / "app"))
    heights = [page["height"] for page in journal.read(world.app.store, 1)]
    assert heights == list(range(world.height - 3, world.height + 1))
    world.app.close()


def test_a_node_without_a_chain_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(AuthnetError, match="no chain"):
        compare_nodes(Journal(tmp_path / "one" / "run"), Journal(tmp_path / "two" / "run"))


def test_exports_are_compared_key_by_key(tmp_path: Path) -> None:
    one, other = two(tmp_path)
    for world in (one, other):
        world.send(world.assign(1, account(70 if world is one else 71)))
    written(one, tmp_path / "a")
    written(other, tmp_path / "b")
    shutil.copy(tmp_path / "a", tmp_path / "c")
    assert compare_exports(tmp_path / "a", tmp_path / "c")["same"] is True
    found = compare_exports(tmp_path / "a", tmp_path / "b")
    assert (found["same"], found["height"]) == (False, one.height)
    assert f"account/{account(70).hex()}" in found["keys"]
    one.block()
    written(one, tmp_path / "d")
    with pytest.raises(AuthnetError, match="not comparable"):
        compare_exports(tmp_path / "a", tmp_path / "d")
    for world in (one, other):
        world.app.close()


def test_keys_have_names() -> None:
    assert name_of(tables.value(tables.PARAMS.key)) == "params"
    assert name_of(tables.value(tables.verifier("google").key)) == "verifier/google"
    assert name_of(tables.value(tables.key(5).key)) == "key/0000000000000005"
    assert name_of(tables.pool_key(5)) == "pool key 0000000000000005"
