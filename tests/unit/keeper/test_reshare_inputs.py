"""What a resharing's machine is given, whom it speaks to, and in whose name."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import trio
from anyio import CapacityLimiter

from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.dkg.effects import Submit
from authnet_core.protocol.reshare.effects import SendAllNew, SendNew, SendOld
from authnet_core.protocol.reshare.messages import (
    ReshareAck,
    ReshareComplain,
    ReshareDeal,
    ReshareHave,
    ReshareReady,
    ReshareTest,
    WantNonces,
)
from authnet_core.protocol.reshare.params import Sender
from authnet_core.protocol.views import BatchView, ReshareView
from p2p_dkg.faults import FaultPoints
from p2p_dkg.keystore.pledges import Sighting
from p2p_dkg.keystore.store import Keystore
from p2p_dkg.network.directory import Peer
from p2p_dkg.runner import reshares as reshares_module
from p2p_dkg.runner.batch_keys import PAGE_KEYS, BatchKeys, KeyPair, read_keys
from p2p_dkg.runner.driver import Surroundings
from p2p_dkg.runner.reshare_driver import ReshareDriver
from p2p_dkg.runner.reshares import Reshares
from tests.unit.keeper.test_reshares import (
    MASK_SOURCE,
    RID,
    SOURCE,
    Late,
    committees,
    make,
    offered,
    put,
    view,
)

# -- what a machine is given


def own_shares(
    keystore: Keystore, rid: bytes = RID, phase: str = "deal", *, has_dealt: bool = False
) -> tuple[bytes | None, bytes | None]:
    keystore.epoch(1).put_batch(SOURCE, b"x" * 256)
    keystore.epoch(1).put_batch(MASK_SOURCE, (7).to_bytes(32, "big") + bytes(32))
    room = make(keystore, committees(), [])
    nobody: Any = None
    return room._own_shares(view(rid=rid.hex(), phase=phase), BatchKeys(nobody, MASK_SOURCE, 0), has_dealt=has_dealt)


def test_a_dealer_gets_its_rows_and_the_mask(keystore: Keystore) -> None:
    assert own_shares(keystore) == (b"x" * 256, (7).to_bytes(32, "big"))
    again = own_shares(keystore, has_dealt=True)
    assert again == (b"x" * 256, (7).to_bytes(32, "big")), "the same resharing after a restart"


def test_a_deal_that_is_erased_is_not_made_again(keystore: Keystore) -> None:
    own_shares(keystore)
    assert own_shares(keystore) == (b"x" * 256, None), "a chain that shows the resharing from its beginning"


def test_a_mask_that_served_another_resharing_is_given_to_none(keystore: Keystore) -> None:
    own_shares(keystore)
    assert own_shares(keystore, b"o" * 32) == (b"x" * 256, None)


def test_a_settled_resharing_claims_no_mask(keystore: Keystore) -> None:
    assert own_shares(keystore, phase="final") == (b"x" * 256, None)
    assert keystore.pledges.claim_mask(9, b"o" * 32, has_dealt=False)


def test_machines_are_made_anew_when_a_committee_is_seen_or_called_off(keystore: Keystore) -> None:
    room = make(keystore, committees(is_new=True), [], seen=False)
    waiting = Late(RID)
    waiting.may_deal = False
    put(room, waiting)
    room.let_go_undealt()
    assert room.drivers
    keystore.pledges.sight(Sighting(2, "keys", False))
    room.let_go_undealt()
    assert not room.drivers
    put(room, Late(RID))
    room.let_go_undealt()
    assert room.drivers
    keystore.pledges.sight(Sighting(2, "keys", True))
    room.let_go_undealt()
    assert not room.drivers


@pytest.mark.parametrize("aborted", [False, True])
def test_what_is_seen_of_a_committee_while_a_machine_is_made_counts(
    keystore: Keystore, monkeypatch: pytest.MonkeyPatch, aborted: bool
) -> None:
    """It is in no list yet, so nobody ends it."""
    known: Any = committees(is_new=True)
    room = make(keystore, known, [], seen=aborted)

    async def answer(*_: Any) -> Any:
        await trio.lowlevel.checkpoint()
        return known.current

    def construct(*_: Any) -> Late:
        driver = Late(RID)
        driver.may_deal = room._membership.may_deal_to(known.next)
        if may_sight.pop():
            keystore.pledges.sight(Sighting(2, "keys", aborted))
            room.let_go_undealt()
        return driver

    may_sight = [False, True]
    monkeypatch.setattr(reshares_module, "read_keys", answer)
    room._chain = SimpleNamespace(query=answer)  # type: ignore[assignment]
    room._construct = construct  # type: ignore[method-assign, assignment]
    first, second = (trio.run(Reshares._build, room, RID, view()) for _ in range(2))
    assert first is None
    assert second is not None
    assert second.may_deal is not aborted


class Keys:
    """A chain with so many keys."""

    def __init__(self, count: int, batch: str = MASK_SOURCE.hex()) -> None:
        self.count, self.batch = count, batch
        self.pages: list[int] = []

    async def query(self, path: str, _: Any) -> Any:
        await trio.lowlevel.checkpoint()
        if path.startswith("/batch/"):
            return BatchView(id=self.batch, epoch=1, first_index=2_000, count=9, root="", holders=())
        first, limit = map(int, path.removeprefix("/keys/").split("/"))
        self.pages.append(limit)
        found = range(first, min(first + limit, self.count if first < 2_000 else 3_000))
        return [KeyPair(index=i, Y=f"{i:066x}", N=f"{i:066x}", upgraded=i == 3) for i in found]


def read(chain: Keys, count: int) -> BatchKeys:
    any_chain: Any = chain

    async def main() -> BatchKeys:
        return await read_keys(any_chain, view(count=count, mask_index=2_004))

    return trio.run(main)


def test_keys_are_read_page_by_page() -> None:
    chain = Keys(1_300)
    keys = read(chain, 1_300)
    assert chain.pages == [PAGE_KEYS, PAGE_KEYS, 300, 1]
    assert len(keys.public.pairs) == 66 * 1_300
    assert keys.public.upgraded == {3}
    assert (keys.mask_batch, keys.mask_position) == (MASK_SOURCE, 4)


@pytest.mark.parametrize("chain", [Keys(1_299), Keys(0), Keys(1_300, "00" * 32)])
def test_a_chain_that_does_not_show_them_all_is_asked_again(keystore: Keystore, chain: Keys) -> None:
    with pytest.raises(AuthnetError) as caught:
        read(chain, 1_300)
    assert caught.value.code is Code.UNAVAILABLE
    room = make(keystore, committees(), [])

    async def build(_: bytes, shown: ReshareView) -> None:
        any_chain: Any = chain
        await read_keys(any_chain, shown)

    room._build = build  # type: ignore[method-assign, assignment]
    offered(room, view(count=1_300, mask_index=2_004))
    assert not trio.run(_known, room)


async def _known(room: Reshares) -> bool:
    await trio.lowlevel.checkpoint()
    return room.is_known(RID)


# -- whom it speaks to, and in whose name


class Speech:
    """Mesh and desk in one."""

    def __init__(self) -> None:
        self.said: list[tuple[Any, ...]] = []

    def send(self, *said: Any) -> None:
        self.said.append(said)

    def send_all(self, *said: Any) -> None:
        self.said.append(said)

    async def try_send(self, *said: Any) -> None:
        self.said.append(said[:2])


def driver(speech: Speech) -> ReshareDriver:
    nothing: Any = None
    any_speech: Any = speech
    params: Any = type("Params", (), {"rid": RID, "from_epoch": 1, "to_epoch": 2})()
    around_it = Surroundings(any_speech, any_speech, FaultPoints(False), CapacityLimiter(1))
    return ReshareDriver(params, nothing, nothing, around_it, may_deal=True)


@pytest.mark.parametrize(
    ("effect", "said"),
    [
        (SendOld(3, WantNonces(RID)), (1, 3, WantNonces(RID))),
        (SendNew(3, WantNonces(RID)), (2, 3, WantNonces(RID))),
        (SendAllNew(WantNonces(RID)), (2, WantNonces(RID))),
        (Submit(ReshareDeal(RID, b"", b"", b"")), (1, "rdeal")),
        (Submit(ReshareTest(RID, (), bytes(32))), (1, "rtest")),
        (Submit(ReshareAck(RID, 1, b"")), (2, "rack")),
        (Submit(ReshareComplain(RID, 1, b"", b"", b"", (), b"")), (2, "rcomplain")),
        (Submit(ReshareReady(RID, b"")), (2, "ready")),
        (Submit(ReshareHave(RID)), (2, "rhave")),
    ],
)
def test_each_word_goes_to_and_counts_for_its_committee(effect: Any, said: tuple[Any, ...]) -> None:
    speech = Speech()

    async def main() -> None:
        await driver(speech)._carry_out_one(effect)

    trio.run(main)
    assert speech.said == [said]


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        (((1, 4),), Sender(4, None)),
        (((2, 3),), Sender(None, 3)),
        (((1, 4), (2, 3)), Sender(4, 3)),
        (((3, 1),), None),
    ],
)
def test_only_the_two_committees_reach_a_machine(
    keystore: Keystore, places: tuple[tuple[int, int], ...], expected: Sender | None
) -> None:
    room = make(keystore, committees(), [])
    heard: list[Sender] = []

    class Listener:
        from_epoch, to_epoch = 1, 2

        def take(self, sender: Sender, _: Any) -> None:
            heard.append(sender)

    listener: Any = Listener()
    room._hand(listener, Peer("p", "", "aa", places), WantNonces(RID))
    assert heard == ([] if expected is None else [expected])


def test_a_flood_of_one_member_waits_in_a_short_queue() -> None:
    async def main() -> int:
        flooded = driver(Speech())
        for _ in range(1_000):
            flooded.take(Sender(1, 2), WantNonces(RID))
        flooded.take(Sender(2), WantNonces(RID))
        return len(flooded._messages)

    assert trio.run(main) == ReshareDriver.max_per_sender + 1
