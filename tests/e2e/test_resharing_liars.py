"""Hand-overs with liars among the old and among the new members, on real processes: they complete, no key changes, and
who can be named is named."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

import pytest

from authnet_core.errors import AuthnetError
from authnet_core.protocol.views import BatchView, EpochView
from tests.e2e.handovers import USERS, check_same, keys_of, private_keys, rotate
from tests.e2e.key_checks import wait_ready
from tests.e2e.net import ROOT, Net, socket_call, wait_for
from tests.e2e.networks import QUICK, SMALL_POOL, temporary
from tests.e2e.test_rotation_trouble import begin, last_end, until_phase
from tests.liars.resharing import COMPANY, LATE_COMPLAINT, NAMED, NEW_LIES, NONCES, OLD_LIES

pytestmark = [pytest.mark.soak, pytest.mark.e2e, pytest.mark.timeout(1500)]
LIAR = ROOT / "tests" / "liars" / "keeper.py"
ONE_BATCH = {"first_rows": 64, "rows": 64, "pool_low": 60, "pool_high": 150}
"""192 keys, 12 of them masks: hand-over after hand-over without new keys."""
WAITS = {"join_wait_ms": 8_000, "reshare_attempts": 3}
OLD, NEW = 2, 5
"""Who lies as a present member and who as a next one, in a refresh, where party and node are the same number."""
JUNK = "junk-recovery"
"""Told only when another member has to be recovered."""
PAIRS = list(
    zip_longest([lie for lie in OLD_LIES if lie not in NONCES], [lie for lie in NEW_LIES if lie != JUNK], fillvalue="")
)


@pytest.fixture(scope="module")
def lied_to() -> Iterator[Net]:
    """Five nodes with keepers that lie as told."""
    with temporary(5, SMALL_POOL | QUICK | ONE_BATCH | WAITS, room=16) as net:
        for node in net.indexes:
            net.kill_node(node)
            program = {"p2p_dkg": f"{LIAR} as-told"}
            socket_call(net.dir / "run" / "daemon.sock", "start", {"node": node, "programs": program})
        wait_ready(net)
        yield net


def tell(net: Net, lies: dict[int, str]) -> None:
    """What each node lies from now on, nothing if it is not named; what they told before is forgotten."""
    for node in net.indexes:
        run = net.node(node).path / "run"
        (run / "lies").unlink(missing_ok=True)
        (run / "lie").write_text(lies.get(node, ""))


def told(net: Net, node: int) -> list[str]:
    path = net.node(node).path / "run" / "lies"
    return path.read_text().splitlines() if path.exists() else []


def convictions(net: Net) -> list[dict[str, Any]]:
    return net.cli_lines("blame", "show")


@pytest.mark.parametrize(("old", "new"), PAIRS)
def test_one_old_and_one_new_liar_change_nothing_and_are_named(lied_to: Net, old: str, new: str) -> None:
    before, secrets, known = keys_of(lied_to), private_keys(lied_to, USERS[:2]), len(convictions(lied_to))
    tell(lied_to, {OLD: old, NEW: new})
    done = rotate(lied_to, "--refresh")
    found = convictions(lied_to)[known:]
    print(f"{old}: {told(lied_to, OLD)}; {new}: {told(lied_to, NEW)}")
    print([(one["epoch"], one["convict"], one["accuser"], one["reason"]) for one in found])
    assert done["self_test"]["wrong"] == []
    check_same(lied_to, before, secrets)
    assert told(lied_to, OLD) or not old
    assert told(lied_to, NEW) or not new
    right = {(done["from_epoch"], OLD)} if old in NAMED else set()
    right |= {(done["epoch"], NEW)} if new in NAMED else set()
    assert {(one["epoch"], one["convict"]) for one in found} == right


def test_a_member_that_was_cheated_and_is_late_gets_its_shares_in_spite_of_a_liar(lied_to: Net) -> None:
    """The old liar is in Q' when its victim complains; of those that help the victim one sends junk."""
    before, secrets, known = keys_of(lied_to), private_keys(lied_to, USERS[:2]), len(convictions(lied_to))
    helped = 0
    for _ in range(12):  # the order of dealers is drawn: with 3 of 5 in Q' the liar may be left out, not so often
        tell(lied_to, {OLD: "one-bad-share", OLD + 1: LATE_COMPLAINT, NEW: JUNK})
        done = rotate(lied_to, "--refresh")
        assert done["self_test"]["wrong"] == []
        batch = lied_to.query(1, f"/batch/{done['epoch']}/0", BatchView)
        assert batch.holders == tuple(lied_to.indexes)
        helped += len(told(lied_to, NEW))
        if helped:
            break
    assert helped
    found = convictions(lied_to)[known:]
    assert {(one["convict"], one["accuser"]) for one in found} == {(OLD, OLD + 1)}
    check_same(lied_to, before, secrets)


