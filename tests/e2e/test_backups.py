"""Nodes of a running network are lost and come back: from a backup, from one that is older than the epoch, from an old
copy of their folder. None signs a height twice, none deals anew, and users notice nothing.

One test goes on where the one before ended.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from authnet_core.protocol.views import EpochView, SessionView
from tests.e2e.handovers import USERS, addresses, check_same, keys_of, private_keys, rotate
from tests.e2e.key_checks import (
    assign,
    check_all_keys,
    if_final,
    session,
    shares_of,
    start_session,
    wait_idle,
    wait_ready,
)
from tests.e2e.net import CommandFailed, Net, authnet, wait_for
from tests.e2e.networks import QUICK, SMALL_POOL, temporary
from tests.e2e.test_rotation_trouble import serving

pytestmark = [pytest.mark.soak, pytest.mark.e2e, pytest.mark.timeout(1500)]


@pytest.fixture(scope="module")
def lossy() -> Iterator[Net]:
    with temporary(5, SMALL_POOL | QUICK) as net:
        addresses(net)
        yield net


@pytest.fixture(scope="module")
def safe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where backups and passphrases are kept, apart from the nodes."""
    return tmp_path_factory.mktemp("safe")


def node_command(*words: object) -> dict[str, Any]:
    found = json.loads(authnet("node", *map(str, words), "--json"))
    assert isinstance(found, dict)
    return found


def refusal(*words: object) -> str:
    with pytest.raises(CommandFailed) as caught:
        node_command(*words)
    assert caught.value.error["cure"]
    return str(caught.value.error["code"])


def back_up(net: Net, j: int, safe: Path, name: str) -> Path:
    node = net.node(j).path
    shutil.copy(node / "passphrase", safe / f"passphrase{j}")
    made = node_command("backup", "--node", node, "--out", safe / name)
    assert made["identity"] == net.ops(j, "identity")["identity_pub"]
    return safe / name


def dies_after_its_deal(net: Net, j: int) -> str:
    """Start a session and end node j when the chain has its deal and not its part of the end. Returns the sid."""
    keeper = net.pid(j, "p2p_dkg")
    begun = start_session(net)
    wait_for("it has dealt", 30, lambda: j in session(net, 1, begun.sid).deals, every=0.01)
    os.kill(keeper, signal.SIGSTOP)
    net.kill_node(j)
    assert j not in session(net, 1, begun.sid).finals, "the session was quicker than the test"
    return begun.sid


def lose_and_restore(net: Net, j: int, backup: Path) -> int:
    """The disk of a dead node is gone; its backup is restored. Returns the height up to which it is mute."""
    folder = net.node(j).path
    shutil.rmtree(folder)
    secret = backup.with_name(f"passphrase{j}")
    peers = [word for other in net.indexes if other != j for word in ("--peer", net.node(other).api)]
    done = node_command("restore", backup, "--node", folder, "--passphrase-file", secret, *peers)
    net.start_node(j)
    return int(done["signs_after"])


def signers(net: Net, at: int, height: int) -> set[str]:
    """Addresses of the validators that signed a block."""
    commit = net.comet(at, "commit", {"height": str(height)})["signed_header"]["commit"]
    return {one["validator_address"] for one in commit["signatures"] if one["block_id_flag"] == 2}


def until_it_signs(net: Net, at: int, address: str, after: int) -> int:
    """Make blocks until a validator signs one; its height."""

    def found() -> int:
        assign(net, at)
        top = net.height(at) - 1
        return next((h for h in range(max(1, top - 3), top + 1) if h > after and address in signers(net, at, h)), 0)

    return wait_for("the restored node signs again", 60, found, every=0.2)


def check_no_evidence(net: Net, at: int) -> None:
    """Nobody was caught signing a height twice."""
    for height in range(1, net.height(at)):
        block = net.comet(at, "block", {"height": str(height)})["block"]
        assert not block["evidence"]["evidence"], height


