"""What stands between an announced committee and the keys, on real processes: too few nodes, forged words of readiness
and of shares, tokens of the other committee. Each is refused with its reason, and users notice nothing.

One test goes on where the one before ended.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest

from authnet_core.crypto import secp256k1
from authnet_core.errors import AuthnetError
from authnet_core.protocol.views import EncKeysView, EpochView, HandoverView, ResharesView, ReshareView
from authnet_core.wire import authnet_pb2 as pb
from localnet.stages import registered
from tests.e2e.doors import Ask, PublicDoor, SessionKey, commit_at, everywhere, open_key
from tests.e2e.forgeries import Forger, again, identity_of, stranger
from tests.e2e.handovers import USERS, check_same, keys_of, places, private_keys
from tests.e2e.net import AUTHNET, ROOT, CommandFailed, Net, authnet, wait_for
from tests.e2e.networks import QUICK, SMALL_POOL, temporary
from tests.e2e.test_rotation_trouble import begin, last_end, phase_of, until_phase
from tests.e2e.travellers import VERIFIER

pytestmark = [pytest.mark.soak, pytest.mark.e2e, pytest.mark.timeout(1500)]
LIMITS = {"join_wait_ms": 2_000, "handover_max_ms": 90_000, "serve_delay_ms": 15_000}
POOL = {"pool_low": 160, "pool_high": 200}
"""Enough batches that they are not all moved at once."""
SECRETS = USERS[:2]


@pytest.fixture(scope="module")
def gated() -> Iterator[Net]:
    with temporary(5, SMALL_POOL | QUICK | LIMITS | POOL, room=16) as net:
        yield net


def send_ready_node(net: Net, forger: Forger, key: bytes, body_epoch: int, epoch: int, app_hash: bytes = b"") -> str:
    status = net.query(places(net).indexes[0], "/status", dict[str, Any])
    message = pb.ReadyNode(
        epoch=epoch,
        height=status["height"],
        app_hash=app_hash or bytes.fromhex(status["app_hash"]),
        service_key=bytes.fromhex("02" + "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"),
    )
    return forger.send(key, body_epoch, ready_node=message)


def test_no_switch_with_too_few_ready_and_no_word_of_others_counts(gated: Net) -> None:
    """Two of the next five never come: it waits, refuses what is said in their name, is given up with its reason."""
    before, secrets = keys_of(gated), private_keys(gated, SECRETS)
    plan = begin(gated, "--overlap", "3", "--notice-s", "20")
    epoch, old = plan["epoch"], plan["from_epoch"]
    stays, gone = plan["stayed"][0], plan["new"]
    keepers = [gated.pid(index, "p2p_dkg") for index in gone]
    wait_for("all have registered", 60, lambda: registered(places(gated), epoch) == (5, 5))
    for keeper in keepers:
        os.kill(keeper, signal.SIGSTOP)  # at once, before it can say that it is ready
    for index in gone:
        gated.kill_node(index)
    absent = identity_of(gated, gone[0])
    until_phase(gated, "joining")
    joining = time.monotonic()
    forger, member = Forger(gated, stays), identity_of(gated, stays)
    wait_for("three are ready", 60, lambda: awaited(gated) == [1, 2])
    assert send_ready_node(gated, forger, stranger(), epoch, epoch) == "NOT_A_MEMBER"
    assert send_ready_node(gated, forger, absent, old, old) == "WRONG_EPOCH"
    assert send_ready_node(gated, forger, absent, epoch, old) == "MALFORMED"
    assert send_ready_node(gated, forger, absent, epoch, epoch, b"\x07" * 32) == "APP_HASH_UNKNOWN"
    assert send_ready_node(gated, forger, member, epoch, epoch) == "ALREADY_DONE"
    said = forger.find("ready_node", secp256k1.pub(member))
    assert said is not None
    assert forger.broadcast(said) in ("SEEN_BEFORE", "IN_CACHE")
    assert Forger(gated, plan["stayed"][1]).broadcast(said) in ("SEEN_BEFORE", "IN_CACHE")
    assert forger.broadcast(again(member, said, gated.height(stays) + 30)) == "ALREADY_DONE"
    assert private_keys(gated, SECRETS) == secrets
    # Long past `join_wait_ms`, with which n'-t' would have gone on.
    wait_for("time to pass", 30, lambda: time.monotonic() - joining > 5 * LIMITS["join_wait_ms"] / 1000)
    seen = handover(gated)
    assert (seen["phase"], awaited(gated)) == ("joining", [1, 2])
    wait_for("it is given up", 200, lambda: not phase_of(gated), every=0.5)
    end = last_end(gated)
    assert (end.epoch, end.outcome) == (epoch, "timed-out")
    assert end.reason == "not done in time, while joining; not ready: next members 1, 2"
    assert gated.status().epoch == old
    check_same(gated, before, secrets)
    gated.cli("epoch", "abort", str(epoch))


def handover(net: Net) -> dict[str, Any]:
    found = net.cli("epoch", "status")["handover"]
    assert isinstance(found, dict)
    return found


def awaited(net: Net) -> list[int]:
    """Who holds it up, as `epoch status` says."""
    return sorted({held["index"] for held in handover(net)["held_up_by"]})


@contextmanager
def watching(net: Net, out: IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """`authnet epoch status --watch`, as an operator leaves it open."""
    argv = [str(AUTHNET), "epoch", "status", "--watch", "--json", "--dir", str(net.dir)]
    process = subprocess.Popen(argv, cwd=ROOT, stdout=out)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)


def test_forged_words_of_shares_and_tokens_of_the_other_committee(gated: Net, tmp_path: Path) -> None:
    """One of the next five dies with its shares half there: the rest goes on, what is said in its name is refused."""
    before, secrets = keys_of(gated), private_keys(gated, SECRETS)
    plan = begin(gated, "--overlap", "3", "--notice-s", "3")
    epoch, old, stays, late = plan["epoch"], plan["from_epoch"], plan["stayed"][0], plan["new"][1]
    until_phase(gated, "announced")
    absent, member = identity_of(gated, late), identity_of(gated, stays)
    with (tmp_path / "watch").open("wb") as out, watching(gated, out) as watch:
        # Ready, with encryption keys, and then silent: the others wait for its READY of each batch.
        keeper = gated.pid(late, "p2p_dkg")
        wait_for("it has joined", 60, lambda: has_joined(gated, stays, epoch, 2), every=0.02)
        os.kill(keeper, signal.SIGSTOP)
        check_forged_ready(gated, Forger(gated, stays), epoch, old, absent, member)
        gated.kill_node(late)
        wait_for("the new committee is in charge", 200, lambda: gated.status().epoch == epoch, every=0.2)
        check_tokens_around_the_switch(gated, epoch, old, plan)
        watch.wait(60)
    check_watched((tmp_path / "watch").read_text(), epoch)
    gated.start_node(late)
    check_same(gated, before, secrets)
    wait_for("who was late holds all", 60, lambda: holds_all(gated, late), every=0.5)


def has_joined(net: Net, at: int, epoch: int, party: int) -> bool:
    """Whether the chain has a next member's READY_NODE and an encryption key of it."""
    try:
        view, keys = net.query(at, "/handover", HandoverView), net.query(at, f"/enckeys/{epoch}", EncKeysView)
    except AuthnetError:
        return False
    ready = any(node.index == party for node in view.ready_nodes)
    return ready and any(m.index == party and m.last >= m.first for m in keys.members)


