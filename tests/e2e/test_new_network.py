"""A whole new chain from an old one's export, on real processes: the same committee, users, keys and addresses.

One test goes on where the one before ended.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from abci_app.snapshots import export_file
from authnet_core.protocol.views import EpochView, PoolView
from tests.e2e.doors import PublicDoor, one_round, two_rounds
from tests.e2e.handovers import USERS, addresses, check_same, keys_of, private_keys, rotate
from tests.e2e.key_checks import check_all_keys, start_session, wait_idle
from tests.e2e.net import CommandFailed, Net, authnet, wait_for
from tests.e2e.networks import QUICK, SMALL_POOL, temporary
from tests.e2e.test_rotation_trouble import serving

pytestmark = [pytest.mark.soak, pytest.mark.e2e, pytest.mark.timeout(1500)]


@dataclass
class Past:
    """What the old chain said, to compare with the new one."""

    net: Net
    file: Path
    addresses: dict[str, str]
    keys: dict[int, tuple[str, str]]
    secrets: dict[str, str]
    opened: dict[str, int]
    """What shares of a key open, without its nonce."""
    pool: PoolView
    height: int


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Past]:
    """A network in its second epoch, the first one's grace not over, exported and stopped."""
    file = tmp_path_factory.mktemp("export") / "export"
    with temporary(5, SMALL_POOL | QUICK, room=8) as net:
        known = addresses(net)
        rotate(net, "--refresh")
        wait_for("the new committee serves", 60, lambda: serving(net) == 2)
        secrets = private_keys(net, USERS[:3])
        opened = {user: one_round(PublicDoor(net), user) for user in USERS[:2]}
        wait_idle(net)
        made = net.cli("chain", "export", "--out", str(file))
        assert (made["signatures"], made["refusals"]) == (5, [])
        another = file.with_name("another")
        options = ("--node", str(net.node(3).path), "--height", str(made["height"]), "--out", str(another))
        alone = command("chain", "export", *options)
        assert (alone["signatures"], alone["export_hash"]) == (1, made["export_hash"])
        assert command("chain", "diff", str(file), str(another))["same"] is True
        for j in (1, 2):
            command("chain", "sign", str(another), "--node", str(net.node(j).path))
        assert len(export_file.read_header(another).signatures) == 3
        assert net.cli("chain", "diff", "1", "4")["same"] is True
        pool = net.query(1, "/pool", PoolView)
        found = Past(net, file, known, keys_of(net), secrets, opened, pool, made["height"])
        authnet("localnet", "down", "--dir", str(net.dir))
        yield found


def command(*words: str) -> dict[str, Any]:
    found = json.loads(authnet(*words, "--json"))
    assert isinstance(found, dict)
    return found


def refused(*words: str) -> tuple[str, str]:
    with pytest.raises(CommandFailed) as caught:
        command(*words)
    return caught.value.error["code"], caught.value.error["message"]


def test_an_export_with_wrong_or_too_few_signatures_begins_nothing(past: Past) -> None:
    node = past.net.node(1).path
    before = (node / "genesis.json").read_bytes()
    three = past.file.with_name("another")
    code, message = refused("chain", "import", str(three), "--node", str(node))
    assert (code, "3 members have signed the export, 4 must" in message) == ("EXPORT_INVALID", True), message
    header = export_file.read_header(past.file)
    names, words = list(header.signatures), list(header.signatures.values())
    turned = dict(zip(names, words[1:] + words[:1], strict=True))
    lies = {
        "each other's": turned,
        "of an unknown member": dict.fromkeys([("03" if n[:2] == "02" else "02") + n[2:] for n in names], words[0]),
        "none": {},
    }
    bad = past.file.with_name("bad")
    for name, signatures in lies.items():
        export_file.write(bad, replace(header, signatures=signatures), export_file.read_chunks(past.file))
        assert refused("chain", "import", str(bad), "--node", str(node))[0] == "EXPORT_INVALID", name
    damaged = bytearray(past.file.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    bad.write_bytes(damaged)
    assert refused("chain", "import", str(bad), "--node", str(node))[0] == "EXPORT_INVALID"
    bad.write_bytes(past.file.read_bytes()[:-100])
    assert refused("chain", "import", str(bad), "--node", str(node))[0] == "EXPORT_INVALID"
    assert (node / "genesis.json").read_bytes() == before
    assert not (node / "genesis.export").exists()


def test_the_same_committee_goes_on_under_another_chain_id(past: Past) -> None:
    net = past.net
    said = [command("chain", "import", str(past.file), "--node", str(net.node(j).path)) for j in net.indexes]
    assert len({(one["chain_id"], one["export_hash"], one["committee_hash"], one["app_hash"]) for one in said}) == 1
    assert said[0]["chain_id"] == f"{net.first.network_id}-2"
    assert len({(net.node(j).path / "genesis.json").read_bytes() for j in net.indexes}) == 1
    assert refused("chain", "import", str(past.file), "--node", str(net.node(2).path))[0] == "EXPORT_INVALID"
    authnet("localnet", "up", "--dir", str(net.dir), timeout=400)
    status = net.status()
    assert (status.chain_id, status.epoch, status.ready) == (said[0]["chain_id"], 2, True)
    assert net.height(1) > past.height
    assert addresses(net) == past.addresses
    check_same(net, past.keys, past.secrets)
    door = PublicDoor(net)
    for user, opened in past.opened.items():
        assert (one_round(door, user), two_rounds(door, user)) == (opened, opened)
    assert net.query(1, "/pool", PoolView).assigned == past.pool.assigned
    assert net.cli("chain", "diff", "1", "5")["same"] is True
    assert net.query(1, "/epoch/1", EpochView).status == "retired"


def test_it_makes_new_keys_for_new_users(past: Past) -> None:
    net = past.net
    begun = start_session(net)
    wait_for("its keys are there", 60, lambda: session_has_keys(net, begun.sid))
    wait_idle(net)
    assert check_all_keys(net) > len(past.keys)


def session_has_keys(net: Net, sid: str) -> bool:
    return any(line["sid"] == sid for line in net.cli_lines("chain", "keys"))


def test_a_new_node_joins_it_and_the_next_committee_takes_over(past: Past) -> None:
    """A node that never was on the old chain begins with the same export, and gets its shares by resharing."""
    net = past.net
    before = keys_of(net)
    done = rotate(net, "--overlap", "4")
    assert (len(done["new"]), done["self_test"]["wrong"]) == (1, [])
    check_same(net, before, past.secrets)
    assert net.cli("chain", "diff", str(done["new"][0]), str(done["stayed"][0]))["same"] is True
