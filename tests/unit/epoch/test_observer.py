"""What the observer gives to the keeper, in which order, and what it does about refusals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import pytest
from msgspec.structs import replace

from authnet_core.errors import AuthnetError, Code
from authnet_core.wire.tx import decode_record, record_hash
from authnet_runtime.chain import ChainReader
from authnet_runtime.ethereum import BlockRef
from authnet_runtime.registry import NEVER_S, Snapshot
from authnet_runtime.registry_state import AudienceState, EpochState, EpochStatus, VerifierState, epoch_record
from authnet_runtime.rpc_client import RpcClient
from epoch_manager import observer as module
from epoch_manager.observer import Observer
from epoch_manager.status import Status
from tests.unit.epoch.test_genesis import epoch

pytestmark = pytest.mark.anyio

GOOGLE = VerifierState(
    name="google",
    issuer="https://a.example",
    jwks_url="https://a.example/jwks",
    audiences=(AudienceState(aud="x", mode="bound"),),
    id_claim="sub",
    case_rule="exact",
    algorithms=("RS256",),
    iat_limit_s=60,
)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass(frozen=True)
class Shown:
    version: int
    status: str
    epoch: int
    called_off: bool = False


@dataclass(frozen=True)
class Announced:
    record_hash: str
    committee: Shown


class Node:
    """A keeper and a chain in one; `shown` maps path to version."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.told: list[tuple[int, bool]] = []
        self.phases: dict[str, str] = {}
        self.called_off: set[str] = set()
        self.later = 0
        self.announced: tuple[str, int] | None = None
        self.shown: dict[str, int] = {}
        self.refuse: Code | None = None
        self.chain_down = False
        self.asked: list[str] = []

    @property
    def in_charge(self) -> int:
        return self.later or self.shown.get("epoch/1", 0)

    async def call(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        if method == "saw_epoch":
            record = decode_record(bytes.fromhex(params["record"])).epoch
            self.told.append((record.epoch, record.aborted))
            return {}
        assert method == "observe"
        if self.refuse is not None:
            raise AuthnetError(self.refuse, "planted")
        record = decode_record(bytes.fromhex(params["record"]))
        is_epoch = record.WhichOneof("kind") == "epoch"
        name = f"epoch/{record.epoch.epoch}" + ("/off" if record.epoch.aborted else "")
        self.sent.append(name if is_epoch else f"verifier/{record.verifier.name}")
        return {}

    async def query(self, path: str, _type: type) -> Any:
        self.asked.append(path)
        if self.chain_down:
            raise AuthnetError(Code.UNAVAILABLE, "down")
        if path == "/epoch/current":
            return Shown(1, "serving", self.in_charge) if self.in_charge > 0 else None
        if path == "/handover":
            return Announced(self.announced[0], Shown(1, "next", self.announced[1])) if self.announced else None
        version = self.shown.get(path[1:])
        if version is None:
            return None
        return Shown(version, self.phases.get(path[1:], ""), 0, path[1:] in self.called_off)


def rig() -> tuple[Node, Observer, Status]:
    node, status = Node(), Status("0xregistry", 1, epoch().members[0].operator)
    return node, Observer(cast(RpcClient, node), cast(ChainReader, node), status), status


def snapshot(*verifiers: VerifierState, status: EpochStatus = EpochStatus.STARTED) -> Snapshot:
    return Snapshot(BlockRef(9, "0x9", 9), (replace(epoch(), status=status),), verifiers, NEVER_S)


async def test_the_epoch_goes_before_the_verifiers() -> None:
    node, observer, status = rig()
    observer.show(snapshot(GOOGLE))
    assert await observer.step()
    assert node.sent == ["epoch/1"]
    assert status.outstanding == ["epoch 1 v1"]
    node.shown["epoch/1"] = 1
    assert await observer.step()
    assert node.sent == ["epoch/1", "verifier/google"]
    node.shown["verifier/google"] = 1
    assert not await observer.step()
    assert status.outstanding == []


@pytest.mark.parametrize("status", [EpochStatus.OPEN, EpochStatus.ABORTED])
async def test_an_epoch_that_has_not_started_is_not_observed(status: EpochStatus) -> None:
    node, observer, _ = rig()
    observer.show(snapshot(status=status))
    assert not await observer.step()
    assert node.sent == []


async def test_a_record_is_not_sent_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    node, observer, _ = rig()
    observer.show(snapshot())
    for _ in range(3):
        await observer.step()
    assert node.sent == ["epoch/1"]
    monkeypatch.setattr(module, "RESEND_S", 0.0)
    await observer.step()
    assert node.sent == ["epoch/1"] * 2


@pytest.mark.parametrize("code", [Code.RECORD_REFUSED, Code.GENESIS_MISMATCH, Code.RECORD_STALE])
async def test_a_refused_record_is_named_and_not_repeated(code: Code) -> None:
    node, observer, status = rig()
    node.refuse = code
    observer.show(snapshot())
    await observer.step()
    assert status.problems["epoch 1"].code is code
    node.refuse = None
    assert not await observer.step()
    assert node.sent == []
    observer.show(snapshot())
    assert "epoch 1" not in status.problems
    await observer.step()
    assert node.sent == ["epoch/1"]


@pytest.mark.parametrize("code", [Code.UNAVAILABLE, Code.TIMEOUT, Code.BUSY, Code.CHAIN_STALE])
async def test_a_keeper_that_can_not_now_is_asked_again(code: Code) -> None:
    node, observer, _ = rig()
    node.refuse = code
    observer.show(snapshot())
    with pytest.raises(AuthnetError):
        await observer.step()
    node.refuse = None
    await observer.step()
    assert node.sent == ["epoch/1"]


@pytest.mark.parametrize("code", [Code.ALREADY_VOTED, Code.SEEN_BEFORE])
async def test_a_vote_that_was_heard_before_is_waited_for(code: Code) -> None:
    node, observer, status = rig()
    node.refuse = code
    observer.show(snapshot())
    assert await observer.step()
    assert status.problems == {}
    assert status.outstanding == ["epoch 1 v1"]


@pytest.mark.parametrize("code", [Code.WRONG_EPOCH, Code.QUOTA_EXCEEDED, Code.NOT_A_MEMBER, Code.INTERNAL])
async def test_a_refusal_of_the_moment_is_named_and_tried_again(code: Code, monkeypatch: pytest.MonkeyPatch) -> None:
    node, observer, status = rig()
    monkeypatch.setattr(module, "AGAIN_S", 0.0)
    node.refuse = code
    observer.show(snapshot())
    assert await observer.step()
    assert status.problems["epoch 1"].code is code
    node.refuse = None
    assert await observer.step()
    assert node.sent == ["epoch/1"]
    assert status.problems == {}


async def test_a_chain_that_does_not_answer_gets_nothing() -> None:
    node, observer, _ = rig()
    node.chain_down = True
    observer.show(snapshot())
    with pytest.raises(AuthnetError):
        await observer.step()
    assert node.sent == []


async def test_a_newer_version_is_sent_and_an_older_one_is_not() -> None:
    node, observer, _ = rig()
    node.shown = {"epoch/1": 1, "verifier/google": 2}
    observer.show(snapshot(replace(GOOGLE, version=2)))
    assert not await observer.step()
    observer.show(snapshot(replace(GOOGLE, version=1)))
    assert not await observer.step()
    observer.show(snapshot(replace(GOOGLE, version=3)))
    assert await observer.step()
    assert node.sent == ["verifier/google"]


async def test_a_record_that_the_chain_has_is_looked_for_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    node, observer, _ = rig()
    node.shown = {"epoch/1": 1, "verifier/google": 1}
    observer.show(snapshot(GOOGLE))
    for _ in range(3):
        assert not await observer.step()
    assert node.asked.count("/verifier/google") == 1
    monkeypatch.setattr(module, "QUIET_S", 0.0)
    del node.shown["verifier/google"]  # a chain that was restored from a backup
    assert await observer.step()
    assert node.sent == ["verifier/google"]


async def test_one_refused_verifier_does_not_stop_the_next() -> None:
    node, observer, status = rig()
    node.shown["epoch/1"] = 1
    node.refuse = Code.RECORD_REFUSED
    observer.show(snapshot(GOOGLE))
    await observer.step()
    node.refuse = None
    observer.show(snapshot(replace(GOOGLE, name="other")))
    await observer.step()
    assert node.sent == ["verifier/other"]
    assert status.problems == {}


def later(number: int, status: EpochStatus, previous: int = 1) -> EpochState:
    """An epoch of other operators than the first one's."""
    made = epoch()
    members = tuple(replace(m, epoch=number, operator=f"0x{number:02x}{i:038x}") for i, m in enumerate(made.members))
    return replace(made, epoch=number, previous=previous, status=status, members=members)


def handing_over(*epochs: EpochState) -> Snapshot:
    return Snapshot(BlockRef(9, "0x9", 9), (epoch(), *epochs), (GOOGLE,), NEVER_S)


async def test_the_next_epoch_is_observed_beside_the_verifiers() -> None:
    node, observer, _ = rig()
    node.shown = {"epoch/1": 1}
    observer.show(handing_over(later(2, EpochStatus.STARTED)))
    assert await observer.step()
    assert node.sent == ["epoch/2", "verifier/google"]
    node.shown |= {"epoch/2": 1, "verifier/google": 1}
    assert not await observer.step()


async def test_a_record_that_replaced_the_announced_one_is_sent_for_its_refusal() -> None:
    """The registry was rewritten after its block was final: the operator must see that chain and registry disagree."""
    node, observer, status = rig()
    node.shown = {"epoch/1": 1, "verifier/google": 1, "epoch/2": 1}
    node.phases["epoch/2"] = "next"
    announced = later(2, EpochStatus.STARTED)
    node.announced = record_hash(epoch_record(announced)).hex(), 2
    observer.show(handing_over(announced))
    assert not await observer.step()
    node.refuse = Code.RECORD_REFUSED
    observer.show(handing_over(replace(announced, members=announced.members[::-1])))
    assert await observer.step()
    assert status.problems["epoch 2"].code is Code.RECORD_REFUSED
    node.refuse = None
    assert not await observer.step()
    assert (node.sent, list(status.problems)) == ([], ["epoch 2"])


async def test_the_epoch_after_the_next_waits_for_its_turn() -> None:
    node, observer, _ = rig()
    node.shown = {"epoch/1": 1, "verifier/google": 1, "epoch/2": 1}
    observer.show(handing_over(later(2, EpochStatus.STARTED), later(3, EpochStatus.STARTED, previous=2)))
    assert not await observer.step()
    assert node.sent == []


async def test_an_epoch_called_off_is_observed_as_such_before_its_successor() -> None:
    node, observer, _ = rig()
    node.shown = {"epoch/1": 1, "verifier/google": 1, "epoch/2": 1}
    node.phases["epoch/2"] = "next"
    observer.show(handing_over(later(2, EpochStatus.ABORTED), later(3, EpochStatus.STARTED)))
    assert await observer.step()
    assert node.sent == ["epoch/2/off"]
    node.phases["epoch/2"] = "aborted"
    assert await observer.step()
    assert node.sent == ["epoch/2/off", "epoch/3"]


@pytest.mark.parametrize("phase", ["serving", "retired", "aborted", None])
async def test_an_epoch_called_off_that_is_not_the_chain_s_next_is_no_news(phase: str | None) -> None:
    node, observer, _ = rig()
    node.shown = {"epoch/1": 1, "verifier/google": 1}
    if phase is not None:
        node.shown["epoch/2"] = 1
        node.phases["epoch/2"] = phase
    observer.show(handing_over(later(2, EpochStatus.ABORTED)))
    assert not await observer.step()
    assert node.sent == []


async def test_what_follows_an_epoch_that_the_chain_gave_up_is_observed() -> None:
    node, observer, _ = rig()
    node.shown = {"epoch/1": 1, "verifier/google": 1, "epoch/2": 1}
    node.phases["epoch/2"] = "aborted"
    observer.show(handing_over(later(2, EpochStatus.STARTED), later(3, EpochStatus.STARTED, previous=2)))
    assert await observer.step()
    assert node.sent == ["epoch/3"]


async def test_an_epoch_called_off_too_late_is_observed_and_then_what_follows_in_the_registry() -> None:
    """The chain has switched to epoch 2; the registry's epoch 3 comes after epoch 1."""
    node, observer, status = rig()
    node.shown, node.later = {"epoch/1": 1, "verifier/google": 1, "epoch/2": 1}, 2
    node.phases["epoch/2"] = "serving"
    off = later(2, EpochStatus.ABORTED)
    status.operator = off.members[0].operator
    observer.show(handing_over(off, later(3, EpochStatus.STARTED)))
    assert await observer.step()
    assert node.sent == ["epoch/2/off"]
    node.called_off.add("epoch/2")
    assert await observer.step()
    assert node.sent == ["epoch/2/off", "epoch/3"]


async def test_an_epoch_that_came_between_two_questions_keeps_nobody_waiting() -> None:
    node, observer, _ = rig()
    observer.show(snapshot(GOOGLE))
    node.shown["epoch/1"] = 1
    node.later = -1  # asked first, the chain had no committee yet
    assert await observer.step()


async def test_who_is_not_in_charge_says_nothing() -> None:
    node, observer, status = rig()
    status.operator = later(2, EpochStatus.STARTED).members[0].operator
    observer.show(handing_over(later(2, EpochStatus.STARTED)))
    assert await observer.step(), "the first committee will come"
    node.shown = {"epoch/1": 1}
    assert not await observer.step()
    assert node.sent == []
    node.later = 2
    assert await observer.step()
    assert node.sent == ["verifier/google"]


async def test_the_keeper_hears_of_later_epochs_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    node, observer, _ = rig()
    observer.show(handing_over(later(2, EpochStatus.ABORTED), later(3, EpochStatus.STARTED)))
    await observer.tell_keeper()
    await observer.tell_keeper()
    assert node.told == [(2, True), (3, False)]
    monkeypatch.setattr(module, "TELL_S", 0.0)
    await observer.tell_keeper()
    assert node.told == [(2, True), (3, False)] * 2
    assert node.sent == []
