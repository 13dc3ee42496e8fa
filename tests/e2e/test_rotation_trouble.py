"""Hand-overs that are called off, rejected or disturbed: the present committee serves on, the next try goes through."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.views import EpochView, HandoverEndView, HandoverView
from tests.e2e.handovers import USERS, addresses, check_same, keys_of, places, private_keys, rotate
from tests.e2e.net import CommandFailed, Net, wait_for
from tests.e2e.networks import QUICK, SMALL_POOL, temporary

pytestmark = [pytest.mark.soak, pytest.mark.e2e, pytest.mark.timeout(1500)]
LONG_NOTICE_S = 3_600


@pytest.fixture(scope="module")
def calm() -> Iterator[Net]:
    with temporary(5, SMALL_POOL | QUICK, room=24) as net:
        yield net


def phase_of(net: Net) -> str:
    """Of the hand-over under way, empty without one."""
    try:
        return net.query(places(net).indexes[0], "/handover", HandoverView).phase
    except AuthnetError as absent:
        if absent.code is not Code.NOT_FOUND:
            raise
        return ""


def begin(net: Net, *options: str) -> dict[str, Any]:
    plan = net.cli("localnet", "rotate", *options, "--wait-s", "0", timeout=180)
    assert isinstance(plan, dict)
    return plan


def until_phase(net: Net, *phases: str) -> str:
    return wait_for(f"the phase is {phases}", 60, lambda: found if (found := phase_of(net)) in phases else None)


def last_end(net: Net) -> HandoverEndView:
    ends = net.query(places(net).indexes[0], "/handovers", list[HandoverEndView])
    return ends[0]


def test_the_owner_calls_it_off_and_nothing_is_lost(calm: Net) -> None:
    known, before = addresses(calm), keys_of(calm)
    plan = begin(calm, "--overlap", "4", "--notice-s", str(LONG_NOTICE_S))
    until_phase(calm, "announced")
    shown = calm.cli("epoch", "status")["handover"]
    assert (shown["epoch"], shown["phase"]) == (plan["epoch"], "announced")
    calm.cli("epoch", "abort", str(plan["epoch"]))
    wait_for("the chain has dropped it", 60, lambda: not phase_of(calm))
    assert (last_end(calm).epoch, last_end(calm).outcome) == (plan["epoch"], "aborted")
    assert calm.status().epoch == 1
    wait_for("the nodes that came for it are stopped", 60, lambda: set(plan["new"]) <= places(calm).retired)
    assert addresses(calm) == known
    check_same(calm, before, private_keys(calm, USERS[:2]))


def test_more_than_t_members_reject_what_the_owner_announced(calm: Net) -> None:
    plan = begin(calm, "--overlap", "4", "--notice-s", str(LONG_NOTICE_S))
    until_phase(calm, "announced")
    calm.cli("epoch", "reject", str(plan["epoch"]), "--index", "1")
    wait_for("one rejects it", 20, lambda: calm.cli("epoch", "status")["handover"]["rejected"] == [1])
    assert phase_of(calm) == "announced"
    calm.cli("epoch", "reject", str(plan["epoch"]), "--index", "4")
    wait_for("the chain has dropped it", 60, lambda: not phase_of(calm))
    assert (last_end(calm).epoch, last_end(calm).outcome) == (plan["epoch"], "rejected")
    with pytest.raises(CommandFailed) as caught:
        calm.cli("epoch", "reject", str(plan["epoch"]))
    assert caught.value.error["code"] == "NO_HANDOVER"
    # A started epoch stays in the registry until its owner takes it out of the way.
    calm.cli("epoch", "abort", str(plan["epoch"]))


def test_epoch_managers_may_be_killed_in_every_phase(calm: Net) -> None:
    """After two epochs that came to nothing the third goes through, though processes are killed at each step."""
    before, secrets = keys_of(calm), private_keys(calm, USERS[:2])
    plan = begin(calm, "--overlap", "2")
    for round_, phase in enumerate(("", "announced joining", "resharing switching")):
        wait_for(f"before {phase}", 120, lambda phase=phase: is_past(calm, plan["epoch"], phase))
        for index in plan["nodes"][round_:]:
            kill_quietly(calm, index)
    wait_for("the new committee is in charge", 200, lambda: calm.status().epoch == plan["epoch"], every=1.0)
    wait_for("it serves", 60, lambda: serving(calm) == plan["epoch"])
    check_same(calm, before, secrets)


def is_past(net: Net, epoch: int, phases: str) -> bool:
    return not phases or phase_of(net) in phases.split() or net.status().epoch == epoch


def kill_quietly(net: Net, index: int) -> None:
    """kill -9 of the epoch manager; one that is just being started is left alone."""
    try:
        net.cli("localnet", "kill", str(index), "epoch_manager")
    except CommandFailed as refused:
        if refused.error.get("code") != "UNAVAILABLE":
            raise


def serving(net: Net) -> int:
    return net.query(places(net).indexes[-1], "/epoch/serving", EpochView).epoch


def test_a_second_rotation_follows_at_once(calm: Net) -> None:
    before = keys_of(calm)
    began = time.monotonic()
    done = rotate(calm, "--refresh")
    assert done["from_epoch"] + 1 == done["epoch"], time.monotonic() - began
    assert done["self_test"]["wrong"] == []
    check_same(calm, before, private_keys(calm, USERS[:1]))
