"""What stands between the registry and the keys, on real processes: false records, rewritten registries, forged words
of readiness, too few nodes, tokens of the other committee. Each is refused with its reason, and users notice nothing.

One test goes on where the one before ended.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import msgspec
import pytest

from authnet_core.errors import AuthnetError
from authnet_core.protocol.committee import Committee
from authnet_core.protocol.views import EpochView, HandoverView, ResharesView, ReshareView
from authnet_core.wire import authnet_pb2 as pb
from authnet_runtime.registry import Registry
from authnet_runtime.registry_state import EpochState, EpochStatus, epoch_record
from localnet import ethereum
from localnet.registry_admin import RegistryAdmin
from tests.e2e.doors import Ask, PublicDoor, SessionKey, commit_at, everywhere, open_key
from tests.e2e.forgeries import Forger, Problem, again, changed, identity_of, stranger
from tests.e2e.net import AUTHNET, ROOT, CommandFailed, Net, socket_call, wait_for
from tests.e2e.networks import SMALL_POOL, temporary
from tests.e2e.test_ethereum import as_owner
from tests.e2e.test_rotation import QUICK, USERS, VERIFIER, check_same, keys_of, places, private_keys
from tests.e2e.test_rotation_trouble import begin, last_end, phase_of, serving, until_phase

pytestmark = [pytest.mark.soak, pytest.mark.e2e, pytest.mark.timeout(1500)]
LIMITS = {"join_wait_ms": 2_000, "handover_max_ms": 120_000, "serve_delay_ms": 15_000}
LONG_NOTICE_S = 3_600
SECRETS = USERS[:2]


@pytest.fixture(scope="module")
def gated() -> Iterator[Net]:
    with temporary(5, SMALL_POOL | QUICK | LIMITS, room=16) as net:
        yield net


# -- the registry


def problems(net: Net, j: int, where: str) -> list[Problem]:
    """What node j's epoch manager complains of in this place."""
    try:
        found = socket_call(net.node(j).path / "run" / "epoch.sock", "status")["problems"]
    except AuthnetError:
        return []
    return [problem for problem in msgspec.convert(found, list[Problem]) if problem.where == where]


def until_all_refuse(net: Net, epoch: int, text: str) -> None:
    """Every epoch manager names the record that the rules refuse, and why."""

    def named() -> bool:
        found = [problems(net, j, f"epoch {epoch}") for j in net.indexes]
        return all(some and some[0].code == "RECORD_REFUSED" and text in some[0].message for some in found)

    wait_for(f"all epoch managers say: {text}", 60, named, every=0.3)


class Owner:
    """The registry's owner, and the Ethereum chain below."""

    def __init__(self, net: Net) -> None:
        self._net, self.rpc = net, net.first.eth["rpc"]

    def announce(self, committee: Committee, operators: list[str], notice_s: int = 0) -> int:
        found: list[int] = []

        async def act(admin: RegistryAdmin, registry: Registry) -> None:
            number = await registry.last_epoch() + 1
            await admin.open_epoch(registry, number, committee, operators, notice_s=notice_s)
            found.append(number)

        as_owner(self._net, act)
        return found[0]

    def abort(self, epoch: int) -> None:
        as_owner(self._net, lambda admin, registry: admin.abort_epoch(registry, epoch))

    def epoch(self, number: int, *, final: bool = False) -> EpochState | None:
        """The contract's entry in the newest or the finalized block."""
        found: list[EpochState | None] = []

        async def act(_: RegistryAdmin, registry: Registry) -> None:
            block = await registry.ethereum.block("finalized") if final else None
            found.append(await registry.epoch(number, block))

        as_owner(self._net, act)
        return found[0]

    def has_started(self, number: int, *, final: bool = False) -> bool:
        state = self.epoch(number, final=final)
        return state is not None and state.status is EpochStatus.STARTED

    @property
    def operators(self) -> list[str]:
        """Of the committee in charge, in party order."""
        first = self.epoch(1)
        assert first is not None
        return [member.operator for member in first.members]

    @contextmanager
    def slow_blocks(self) -> Iterator[None]:
        """Each transaction has a block of its own and no other block is made: the newest two are not final."""
        ethereum.call(self.rpc, "evm_setIntervalMining", 0)
        ethereum.call(self.rpc, "evm_setAutomine", True)
        try:
            yield
        finally:
            ethereum.call(self.rpc, "evm_setAutomine", False)
            ethereum.call(self.rpc, "evm_setIntervalMining", 1)

    def snapshot(self) -> str:
        return str(ethereum.call(self.rpc, "evm_snapshot"))

    def rewrite(self, snapshot: str) -> None:
        """The chain is what it was then, and goes on in another way."""
        assert ethereum.call(self.rpc, "evm_revert", snapshot) is True


