"""Which resharings get a machine and with what, what is left on the disk afterwards, in whose name each is signed."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import trio
from anyio import CapacityLimiter

from authnet_core.protocol.dkg.effects import Outcome
from authnet_core.protocol.reshare.messages import (
    ReshareBundle,
    WantNonces,
)
from authnet_core.protocol.views import EpochView, ReshareView
from authnet_runtime.chain import BlockNote
from p2p_dkg.faults import FaultPoints
from p2p_dkg.keystore.pledges import Sighting
from p2p_dkg.keystore.store import Keystore
from p2p_dkg.network.directory import Peer
from p2p_dkg.runner import reshares as reshares_module
from p2p_dkg.runner.committees import Committees
from p2p_dkg.runner.driver import Surroundings
from p2p_dkg.runner.reshares import BRIEF_MS, MAX_LATE, QUIET_S, Reshares
from tests.unit.keeper.test_committees import epoch, handover, retired

RID = b"r" * 32
SOURCE, MASK_SOURCE = b"s" * 32, b"m" * 32
OWN = "02" * 33
OTHERS = [f"{j:02x}" * 33 for j in range(1, 10)]


def committees(*, is_old: bool = True, is_new: bool = False) -> Committees:
    first = epoch(1, *([OWN] if is_old else []), *OTHERS[2:6])
    second = epoch(2, *([OWN] if is_new else []), *OTHERS[3:7])
    return Committees(OWN, first, handover("resharing", second))


def view(**changes: Any) -> ReshareView:
    shape: dict[str, Any] = {
        "rid": RID.hex(), "from_epoch": 1, "to_epoch": 2, "curve": "secp256k1", "first_index": 0, "count": 4,
        "root": "00" * 32, "source": SOURCE.hex(), "mask_index": 9, "mask_source": MASK_SOURCE.hex(), "attempt": 0,
        "counter": 3, "eks": ("aa",) * 5, "phase": "deal", "h0": 5, "t0_ms": 1, "deals": {}, "height": 7,
    }  # fmt: skip
    return ReshareView(**{**shape, **changes})


class Membership:
    retain_ms, body_epoch = 1_000_000, 1

    def __init__(self, keystore: Keystore, known: Committees) -> None:
        self._keystore, self.committees = keystore, known
        self.epoch = known.current

    def index_in(self, number: int) -> int | None:
        return self.committees.index_in(number)

    def may_deal_to(self, known: EpochView) -> bool:
        return self._keystore.pledges.may_deal(known.epoch, "keys")


def around() -> Surroundings:
    nobody: Any = None
    return Surroundings(nobody, nobody, FaultPoints(False), CapacityLimiter(1))


def make(keystore: Keystore, known: Committees, opened: list[str], *, seen: bool = True) -> Reshares:
    if seen:
        keystore.pledges.sight(Sighting(2, "keys", False))
    chain: Any = None
    membership: Any = Membership(keystore, known)
    room = Reshares(chain, keystore, membership, around())

    async def build(name: bytes, shown: ReshareView) -> None:
        await trio.lowlevel.checkpoint()
        opened.append(shown.phase)

    room._build = build  # type: ignore[method-assign, assignment]
    return room


def offered(room: Reshares, *views: ReshareView) -> None:
    async def main() -> None:
        for shown in views:
            await room.offer(shown)

    trio.run(main)


@pytest.mark.parametrize(
    ("places", "seen", "expected"),
    [
        ({"is_old": True}, True, ["deal"]),
        ({"is_old": True}, False, []),
        ({"is_old": False, "is_new": True}, False, ["deal"]),
        ({"is_old": True, "is_new": True}, False, ["deal"]),
        ({"is_old": False}, True, []),
    ],
)
def test_who_has_a_machine(keystore: Keystore, places: dict[str, bool], seen: bool, expected: list[str]) -> None:
    opened: list[str] = []
    offered(make(keystore, committees(**places), opened, seen=seen), view())
    assert opened == expected


def test_a_resharing_that_began_before_this_disk_came_here_gets_none(keystore: Keystore) -> None:
    opened: list[str] = []
    offered(make(keystore, committees(), opened), view(h0=1))
    assert opened == []


def test_a_resharing_to_an_unknown_committee_gets_none(keystore: Keystore) -> None:
    opened: list[str] = []
    offered(make(keystore, committees(), opened), view(to_epoch=3))
    assert opened == []


def test_only_a_member_that_lacks_a_settled_batch_gets_a_machine(keystore: Keystore) -> None:
    opened: list[str] = []
    room = make(keystore, committees(is_new=True), opened)
    final = view(phase="final", final_ms=1, holders=(2, 3, 4, 5))
    offered(room, msgspec.structs.replace(final, eks=("",) + ("aa",) * 4), msgspec.structs.replace(final, holders=(1,)))
    assert opened == []
    offered(room, final)
    assert opened == ["final"]


class Late:
    """A driver that catches up, or that waits for others."""

    is_late, view, may_deal, to_epoch = True, None, True, 2

    def __init__(self, key: bytes, *, is_idle: bool = False, outcome: str = "held") -> None:
        self.key, self.is_idle, self.used_at, self.outcome = key, is_idle, 0.0, outcome


class Scope:
    def __init__(self, room: Reshares, name: bytes) -> None:
        self._room, self._name = room, name

    def cancel(self) -> None:
        del self._room._drivers[self._name], self._room._scopes[self._name]


def put(room: Reshares, driver: Late) -> None:
    any_driver: Any = driver
    any_scope: Any = Scope(room, driver.key)
    room._drivers[driver.key], room._scopes[driver.key] = any_driver, any_scope


def test_not_all_that_was_missed_is_caught_up_with_at_once(keystore: Keystore) -> None:
    opened: list[str] = []
    room = make(keystore, committees(is_new=True), opened)
    final = view(phase="final", final_ms=1, holders=(2, 3, 4, 5))
    for number in range(MAX_LATE):
        put(room, Late(bytes([number]) * 32))
    offered(room, final)
    assert opened == []
    room._drivers.pop(bytes(32))
    offered(room, final)
    assert opened == ["final"]


def test_machines_that_only_wait_for_others_go_soon(keystore: Keystore) -> None:
    room = make(keystore, committees(), [])

    async def main() -> None:
        now = trio.current_time()
        for number, (is_idle, since) in enumerate([(True, QUIET_S + 1), (True, 0), (False, QUIET_S + 1)]):
            driver = Late(bytes([number]) * 32, is_idle=is_idle)
            driver.used_at = now - since
            put(room, driver)
        room.trim()

    trio.run(main)
    assert sorted(room._drivers) == [bytes([1]) * 32, bytes([2]) * 32]


def test_shares_that_do_not_go_with_the_others_are_not_looked_at_again_and_again(keystore: Keystore) -> None:
    opened: list[str] = []
    room = make(keystore, committees(is_new=True), opened)

    async def main() -> None:
        driver = Late(RID, is_idle=True, outcome=Outcome.CONFLICT.value)
        driver.used_at = trio.current_time() - QUIET_S - 1
        put(room, driver)
        room.trim()
        await room.offer(view(phase="final", final_ms=1, holders=(2, 3, 4, 5)))

    trio.run(main)
    assert opened == []


def test_questions_bring_a_machine_back_while_few_run(keystore: Keystore, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    room = make(keystore, committees(), opened)
    asked: list[bytes] = []
    room.on_question = asked.append
    member = Peer("p", "", OTHERS[4], ((1, 4), (2, 2)))
    final = view(phase="final", final_ms=1, holders=(1, 2, 3, 4))

    async def main() -> None:
        await room.take_message(member, WantNonces(RID))
        assert asked == []  # nobody is said to lack it, and nothing of it is here
        room.retained = frozenset({RID})
        monkeypatch.setattr(reshares_module, "MAX_ASKED", 0)
        await room.take_message(member, WantNonces(RID))
        assert asked == []
        monkeypatch.setattr(reshares_module, "MAX_ASKED", 1)
        await room.take_message(member, ReshareBundle(RID, 1, (), ()))
        assert asked == []
        await room.offer(final)
        assert opened == []
        await room.take_message(member, WantNonces(RID))
        assert asked == [RID]
        await room.offer(final)

    trio.run(main)
    assert opened == ["final"]


# -- the disk


def leave(keystore: Keystore, *, holds: bool = False) -> None:
    keystore.session(RID).put("brief", "deal", b"x")
    keystore.session(RID).put("retained", "bundle/1", b"x")
    if holds:
        keystore.epoch(2).put_batch(RID, bytes(64))


def test_what_failed_is_shredded_once_a_block_stands_behind_it(keystore: Keystore) -> None:
    leave(keystore, holds=True)
    room = make(keystore, committees(is_new=True), [])
    offered(room, view(phase="failed", height=8), view(phase="failed", height=8))
    assert keystore.has_session(RID)
    offered(room, view(phase="failed", height=9))
    assert not keystore.has_session(RID)
    assert not keystore.epoch(2).holds(RID)


def test_nothing_is_shredded_on_a_chain_there_is_no_standing_on(keystore: Keystore) -> None:
    leave(keystore)
    room = make(keystore, committees(), [])

    async def nowhere(_: int) -> bool:
        await trio.lowlevel.checkpoint()
        return False

    room.stand_on = nowhere
    offered(room, view(phase="failed", height=8), view(phase="failed", height=9))
    assert keystore.has_session(RID)


@pytest.mark.parametrize(
    ("places", "holds", "holders", "is_left"),
    [
        ({"is_old": True}, False, (1, 2, 3, 4, 5), False),
        ({"is_old": True}, False, (1, 2, 3, 4), True),
        ({"is_old": False, "is_new": True}, True, (1, 2, 3, 4, 5), False),
        ({"is_old": False, "is_new": True}, False, (1, 2, 3, 4, 5), True),
    ],
)
def test_what_all_hold_is_forgotten_without_a_machine(
    keystore: Keystore, places: dict[str, bool], holds: bool, holders: tuple[int, ...], is_left: bool
) -> None:
    leave(keystore, holds=holds)
    room = make(keystore, committees(**places), [])
    final = view(phase="final", final_ms=1, holders=holders)
    offered(room, final, msgspec.structs.replace(final, height=8))
    assert keystore.has_session(RID) == is_left
    assert keystore.epoch(2).holds(RID) == holds


def test_polynomials_go_a_minute_after_the_end_and_bundles_stay_for_who_lacks_them(keystore: Keystore) -> None:
    leave(keystore)
    room = make(keystore, committees(), [])
    final = view(phase="final", final_ms=1_000, holders=(1, 2, 3, 4))
    room.ring_retained(BlockNote(8, 1_000 + BRIEF_MS - 1, ""))
    offered(room, final, msgspec.structs.replace(final, height=8))
    assert keystore.session(RID).has("brief")
    room.ring_retained(BlockNote(9, 1_000 + BRIEF_MS, ""))
    offered(room, msgspec.structs.replace(final, height=9))
    assert not keystore.session(RID).has("brief")
    assert keystore.session(RID).has("retained")


@pytest.mark.parametrize(
    ("known", "aborted", "expected"),
    [
        (committees(), frozenset(), False),
        (committees(), frozenset({2}), True),
        (Committees(OWN, epoch(3, OWN)), frozenset(), True),
        (Committees(OWN, epoch(2, *OTHERS[2:]), None, (retired(1, OWN),)), frozenset(), False),
        (Committees(OWN, epoch(2, *OTHERS[2:])), frozenset(), True),
        (Committees(OWN, epoch(2, OWN)), frozenset(), False),
    ],
    ids=["under way", "called off", "two epochs ago", "in its grace", "grace is over", "ours"],
)
def test_what_is_of_no_use_any_more(
    keystore: Keystore, known: Committees, aborted: frozenset[int], expected: bool
) -> None:
    assert make(keystore, known, []).is_useless(view(), aborted) == expected
