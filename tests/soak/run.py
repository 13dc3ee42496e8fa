"""A soak: kill what the plan says, see it come back by itself, and at the end find every node with the same truth."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from authnet_core.errors import AuthnetError
from authnet_core.protocol.accounts import account_id
from authnet_core.protocol.views import AccountView, KeyView, PoolView, SessionsView
from tests.e2e.key_checks import check_all_keys, door_is_open, key_list, wait_idle, wait_ready
from tests.e2e.net import Net, wait_for
from tests.soak.load import PAUSE_S, Load, Record
from tests.soak.plan import Kill, counted, draw

BACK_S = 45.0
STEP_S = 25.0
Say = Callable[[str], None]


@dataclass
class Outcome:
    """What a soak found."""

    kills: list[Kill]
    in_session: int = 0
    slowest_s: float = 0.0
    heights: int = 0
    keys: int = 0
    record: Record = field(default_factory=Record)


def soak(net: Net, kills: int, seed: int, say: Say = print, pause_s: float = PAUSE_S) -> Outcome:
    """`pause_s`: of each thread of the load between two calls. Raises AssertionError naming what did not hold."""
    outcome = Outcome(draw(kills, seed, net.n))
    say(f"seed {seed}: {kills} kills: " + ", ".join(f"{n} {p}" for p, n in sorted(counted(outcome.kills).items())))
    with Load(net, seed, pause_s) as load:
        outcome.record = load.record
        wait_for("the first accounts", 60, lambda: len(load.record.keys) > 3)
        for kill in outcome.kills:
            _carry_out(net, kill, load.record, outcome, say)
    say("load stopped; comparing the nodes")
    wait_ready(net)
    wait_idle(net)
    outcome.heights = check_hashes(net)
    check_assignments(net, outcome.record)
    outcome.keys = check_all_keys(net)
    _summary(outcome, say)
    return outcome


def _carry_out(net: Net, kill: Kill, record: Record, outcome: Outcome, say: Say) -> None:
    witness = kill.node % net.n + 1
    if kill.step:
        _wait_for_step(net, witness, kill.step)
    else:
        time.sleep(kill.pause_s)
    step = _step(net, witness)
    flying = record.flying
    old = net.kill_process(kill.node, kill.process)
    began = time.monotonic()
    wait_for(f"{kill.process} of node {kill.node} to come back", BACK_S, lambda: _is_back(net, kill, old), every=0.1)
    took = time.monotonic() - began
    outcome.in_session += step != "none"
    outcome.slowest_s = max(outcome.slowest_s, took)
    say(
        f"kill {kill.number:3d}  node {kill.node}  {kill.process:13s}  session step {step:9s}  "
        f"logins in flight {flying}  back in {took:4.1f} s  accounts {len(record.keys)}"
    )


def _step(net: Net, j: int) -> str:
    """Phase of the newest open session, as node j sees it."""
    try:
        found = net.query(j, "/sessions", SessionsView).open
    except AuthnetError:
        return "unknown"
    return found[-1].phase if found else "none"


def _wait_for_step(net: Net, j: int, step: str) -> None:
    """The load uses keys up, so a session starts by itself. Another phase will do if this one does not show itself."""
    end = time.monotonic() + STEP_S
    while time.monotonic() < end:
        seen = _step(net, j)
        if seen == step or (seen not in ("none", "unknown") and time.monotonic() > end - STEP_S / 2):
            return
        time.sleep(0.01)


def _is_back(net: Net, kill: Kill, old: int) -> bool:
    """A new process, and the whole node answers: its chain moves with the others, its door is open."""
    pid = net.pids().get((kill.node, kill.process))
    if pid is None or pid == old:
        return False
    other = kill.node % net.n + 1
    try:
        if net.height(kill.node) < net.height(other) - 3:
            return False
        net.ops(kill.node, "identity")
    except AuthnetError:
        return False
    return door_is_open(net, kill.node)


def check_hashes(net: Net) -> int:
    """App hashes at equal heights are equal on all nodes. Returns how many heights were compared."""
    lists = [
        {row["height"]: row["app_hash"] for row in net.cli_lines("chain", "hashes", "--node", str(j), "--from", "1")}
        for j in net.indexes
    ]
    common = set.intersection(*(set(found) for found in lists))
    assert len(common) > 10, "too few common heights to compare"
    for height in sorted(common):
        assert len({found[height] for found in lists}) == 1, f"app hashes differ at height {height}"
    return len(common)


def check_assignments(net: Net, record: Record) -> None:
    """Each account that got an answer has that key, at every node, and nobody else has it."""
    assert not record.doubled, f"accounts that were given two keys: {record.doubled[:5]}"
    assert not record.wrong, f"logins that opened another key: {record.wrong[:5]}"
    assert len(set(record.keys.values())) == len(record.keys), "one key was given to two accounts"
    for user, key in record.keys.items():
        account = account_id(net.first.network_id, "mock-google", user).hex()
        for j in net.indexes:
            found = net.query(j, f"/account/{account}?curve=secp256k1", AccountView)
            assert [view.Y for view in found.keys] == [key], f"node {j} has another key for {user}"
    keys: list[KeyView] = key_list(net, 1)
    owners = [view.account_id for view in keys if not view.free and not view.mask]
    assert len(owners) == len(set(owners)), "an account has two keys"
    assert net.query(1, "/pool", PoolView).assigned == len(owners), "the pool counts other assignments"


def _summary(outcome: Outcome, say: Say) -> None:
    record = outcome.record
    say(
        f"held: {len(outcome.kills)} kills, {outcome.in_session} during a session, slowest return "
        f"{outcome.slowest_s:.1f} s; {len(record.keys)} accounts, {outcome.keys} keys, "
        f"app hashes equal at {outcome.heights} heights"
    )
    for name, counts in (("look-ups", record.lookups), ("logins", record.logins)):
        say(f"{name}: " + ", ".join(f"{count} {what}" for what, count in sorted(counts.items())))


def flush(text: str) -> None:
    print(text, flush=True)
    sys.stdout.flush()