def test_a_backup_proves_that_it_opens(lossy: Net, safe: Path) -> None:
    node = lossy.node(5).path
    wait_idle(lossy)
    out = back_up(lossy, 5, safe, "first")
    found = node_command("restore", out, "--drill", "--node", node)
    assert (found["compared"], found["missing_batches"], found["epochs_to_forget"]) == (True, 0, [])
    assert found["shares"] == {"1": len(shares_of(lossy, 5))}
    whole, bad = out.read_bytes(), safe / "bad"
    for damaged in (whole[:-1], whole[: len(whole) // 2], whole[:200] + bytes([whole[200] ^ 1]) + whole[201:], b"junk"):
        bad.write_bytes(damaged)
        assert refusal("restore", bad, "--drill", "--node", node) == "BACKUP_INVALID"
    (safe / "wrong").write_text("not the passphrase\n")
    (safe / "wrong").chmod(0o600)
    code = refusal("restore", out, "--drill", "--node", node, "--passphrase-file", safe / "wrong")
    assert code == "WRONG_PASSPHRASE"
    # A session later the drill says that it is time for another one.
    begun = start_session(lossy)
    wait_for("its keys", 60, lambda: if_final(lossy, 1, begun.sid))
    wait_idle(lossy)
    assert node_command("restore", out, "--drill", "--node", node)["missing_batches"] >= 1


def test_a_lost_node_comes_back_and_neither_signs_nor_deals_twice(lossy: Net, safe: Path) -> None:
    before, secrets = keys_of(lossy), private_keys(lossy, USERS[:2])
    address = json.loads((lossy.node(5).path / "cometbft/config/priv_validator_key.json").read_text())["address"]
    backup = back_up(lossy, 5, safe, "second")
    sid = dies_after_its_deal(lossy, 5)
    died, dealt = lossy.height(1), session(lossy, 1, sid).deals[5]
    mute = lose_and_restore(lossy, 5, backup)
    wait_ready(lossy)
    signed = until_it_signs(lossy, 1, address, mute)
    assert not any(address in signers(lossy, 1, h) for h in range(died + 2, mute + 1))
    assert signed > mute > died + 2
    # What it dealt in its former life stays its one deal, and it says nothing more there.
    end = wait_for("the session ends", 60, lambda: if_final(lossy, 1, sid))
    assert end.deals[5] == dealt
    assert 5 not in end.finals, "it took part in a session of its former life"
    wait_for("it deals in a new session", 90, lambda: deals_anew(lossy, 5))
    wait_idle(lossy)
    check_no_evidence(lossy, 1)
    check_same(lossy, before, secrets)


def deals_anew(net: Net, j: int) -> bool:
    begun = start_session(net)
    end = wait_for("the session ends", 60, lambda: if_final(net, 1, begun.sid))
    return j in end.deals


def test_an_old_copy_of_a_folder_deals_in_no_session_that_it_may_have_dealt_in(lossy: Net, tmp_path: Path) -> None:
    """A file system that is put back has an old journal: the node would deal other values under the same name."""
    folder, old = lossy.node(3).path, tmp_path / "old"
    before, secrets = keys_of(lossy), private_keys(lossy, USERS[:2])
    lossy.kill_node(3)
    shutil.copytree(folder, old, ignore=lambda _, names: [n for n in names if n.endswith(".sock")])
    lossy.start_node(3)
    wait_ready(lossy)
    sid = dies_after_its_deal(lossy, 3)
    dealt = session(lossy, 1, sid).deals[3]
    shutil.rmtree(folder)
    shutil.copytree(old, folder)
    lossy.start_node(3)
    wait_ready(lossy)
    end: SessionView = wait_for("the session ends", 60, lambda: if_final(lossy, 1, sid))
    assert end.deals[3] == dealt
    assert 3 not in end.finals, "it took part in a session of its former life"
    wait_for("it deals in a new session", 90, lambda: deals_anew(lossy, 3))
    wait_idle(lossy)
    check_no_evidence(lossy, 1)
    check_same(lossy, before, secrets)


def test_a_backup_from_before_the_switch(lossy: Net, safe: Path) -> None:
    """It brings the node back to its committee with nothing to serve, until the next refresh gives it shares."""
    backup = back_up(lossy, 4, safe, "old")
    before, secrets = keys_of(lossy), private_keys(lossy, USERS[:2])
    rotate(lossy, "--refresh")
    wait_for("the new committee serves", 60, lambda: serving(lossy) == 2)
    drilled = node_command("restore", backup, "--drill", "--node", lossy.node(4).path)
    assert (drilled["compared"], list(drilled["shares"])) == (True, ["1"])
    assert drilled["missing_batches"] >= 1, "the drill does not say that the shares of the present epoch are missing"
    lossy.kill_node(4)
    lose_and_restore(lossy, 4, backup)
    wait_ready(lossy)
    assert lossy.query(4, "/epoch/current", EpochView).epoch == 2, "it is ready while it goes through the past"
    assert shares_of(lossy, 4) == {}
    check_same(lossy, before, secrets)
    done = rotate(lossy, "--refresh")
    assert done["self_test"]["wrong"] == []
    wait_for("the new committee serves", 60, lambda: serving(lossy) == 3)
    assert set(before) <= set(shares_of(lossy, 4))
    wait_idle(lossy)
    check_all_keys(lossy)
    check_same(lossy, before, secrets)
    check_no_evidence(lossy, 1)


def test_what_the_old_backup_opened_is_erased_again(lossy: Net, safe: Path) -> None:
    """The restored node had shares of the first epoch once more: it erases them when their grace is over."""
    wait_for("all have erased epoch 1", 100, lambda: len(lossy.query(1, "/epoch/1", EpochView).erased) == 5, every=1)
    epochs = lossy.node(4).path / "keeper" / "epochs"
    assert (epochs / "1" / "erased").exists()
    assert not (epochs / "1" / "epoch.key").exists()
    drilled = node_command("restore", safe / "old", "--drill", "--node", lossy.node(4).path)
    assert drilled["epochs_to_forget"] == [1]
