"""What the upkeep erases and what it leaves: material of a hand-over that came to nothing, sessions of a former epoch,
folders that the chain does not know, and encryption keys whose counters are spent."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from anyio import CapacityLimiter

from authnet_core.protocol.views import BatchView, EncKeysView, EpochView, ResharesView, SessionsView
from authnet_runtime.chain import BlockNote
from authnet_runtime.retained import RETAINED_PAGE
from p2p_dkg.faults import FaultPoints
from p2p_dkg.keystore.store import Keystore, SeenBlock
from p2p_dkg.runner.committees import Committees
from p2p_dkg.runner.driver import Surroundings
from p2p_dkg.runner.reshares import Reshares
from p2p_dkg.runner.sessions import Sessions
from p2p_dkg.runner.upkeep import Upkeep
from p2p_dkg.runner.watch import ChainWatch
from tests.unit.keeper.test_committees import epoch, handover, retired
from tests.unit.keeper.test_reshares import OTHERS, OWN, RID, Late, put, view
from tests.unit.keeper.test_session_upkeep import SID, final_view


class Membership:
    retain_ms = 1_000_000

    def __init__(self, known: Committees, *, settled: bool = True) -> None:
        self.committees, self._settled = known, settled
        self.epoch = known.current
        self.body_epoch = known.current.epoch if known.current is not None else 0

    @property
    def index(self) -> int | None:
        return self.index_in(self.body_epoch)

    def index_in(self, number: int) -> int | None:
        return self.committees.index_in(number)

    def is_settled(self, _: int) -> bool:
        return self._settled

    def may_deal_to(self, _: EpochView) -> bool:
        return True


class Chain:
    """Answers by path; what is not there is absent."""

    def __init__(self, views: dict[str, Any]) -> None:
        self.views = {
            "/reshares": ResharesView(open=()),
            "/sessions": SessionsView(open=()),
            "/sessions/retained/count": 0,
            **views,
        }

    async def query(self, path: str, _: Any) -> Any:
        await trio.lowlevel.checkpoint()
        return self.views.get(path)


def look(
    keystore: Keystore,
    known: Committees,
    views: dict[str, Any],
    *,
    settled: bool = True,
    height: int = 9,
    running: bytes = b"",
    looks: int = 1,
) -> Upkeep:
    """One pass over the disk, at a block of `height`."""
    chain: Any = Chain(views)
    membership: Any = Membership(known, settled=settled)
    nobody: Any = None
    around = Surroundings(nobody, nobody, FaultPoints(False), CapacityLimiter(1))

    async def main() -> Upkeep:
        watch = ChainWatch(chain, keystore)
        await watch._take(BlockNote(height, 1_000, "aa", is_first=True))
        rooms = (Sessions(chain, keystore, membership, around), Reshares(chain, keystore, membership, around))
        for room in rooms:
            room.stand_on = watch.stand_on
        if running:
            put(rooms[1], Late(running))
        upkeep = Upkeep(chain, keystore, membership, rooms, watch)
        for _ in range(looks):
            upkeep._disk_at = upkeep._missed_at = -1e9
            await upkeep._look()
        return upkeep

    return trio.run(main)


def furnish(keystore: Keystore, number: int) -> None:
    files = keystore.epoch(number)
    files.service(create=True)
    files.put_batch(RID, bytes(64))
    files.waiting.put({1: b"\x01" * 32})


def is_bare(keystore: Keystore, number: int) -> bool:
    files = keystore.epoch(number)
    return not files.held and not files.waiting.secrets and files.service() is None


ABORTED = {"/epoch/2": epoch(2, OWN, status="aborted")}


def test_nothing_stays_of_an_epoch_that_came_to_nothing(keystore: Keystore) -> None:
    furnish(keystore, 1)
    furnish(keystore, 2)
    keystore.session(RID).put("brief", "deal", b"x")
    look(keystore, Committees(OWN, epoch(1, OWN)), ABORTED)
    assert is_bare(keystore, 2)
    assert not keystore.has_session(RID)
    assert keystore.epoch(1).holds(RID)
    assert keystore.epoch(1).service() is not None


def test_a_node_that_was_to_join_only_erases_too(keystore: Keystore) -> None:
    furnish(keystore, 2)
    look(keystore, Committees(OWN, epoch(1, *OTHERS[2:7])), ABORTED)
    assert is_bare(keystore, 2)


@pytest.mark.parametrize(
    ("views", "settled"),
    [({"/epoch/2": epoch(2, OWN, status="next")}, True), ({}, True), (ABORTED, False)],
    ids=["next", "unknown", "just now"],
)
def test_what_may_still_come_is_left(keystore: Keystore, views: dict[str, Any], settled: bool) -> None:
    furnish(keystore, 2)
    look(keystore, Committees(OWN, epoch(1, OWN)), {**views, "/enckeys/2": None}, settled=settled)
    assert not is_bare(keystore, 2)


def test_a_machine_ends_before_its_epoch_is_erased(keystore: Keystore) -> None:
    """It might store a share right after."""
    furnish(keystore, 2)
    look(keystore, Committees(OWN, epoch(1, OWN)), ABORTED, running=RID)
    assert not is_bare(keystore, 2)
    look(keystore, Committees(OWN, epoch(1, OWN)), ABORTED, running=RID, looks=2)
    assert is_bare(keystore, 2)


@pytest.mark.parametrize(("settled", "is_left"), [(True, False), (False, True)])
def test_sessions_of_a_former_epoch_go_once_the_switch_has_a_block_behind_it(
    keystore: Keystore, settled: bool, is_left: bool
) -> None:
    keystore.session(SID).put("retained", "bundle/1", b"x")
    known = Committees(OWN, epoch(2, OWN), None, (retired(1, OWN),))
    look(keystore, known, {f"/session/{SID.hex()}": final_view()}, settled=settled)
    assert keystore.has_session(SID) == is_left


def test_a_resharing_is_not_taken_for_a_session_that_the_chain_lost(keystore: Keystore) -> None:
    keystore.session(RID).put("retained", "bundle/1", b"x")
    known = Committees(OWN, epoch(1, OWN), handover("resharing", epoch(2, *OTHERS[2:7])))
    shown = view(phase="final", final_ms=1, holders=(1, 2, 3, 4))
    look(keystore, known, {f"/reshare/{RID.hex()}": shown}, looks=3)
    assert keystore.has_session(RID)


@pytest.mark.parametrize(("seen", "is_left"), [(None, False), (SeenBlock(20, 1, "bb"), True)])
def test_what_the_chain_does_not_know_goes_unless_the_chain_was_put_back(
    keystore: Keystore, seen: SeenBlock | None, is_left: bool
) -> None:
    """A deal that was signed on blocks which the chain does not show now must not be made a second time."""
    keystore.session(RID).put("brief", "deal", b"x")
    if seen is not None:
        keystore.see(seen)
    look(keystore, Committees(OWN, epoch(1, OWN)), {})
    assert keystore.has_session(RID) == is_left


def test_encryption_keys_of_the_next_epoch_stay_while_a_resharing_may_need_them(keystore: Keystore) -> None:
    waiting = keystore.epoch(2).waiting
    waiting.put({counter: bytes([counter]) * 32 for counter in range(1, 7)})
    known = Committees(OWN, epoch(1, *OTHERS[2:7]), handover("resharing", epoch(2, OWN, *OTHERS[3:7])))
    lacking = b"l" * 32
    held = b"h" * 32
    views = {
        "/enckeys/2": EncKeysView(next_counter=5, members=()),
        "/reshares": ResharesView(open=(view(counter=4),), retained=(lacking.hex(), held.hex())),
        f"/reshares/retained/0/{RETAINED_PAGE}": [
            BatchView(id=lacking.hex(), epoch=2, first_index=0, count=4, root="", holders=(2, 3)),
            BatchView(id=held.hex(), epoch=2, first_index=4, count=4, root="", holders=(1, 2)),
        ],
        f"/reshare/{lacking.hex()}": view(
            rid=lacking.hex(), counter=2, phase="final", holders=(2, 3), final_ms=1, eks=("",) * 5
        ),
    }
    upkeep = look(keystore, known, views)
    assert sorted(waiting.secrets) == [2, 4, 5, 6]
    assert upkeep.short == [lacking.hex()]