def members_announced(net: Net) -> list[str]:
    """Operators of the next committee, as the chain has it."""
    at = places(net).indexes[0]
    return [member.operator for member in net.query(at, "/handover", HandoverView).committee.members]


def test_a_committee_that_is_not_sound_comes_through_no_gate(gated: Net) -> None:
    """n = 5 with k = 4 breaks n >= k + 2t: the contract reverts, the chain refuses, whoever brings the record."""
    owner = Owner(gated)
    with pytest.raises(AuthnetError) as caught:
        owner.announce(Committee(5, 4, 1), owner.operators)
    assert (caught.value.code, caught.value.detail.get("error")) == ("REGISTRY_REFUSED", "BadParameters")
    first = owner.epoch(1)
    assert first is not None
    lie = changed(epoch_record(first), epoch=2, previous=1, k=4)
    for j in gated.indexes:
        with pytest.raises(AuthnetError) as refused:
            gated.ops(j, "observe", {"record": lie.hex()})
        assert refused.value.code == "RECORD_REFUSED"
        assert "break n >= k + 2t" in refused.value.message
    # Sound, but not the k and t of five nodes: the contract takes it, the chain does not.
    number = owner.announce(Committee(5, 2, 1), owner.operators)
    wait_for("it starts in the registry", 60, lambda: owner.has_started(number))
    until_all_refuse(gated, number, "k is 3 and t is 1")
    assert phase_of(gated) == ""
    owner.abort(number)
    wait_for("nothing is complained of", 60, lambda: not any(problems(gated, j, f"epoch {number}") for j in (1, 5)))


def test_a_registry_that_is_rewritten_before_finality_was_never_seen(gated: Net) -> None:
    """The committee that lay in blocks which were never final is not announced; the one after it is."""
    owner, operators = Owner(gated), Owner(gated).operators
    with owner.slow_blocks():
        before = owner.snapshot()
        number = owner.announce(Committee.of(5), operators, LONG_NOTICE_S)
        wait_for("all have registered", 60, lambda: owner.has_started(number))
        assert not owner.has_started(number, final=True)
        owner.rewrite(before)
    assert owner.announce(Committee.of(5), operators[::-1], LONG_NOTICE_S) == number
    # Their entries were undone with it: without another look at the registry nobody would come.
    wait_for("all have registered again", 60, lambda: owner.has_started(number))
    assert until_phase(gated, "announced") == "announced"
    assert members_announced(gated) == operators[::-1]
    owner.abort(number)
    wait_for("the chain has dropped it", 60, lambda: not phase_of(gated))


def test_a_registry_that_is_rewritten_after_finality_is_refused_by_name(gated: Net) -> None:
    """Ethereum takes a final block back: the chain's next committee stays what it was until the owner calls it off."""
    owner, operators = Owner(gated), Owner(gated).operators
    before = owner.snapshot()
    number = owner.announce(Committee.of(5), operators, LONG_NOTICE_S)
    assert until_phase(gated, "announced") == "announced"
    owner.rewrite(before)
    assert owner.announce(Committee.of(5), operators[::-1], LONG_NOTICE_S) == number
    until_all_refuse(gated, number, "the registry was rewritten")
    assert (phase_of(gated), members_announced(gated)) == ("announced", operators)
    owner.abort(number)
    wait_for("the chain has dropped it", 60, lambda: not phase_of(gated))
    assert (last_end(gated).epoch, last_end(gated).outcome) == (number, "aborted")