def check_forged_ready(net: Net, forger: Forger, epoch: int, old: int, absent: bytes, member: bytes) -> None:
    """`absent`: identity key of the one that is silent, for whose READY all wait ten seconds. `member`: another's."""

    def waiting() -> ReshareView | None:
        open_ = net.query(forger.at, "/reshares", ResharesView).open
        return next((view for view in open_ if view.phase == "ready" and len(view.readies) >= 3), None)

    view = wait_for("a resharing waits for the last READY", 60, waiting, every=0.05)
    wrong = pb.ReshareReady(rid=bytes.fromhex(view.rid), hash=b"\x07" * 32)
    assert forger.send(absent, epoch, ready=wrong) == "ROOT_MISMATCH"
    assert forger.send(stranger(), epoch, ready=wrong) == "NOT_A_MEMBER"
    assert forger.send(member, old, ready=wrong) == "WRONG_EPOCH"
    assert forger.send(absent, epoch, chain_id="localnet-9", ready=wrong) == "WRONG_CHAIN"
    said = wait_for("a READY in a block", 20, lambda: forger.find("ready", secp256k1.pub(member)))
    assert forger.broadcast(said) in ("SEEN_BEFORE", "IN_CACHE")
    assert forger.broadcast(again(member, said, net.height(forger.at) + 30)) == "ALREADY_DONE"


