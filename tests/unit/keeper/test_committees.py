"""A node's places in the committees there are, in whose name it assigns keys, and when it says that it is ready."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.views import EpochView, HandoverView, MemberView, ParamsView, ReadyNodeView
from authnet_runtime.chain import BlockNote, Event
from p2p_dkg.keystore.store import Keystore
from p2p_dkg.runner import readiness
from p2p_dkg.runner.assign import Assigner
from p2p_dkg.runner.committees import LEAVING_MS, Committees, in_grace
from p2p_dkg.runner.membership import Membership
from p2p_dkg.runner.readiness import FRESH_MS, RETRY_BLOCKS, ReadyPoster

OWN = "own"


def members(*identities: str) -> tuple[MemberView, ...]:
    return tuple(
        MemberView(
            index=j, operator="", identity=identity, consensus="", peer_id=identity, p2p_addr="", comet_addr="",
            endpoint="",
        )
        for j, identity in enumerate(identities, start=1)
    )  # fmt: skip


def epoch(number: int, *identities: str, **fields: Any) -> EpochView:
    shape = {"n": len(identities), "k": 3, "t": 1, "status": "serving", "committee_hash": "aa", **fields}
    return EpochView(epoch=number, members=members(*identities), **shape)


def handover(phase: str, committee: EpochView, **fields: Any) -> HandoverView:
    return HandoverView(
        phase=phase, record_hash="", committee=committee, from_epoch=1, announced_height=1, announced_ms=1,
        notice_ends_ms=1, phase_height=1, phase_ms=1, **fields,
    )  # fmt: skip


def retired(number: int, *identities: str, until: int = 1_000, grace: int = 5_000) -> EpochView:
    return epoch(number, *identities, status="retired", serving_until_ms=until, grace_ends_ms=grace)


def test_a_node_has_an_index_in_each_committee() -> None:
    known = Committees(OWN, epoch(2, "a", OWN), handover("joining", epoch(3, OWN, "b")), (retired(1, "a", "b", OWN),))
    assert [known.index_in(number) for number in (1, 2, 3, 4)] == [3, 2, 1, None]
    assert known.is_member
    assert not Committees("other", known.current, known.handover, known.former).is_member


def test_an_announced_committee_is_none_before_its_notice_is_over() -> None:
    known = Committees(OWN, epoch(1, "a"), handover("announced", epoch(2, OWN)))
    assert known.next is None
    assert known.index_in(2) is None
    assert not known.is_member


def test_only_retired_committees_in_their_grace_are_former_ones() -> None:
    views = [retired(1, OWN, grace=100), retired(2, OWN, grace=200), epoch(3, OWN, status="aborted")]
    assert [view.epoch for view in in_grace(views, 99)] == [2, 1]
    assert [view.epoch for view in in_grace(views, 100)] == [2]
    assert in_grace(views, 200) == ()


@pytest.mark.parametrize(
    ("current", "former", "time_ms", "expected"),
    [
        (epoch(2, OWN), (retired(1, OWN),), 0, 2),
        (epoch(2, "a"), (retired(1, OWN),), 1_000 + LEAVING_MS - 1, 1),
        (epoch(2, "a"), (retired(1, OWN),), 1_000 + LEAVING_MS, 0),
        (epoch(3, "a"), (retired(2, "b"), retired(1, OWN)), 0, 0),
        (epoch(2, "a"), (), 0, 0),
    ],
)
def test_in_whose_name_a_node_assigns(
    current: EpochView, former: tuple[EpochView, ...], time_ms: int, expected: int
) -> None:
    assert Committees(OWN, current, None, former).assigning_epoch(time_ms) == expected


@pytest.mark.parametrize(
    ("former", "code"), [((retired(1, OWN, until=-LEAVING_MS),), Code.EPOCH_MOVED), ((), Code.NOT_A_MEMBER)]
)
def test_a_node_that_has_left_assigns_nothing(former: tuple[EpochView, ...], code: Code) -> None:
    watch: Any = type("Watch", (), {"newest": BlockNote(1, 1, "")})()
    nobody: Any = None
    assigner = Assigner(nobody, watch, nobody, lambda: Committees(OWN, epoch(2, "a"), None, former))
    with pytest.raises(AuthnetError) as caught:
        assigner._epoch()
    assert caught.value.code is code


# -- READY_NODE


class Desk:
    def __init__(self) -> None:
        self.sent: list[tuple[int, str, Any]] = []

    async def try_send(self, epoch: int, kind: str, fields: Any) -> None:
        self.sent.append((epoch, kind, fields))


NOW = 1_000_000


def check(keystore: Keystore, notes: list[BlockNote], view: HandoverView, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setattr(readiness, "clock_ms", lambda: NOW)
    desk = Desk()
    any_desk: Any = desk
    poster = ReadyPoster(any_desk)

    async def main() -> None:
        for note in notes:
            await poster.check(note, view, 1, keystore.epoch(2))

    trio.run(main)
    return desk


def test_ready_names_a_block_of_now_and_the_service_key(keystore: Keystore, monkeypatch: pytest.MonkeyPatch) -> None:
    note = BlockNote(7, NOW - FRESH_MS, "ab" * 32)
    desk = check(keystore, [note], handover("joining", epoch(2, OWN)), monkeypatch)
    [(body_epoch, kind, fields)] = desk.sent
    service = keystore.epoch(2).service()
    assert service is not None
    assert (body_epoch, kind, fields.epoch, fields.height) == (2, "ready_node", 2, 7)
    assert (fields.app_hash, fields.service_key) == (bytes.fromhex("ab" * 32), service.pub)


def test_a_node_that_catches_up_is_not_ready(keystore: Keystore, monkeypatch: pytest.MonkeyPatch) -> None:
    note = BlockNote(7, NOW - FRESH_MS - 1, "ab" * 32)
    assert check(keystore, [note], handover("joining", epoch(2, OWN)), monkeypatch).sent == []


def test_ready_is_said_again_until_the_chain_shows_it(keystore: Keystore, monkeypatch: pytest.MonkeyPatch) -> None:
    notes = [BlockNote(height, NOW, "ab" * 32) for height in range(7, 7 + RETRY_BLOCKS + 1)]
    desk = check(keystore, notes, handover("resharing", epoch(2, OWN)), monkeypatch)
    assert [fields.height for _, _, fields in desk.sent] == [7, 7 + RETRY_BLOCKS]
    shown = handover(
        "joining", epoch(2, OWN), ready_nodes=(ReadyNodeView(index=1, height=7, app_hash="", service_key=""),)
    )
    assert check(keystore, notes, shown, monkeypatch).sent == []


# -- following the chain


class Chain:
    """Answers by path."""

    def __init__(self) -> None:
        self.views: dict[str, Any] = {"/params": ParamsView(values={"retain_ms": 5})}
        self.asked: list[str] = []

    async def query(self, path: str, _: Any) -> Any:
        await trio.lowlevel.checkpoint()
        self.asked.append(path)
        return self.views.get(path)


class Mesh:
    def __init__(self) -> None:
        self.known: list[list[int]] = []

    def set_committees(self, _: str, committees: list[EpochView]) -> None:
        self.known.append([view.epoch for view in committees])


def follow(keystore: Keystore, *steps: tuple[dict[str, Any], BlockNote]) -> tuple[Membership, Mesh, Chain]:
    chain, mesh = Chain(), Mesh()
    any_chain: Any = chain
    any_mesh: Any = mesh
    nobody: Any = None
    membership = Membership(any_chain, nobody, keystore, any_mesh)
    membership.start("test-1", is_new_here=False)

    async def main() -> None:
        for views, note in steps:
            chain.views |= views
            await membership.refresh(note)

    trio.run(main)
    return membership, mesh, chain


def at(height: int, *phases: str, time_ms: int = 0) -> BlockNote:
    return BlockNote(height, time_ms, "aa", [Event("epoch_phase", {"phase": phase}) for phase in phases])


def test_links_follow_a_hand_over_from_joining_to_the_end_of_the_grace(keystore: Keystore) -> None:
    own = keystore.identity.pub.hex()
    first, second = epoch(1, own), epoch(2, "a", own)
    after = epoch(2, "a", own, previous=1, serving_from_ms=1_000)
    membership, mesh, _ = follow(
        keystore,
        ({"/epoch/current": first}, at(1)),
        ({"/handover": handover("announced", second)}, at(2, "announced")),
        ({"/handover": handover("joining", second)}, at(3, "joining")),
        ({"/handover": None, "/epoch/current": after, "/epoch/1": retired(1, own)}, at(4, "serving")),
        ({}, at(30, time_ms=5_000)),
    )
    assert mesh.known == [[1], [1, 2], [2, 1], [2]]
    assert (membership.index, membership.body_epoch, membership.retain_ms) == (2, 2, 5)
    assert not membership.is_settled(30)
    assert membership.is_settled(31)


def test_a_hand_over_that_ends_without_a_switch_leaves_the_old_committee(keystore: Keystore) -> None:
    own = keystore.identity.pub.hex()
    membership, mesh, _ = follow(
        keystore,
        ({"/epoch/current": epoch(1, own), "/handover": handover("resharing", epoch(2, own))}, at(1)),
        ({"/handover": None}, at(2, "aborted")),
    )
    assert mesh.known == [[1, 2], [1]]
    assert membership.index_in(2) is None


def test_a_switch_between_two_reads_leaves_no_committee_out(keystore: Keystore) -> None:
    own = keystore.identity.pub.hex()
    taken_over = {
        "/handover": handover("switching", epoch(2, own)),
        "/epoch/current": epoch(2, own, previous=1, serving_from_ms=9),
        "/epoch/1": retired(1, own),
    }
    membership, _, _ = follow(keystore, (taken_over, at(1)))
    assert [view.epoch for view in membership.committees.all] == [2, 1]
    assert membership.committees.handover is None


def test_a_chain_at_rest_is_not_asked_at_every_block(keystore: Keystore) -> None:
    own = keystore.identity.pub.hex()
    _, _, chain = follow(keystore, *(({"/epoch/current": epoch(1, own)}, at(height)) for height in range(1, 11)))
    assert chain.asked.count("/epoch/current") == 1