# -- the words of the next committee


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
    plan = begin(gated, "--overlap", "3", "--notice-s", "8")
    until_phase(gated, "announced")
    epoch, old = plan["epoch"], plan["from_epoch"]
    stays, gone = plan["stayed"][0], plan["new"]
    absent = identity_of(gated, gone[0])
    for index in gone:
        gated.kill_node(index)
    until_phase(gated, "joining")
    joining = time.monotonic()
    forger, member = Forger(gated, stays), identity_of(gated, stays)
    wait_for("three are ready", 60, lambda: awaited(gated) == [1, 2])
    assert send_ready_node(gated, forger, stranger(), epoch, epoch) == "NOT_A_MEMBER"
    assert send_ready_node(gated, forger, absent, old, old) == "WRONG_EPOCH"
    assert send_ready_node(gated, forger, absent, epoch, old) == "MALFORMED"
    assert send_ready_node(gated, forger, absent, epoch, epoch, b"\x07" * 32) == "APP_HASH_UNKNOWN"
    assert send_ready_node(gated, forger, member, epoch, epoch) == "ALREADY_DONE"
    said = forger.find("ready_node", bytes.fromhex(gated.ops(stays, "identity")["identity_pub"]))
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
    until_phase(gated, "announced", "joining")
    with (tmp_path / "watch").open("wb") as out, watching(gated, out) as watch:
        until_phase(gated, "resharing")
        key = identity_of(gated, late)
        gated.kill_node(late)
        check_forged_ready(gated, epoch, old, stays, key)
        wait_for("the new committee is in charge", 200, lambda: gated.status().epoch == epoch, every=0.2)
        check_tokens_around_the_switch(gated, epoch, old, plan)
        watch.wait(60)
    check_watched((tmp_path / "watch").read_text(), epoch)
    gated.start_node(late)
    check_same(gated, before, secrets)
    wait_for("who was late holds all", 60, lambda: holds_all(gated, late), every=0.5)


def check_forged_ready(net: Net, epoch: int, old: int, stays: int, absent: bytes) -> None:
    """`absent`: the identity key of the member that died; others wait for its READY for ten seconds."""

    def waiting() -> ReshareView | None:
        open_ = net.query(stays, "/reshares", ResharesView).open
        return next((view for view in open_ if view.phase == "ready" and len(view.readies) >= 3), None)

    view = wait_for("a resharing waits for the last READY", 60, waiting, every=0.05)
    forger, rid = Forger(net, stays), bytes.fromhex(view.rid)
    wrong = pb.ReshareReady(rid=rid, hash=b"\x07" * 32)
    assert forger.send(absent, epoch, ready=wrong) == "ROOT_MISMATCH"
    assert forger.send(stranger(), epoch, ready=wrong) == "NOT_A_MEMBER"
    assert forger.send(identity_of(net, stays), old, ready=wrong) == "WRONG_EPOCH"
    assert forger.send(absent, epoch, chain_id="localnet-9", ready=wrong) == "WRONG_CHAIN"
    member = bytes.fromhex(net.ops(stays, "identity")["identity_pub"])
    said = wait_for("a READY in a block", 20, lambda: forger.find("ready", member))
    assert forger.broadcast(said) in ("SEEN_BEFORE", "IN_CACHE")
    assert forger.broadcast(again(identity_of(net, stays), said, net.height(stays) + 30)) == "ALREADY_DONE"


def check_tokens_around_the_switch(net: Net, epoch: int, old: int, plan: dict[str, Any]) -> None:
    """Nodes of the former committee saw a token: at the new one it binds nobody's key, whatever receipts it gives."""
    door, user, victim, thief = PublicDoor(net), USERS[0], SessionKey.fresh(), SessionKey.fresh()
    former = list(places(net).committee(old))
    seen, kept = net.token(VERIFIER, user), net.token(VERIFIER, user)
    papers = commit_at(door, former, seen, victim, VERIFIER)
    assert open_key(door, Ask(VERIFIER, user, seen, papers), victim, former)
    receipts = commit_at(door, former, kept, victim, VERIFIER)
    assert serving(net) == old, "the test was too slow for serve_delay_ms"
    wait_for("the new committee serves", 60, lambda: serving(net) == epoch)
    others = [index for index in plan["nodes"] if index != plan["new"][1]]
    for token, former_papers in ((seen, papers), (kept, receipts)):
        given = everywhere(others, lambda j, t=token: door.commit(j, t, thief, VERIFIER))
        fresh = tuple(a.paper for a in given.values() if a.paper)
        assert {a.code for a in given.values()} <= {"", "DUPLICATE_TOKEN", "EPOCH_MOVED"}
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
    assert any(line["eta_ms"] for line in during)
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
        (("epoch", "reject", "77"), "NO_HANDOVER"),
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


def test_epoch_one_is_what_it_was(gated: Net) -> None:
    """Nothing of the refused records is left: two hand-overs are behind, one came to nothing."""
    first = gated.query(places(gated).indexes[0], "/epoch/1", EpochView)
    assert first.status == "retired"