def check_tokens_around_the_switch(net: Net, epoch: int, old: int, plan: dict[str, Any]) -> None:
    """Nodes of the former committee saw a token: at the new one it binds nobody's key, whatever receipts it gives."""
    door, user, victim, thief = PublicDoor(net), USERS[0], SessionKey.fresh(), SessionKey.fresh()
    former = list(places(net).committee(old))
    seen, kept = net.token(VERIFIER, user), net.token(VERIFIER, user)
    papers = commit_at(door, former, seen, victim, VERIFIER)
    assert open_key(door, Ask(VERIFIER, user, seen, papers), victim, former)
    receipts = commit_at(door, former, kept, victim, VERIFIER)
    stays = plan["stayed"][0]
    assert serving_at(net, stays) == old, "the test was too slow for serve_delay_ms"
    wait_for("the new committee serves", 60, lambda: serving_at(net, stays) == epoch)
    others = [index for index in plan["nodes"] if index != plan["new"][1]]
    for token, former_papers in ((seen, papers), (kept, receipts)):
        given = everywhere(others, lambda j, t=token: door.commit(j, t, thief, VERIFIER))
        fresh = tuple(a.paper for a in given.values() if a.paper)
        assert {a.code for a in given.values()} <= {"", "DUPLICATE_TOKEN", "EPOCH_MOVED", "RECEIPT_LOG_YOUNG"}
        for papers_ in (fresh, former_papers + fresh):
            answers = everywhere(others, lambda j, t=token, p=papers_: door.share(j, Ask(VERIFIER, user, t, p, thief)))
            # Who stayed serves the former committee's tokens on, with that one's receipts, to the victim's key alone.
            assert {a.code for a in answers.values()} <= {"", "EPOCH_MOVED", "RECEIPTS_TOO_FEW", "BAD_PARAMS"}
            for answer in answers.values():
                if answer.released:
                    with pytest.raises(ValueError, match="MAC"):
                        answer.released.open(thief)
    gone = [index for index in former if index not in plan["nodes"]]
    refused = everywhere(gone, lambda j: door.commit(j, net.token(VERIFIER, user), thief, VERIFIER))
    assert {a.code for a in refused.values()} == {"EPOCH_MOVED"}


def serving_at(net: Net, j: int) -> int:
    return net.query(j, "/epoch/serving", EpochView).epoch


def check_watched(text: str, epoch: int) -> None:
    """What the operator's screen showed of the hand-over: phases in order, matrices, pace, who was awaited."""
    shown = [json.loads(line)["handover"] for line in text.splitlines()]
    during = [line for line in shown if line is not None]
    phases = list(dict.fromkeys(line["phase"] for line in during))
    assert phases == [p for p in ("announced", "joining", "resharing", "switching") if p in phases]
    assert "resharing" in phases
    assert {line["epoch"] for line in during} == {epoch}
    moved = [line["batches_done"] for line in during]
    assert moved == sorted(moved)
    assert moved[-1] > 0
    marks = {mark for line in during for view in line["reshares"] for row in view["matrix"] for mark in row}
    assert {"Q", "a", "."} & marks
    assert any(line["keys_s"] for line in during)
    assert any(line["eta_ms"] is not None for line in during)
    awaited = {(h["side"], h["index"], h["what"]) for line in during for h in line["held_up_by"]}
    assert ("new", 2, "READY") in awaited
    assert shown[-1] is None, "it ends when no hand-over is under way"