def test_a_company_of_all_old_members_changes_no_key(lied_to: Net) -> None:
    """Their sharings of another key fit each other: the hand-over ends, they serve on, the next one goes through."""
    before, secrets, known = keys_of(lied_to), private_keys(lied_to, USERS[:2]), convictions(lied_to)
    epoch = lied_to.status().epoch
    tell(lied_to, dict.fromkeys(lied_to.indexes, COMPANY))
    plan = begin(lied_to, "--refresh")
    wait_for("the hand-over ends", 120, lambda: last_end(lied_to).epoch == plan["epoch"])
    assert (last_end(lied_to).outcome, lied_to.status().epoch) == ("timed-out", epoch)
    print(last_end(lied_to))
    assert all(told(lied_to, node).count(f"{COMPANY} deal") == WAITS["reshare_attempts"] for node in lied_to.indexes)
    assert convictions(lied_to) == known, "nobody can tell who lies"
    check_same(lied_to, before, secrets)
    tell(lied_to, {})
    lied_to.cli("epoch", "abort", str(plan["epoch"]))
    assert rotate(lied_to, "--refresh")["self_test"]["wrong"] == []
    check_same(lied_to, before, secrets)


def test_a_new_member_gets_the_nonces_though_every_old_one_keeps_one_back(lied_to: Net) -> None:
    """Another one each: whoever is asked first, a second one has to be asked."""
    before, secrets, known = keys_of(lied_to), private_keys(lied_to, USERS[:2]), convictions(lied_to)
    tell(lied_to, dict.fromkeys(lied_to.indexes, "zero-nonces"))
    done = rotate(lied_to, "--overlap", "4")
    assert done["self_test"]["wrong"] == []
    assert sum(bool(told(lied_to, node)) for node in lied_to.indexes) >= 2
    assert convictions(lied_to) == known, "no transaction shows it"
    check_same(lied_to, before, secrets)


def test_one_old_and_one_new_member_are_absent_and_shown(lied_to: Net) -> None:
    """To a disjoint committee. The last test: the network is not whole afterwards."""
    before, secrets, known = keys_of(lied_to), private_keys(lied_to, USERS[:2]), convictions(lied_to)
    tell(lied_to, {})
    lied_to.kill_node(OLD)
    plan = begin(lied_to)
    until_phase(lied_to, "announced", "joining")  # before, the owner of the registry could put another in its place
    lied_to.cli("localnet", "kill", str(plan["new"][NEW - 1]))
    awaited: set[frozenset[tuple[str, int]]] = set()

    def is_serving() -> bool:
        shown = lied_to.cli("epoch", "status")["handover"]
        awaited.add(frozenset((held["side"], held["index"]) for held in shown["held_up_by"]) if shown else frozenset())
        try:
            return lied_to.query(plan["new"][0], "/epoch/serving", EpochView).epoch == plan["epoch"]
        except AuthnetError:  # its chain has not come to the first epoch yet
            return False

    wait_for("the new committee serves", 150, is_serving, every=1.0)
    print(f"awaited: {[sorted(found) for found in awaited]}")
    assert {frozenset({("old", OLD)}), frozenset({("new", NEW)})} <= awaited
    assert convictions(lied_to) == known, "to be away is no lie"
    check_same(lied_to, before, secrets)
