"""A local network that went on from an export: what clients and nodes that come later are told about its chain."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from localnet import folders
from localnet.discovery import network_json
from localnet.places import Places


@pytest.fixture
def places(tmp_path: Path) -> Places:
    found = Places(tmp_path, 5, 20_000, "localnet-t")
    found.save()
    for index in found.indexes:
        found.node_dir(index).mkdir()
    return found


def test_clients_are_told_the_chain_that_genesis_names(places: Places) -> None:
    assert (network_json(places)["chain_id"], network_json(places)["genesis_hash"]) == ("localnet-t-1", "")
    (places.node_dir(3) / "genesis.json").write_text(json.dumps({"chain_id": "localnet-t-2"}))
    told = network_json(places)
    assert told["chain_id"] == "localnet-t-2"
    assert len(told["genesis_hash"]) == 64


def test_who_comes_later_is_given_what_the_chain_began_with(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a chain that began on Ethereum's word nobody is given anything: each node derives it."""
    monkeypatch.setattr(folders, "settings", lambda *_, **__: None)
    monkeypatch.setattr(folders.node_folder, "create", lambda folder, _: folder.mkdir())
    (places.node_dir(2) / "genesis.json").write_text("first")
    (places.node_dir(1) / "genesis_params.json").write_text("{}")
    folders.make_later(places, [6], 2)
    assert sorted(path.name for path in places.node_dir(6).iterdir()) == ["genesis_params.json"]
    (places.node_dir(2) / "genesis.json").write_text("moved")
    (places.node_dir(2) / "genesis.export").write_text("state")
    folders.make_later(places, [7], 3)
    assert (places.node_dir(7) / "genesis.json").read_text() == "moved"
    assert (places.node_dir(7) / "genesis.export").read_text() == "state"