def holds_all(net: Net, j: int) -> bool:
    return any(node.index == j and node.holds_all for node in net.status().nodes)


# -- what the commands say when they refuse


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("epoch", "abort", "1"), "ALREADY_DONE"),
        (("epoch", "abort", "77"), "REGISTRY_REFUSED"),
        (("epoch", "reject", "77", "--index", "3"), "NO_HANDOVER"),
        (("epoch", "announce"), "CONFIG"),
        (("epoch", "announce", "--operator", "0x12"), "CONFIG"),
        (("epoch", "announce", *("--operator", "0x" + "11" * 20) * 5), "CONFIG"),
    ],
)
def test_a_refused_command_says_code_cause_and_cure(gated: Net, words: tuple[str, ...], code: str) -> None:
    with pytest.raises(CommandFailed) as caught:
        gated.cli(*words)
    error = caught.value.error
    assert error.get("code") == code, error
    assert error.get("message")
    assert error.get("cure")


def test_the_runbook_s_commands_do_what_it_says(gated: Net) -> None:
    """As the owner and an operator type them who have no local network: an Ethereum node, a key, a node's folder."""
    owner = ("--rpc", gated.first.eth["rpc"], "--registry", gated.first.eth["registry"])
    owner = (*owner, "--key", str(gated.dir / "eth" / "owner.key"))
    node = ("--node", str(gated.node(4).path / "node.toml"))
    opened = typed("announce", "--refresh", "--notice-s", "3600", *owner)
    serves = [member.operator for member in gated.query(4, "/epoch/current", EpochView).members]
    assert opened["operators"] == serves
    until_phase(gated, "announced")
    shown = typed("status", *node)["handover"]
    assert (shown["epoch"], shown["phase"]) == (opened["epoch"], "announced")
    typed("reject", str(opened["epoch"]), *node)
    wait_for("one rejects", 30, lambda: len(typed("status", *node)["handover"]["rejected"]) == 1, every=0.3)
    with pytest.raises(CommandFailed) as twice:
        typed("reject", str(opened["epoch"]), *node)
    assert twice.value.error["code"] == "ALREADY_DONE"
    assert typed("abort", str(opened["epoch"]), *node, *owner)["aborted"] is True
    wait_for("the chain has dropped it", 60, lambda: not phase_of(gated))
    # One that waits for operators who never come is in the way of the next one, and the refusal says so.
    waits = typed("announce", *(w for j in range(1, 6) for w in ("--operator", f"0x{j:040x}")), *owner)
    with pytest.raises(CommandFailed) as early:
        typed("announce", "--refresh", *owner)
    assert early.value.error["code"] == "REGISTRY_REFUSED"
    assert "PreviousNotStarted" in early.value.error["message"]
    typed("abort", str(waits["epoch"]), *owner)
    with pytest.raises(CommandFailed) as stranger_:
        typed("announce", "--refresh", *owner[:-1], str(gated.node(4).path / "eth.key"))
    assert stranger_.value.error["code"] == "REGISTRY_REFUSED"
    assert "OwnableUnauthorizedAccount" in stranger_.value.error["message"]


def typed(*words: str) -> dict[str, Any]:
    found = json.loads(authnet("epoch", *words, "--json"))
    assert isinstance(found, dict)
    return found


def test_epoch_one_is_what_it_was(gated: Net) -> None:
    """Nothing of the refused records is left: two hand-overs are behind, one came to nothing."""
    first = gated.query(places(gated).indexes[0], "/epoch/1", EpochView)
    assert first.status == "retired"
