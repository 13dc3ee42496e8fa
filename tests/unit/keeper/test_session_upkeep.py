"""Which sessions get a machine, in which order a machine gets its inputs, and what is announced again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
import trio
from anyio import CapacityLimiter

from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.dkg.fetching import Want
from authnet_core.protocol.dkg.messages import Parts, Recovery, WantBundle, WantList, WantParts, WantRecovery
from authnet_core.protocol.views import EncKeysView, EncKeyView, SessionView
from authnet_core.wire import authnet_pb2 as pb
from authnet_runtime.chain import BlockNote
from p2p_dkg.faults import FaultPoints
from p2p_dkg.keystore.store import Keystore, SeenBlock
from p2p_dkg.network.directory import Peer
from p2p_dkg.runner import sessions as sessions_module
from p2p_dkg.runner.driver import MAX_PER_SENDER, Driver, Surroundings
from p2p_dkg.runner.enckeys import EncKeyPoster
from p2p_dkg.runner.room import BROKEN_S
from p2p_dkg.runner.sessions import Sessions
from p2p_dkg.runner.watch import ChainWatch

SID = b"s" * 32
WANT = WantBundle(SID, 1)
FIVE = Peer("five", "", "", ((1, 5),))


def around() -> Surroundings:
    nobody: Any = None
    return Surroundings(nobody, nobody, FaultPoints(False), CapacityLimiter(1))


class Machine:
    """Records what it is called with."""

    closed = False

    def __init__(self) -> None:
        self.calls: list[str] = []

    @property
    def missing(self) -> tuple[str, ...]:
        return tuple(self.calls)

    def handle(self, sender: int, _: Any) -> list[Any]:
        self.calls.append(f"message of {sender}")
        return []

    def on_timer(self, name: str) -> list[Any]:
        self.calls.append(name)
        self.closed = name == "last"
        return []


class Params:
    sid, epoch = SID, 1


def make_driver() -> tuple[Driver, Machine]:
    machine: Any = Machine()
    params: Any = Params()
    nothing: Any = None
    return Driver(params, machine, nothing, around()), machine


def test_a_timer_that_is_due_does_not_wait_behind_a_flood() -> None:
    async def main() -> None:
        driver, machine = make_driver()
        for _ in range(MAX_PER_SENDER + 10):
            driver.take(3, WANT)
        driver.take(4, WANT)
        driver.ring("ack")
        driver.ring("last")
        with trio.fail_after(5):
            await driver.run()
        assert machine.calls == ["ack", "last"]

    trio.run(main)


def test_a_flood_of_one_sender_costs_the_others_no_place() -> None:
    async def main() -> None:
        driver, machine = make_driver()
        for _ in range(1000):
            driver.take(3, WANT)
        driver.take(4, WANT)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(driver.run)
            while driver._messages:
                await trio.lowlevel.checkpoint()
            driver.ring("last")
        assert machine.calls == ["message of 3"] * MAX_PER_SENDER + ["message of 4", "last"]
        assert driver.show()["missing"] == machine.calls

    trio.run(main)


class Membership:
    index, epoch, body_epoch, retain_ms = 1, None, 1, 1000


def make_sessions(keystore: Keystore, opened: list[bytes]) -> Sessions:
    chain: Any = None
    membership: Any = Membership()
    sessions = Sessions(chain, keystore, membership, around())

    def construct(sid: bytes, _: SessionView) -> None:
        opened.append(sid)

    sessions._construct = construct  # type: ignore[method-assign, assignment]
    return sessions


def final_view(**changes: Any) -> SessionView:
    view = SessionView(
        sid=SID.hex(), epoch=1, curve="secp256k1", counter=1, rows=4, phase="final", h0=5, t0_ms=1, eks=("",) * 5,
        deals={}, acks={}, q=(), q_height=6, opened={}, finals={}, final_ms=500, count=12, chunks=(0,),
        holders=(1, 2, 3, 4),
    )  # fmt: skip
    return msgspec.structs.replace(view, **changes)


def hold(keystore: Keystore) -> None:
    keystore.epoch(1).put_batch(SID, bytes(64))
    keystore.session(SID).put("retained", "bundle/1", b"x")


def note(time_ms: int) -> BlockNote:
    return BlockNote(9, time_ms, "aa")


@pytest.mark.parametrize(
    "want", [WANT, WantList(SID, 1), WantParts(SID, 1, 2), WantRecovery(SID, 1)], ids=lambda want: type(want).__name__
)
def test_a_session_that_only_waits_for_others_has_no_machine_until_they_ask(keystore: Keystore, want: Want) -> None:
    opened: list[bytes] = []

    async def main() -> None:
        hold(keystore)
        sessions = make_sessions(keystore, opened)
        await sessions.offer(final_view())
        assert opened == []
        await sessions.take_message(FIVE, want)
        await sessions.offer(final_view())
        assert opened == [SID]
        await sessions.offer(final_view())
        assert opened == [SID]

    trio.run(main)


def test_an_answer_that_nobody_asked_for_brings_no_machine_back(keystore: Keystore) -> None:
    asked: list[bytes] = []

    async def main() -> None:
        hold(keystore)
        sessions = make_sessions(keystore, [])
        sessions.on_question = asked.append
        for answer in (Parts(SID, 1, 2, bytes(64)), Recovery(SID, 1, b"\x02" * 33, bytes(64))):
            await sessions.take_message(FIVE, answer)
        assert asked == []
        await sessions.take_message(FIVE, WantRecovery(SID, 1))
        assert asked == [SID]

    trio.run(main)


@pytest.mark.parametrize(
    ("changes", "prepare"),
    [
        ({"holders": (1, 2, 3, 4, 5)}, lambda keystore: None),
        ({"holders": (2, 3, 4, 5)}, lambda keystore: None),
        ({"chunks": ()}, lambda keystore: None),
        ({}, lambda keystore: keystore.session(SID).put("brief", "deal", b"x")),
        ({}, lambda keystore: keystore.epoch(1).drop_batch(SID)),
        ({"final_ms": 100}, lambda keystore: None),
    ],
)
def test_a_final_session_with_something_to_do_gets_its_machine(
    keystore: Keystore, changes: dict[str, Any], prepare: Callable[[Keystore], None]
) -> None:
    opened: list[bytes] = []

    async def main() -> None:
        hold(keystore)
        prepare(keystore)
        sessions = make_sessions(keystore, opened)
        sessions.ring_retained(note(1_200))
        await sessions.offer(final_view(**changes))

    trio.run(main)
    assert opened == [SID]


def test_a_broken_session_is_tried_again_after_a_while_and_not_before(keystore: Keystore) -> None:
    tries: list[float] = []

    async def main() -> None:
        hold(keystore)
        sessions = make_sessions(keystore, [])

        def construct(_: bytes, __: SessionView) -> None:
            tries.append(0)
            raise ValueError("not a stored bundle")

        sessions._construct = construct  # type: ignore[method-assign, assignment]
        view = final_view(phase="abandoned")
        for _ in range(5):
            await sessions.offer(view)
            assert sessions.is_known(SID)
        assert len(tries) == 1
        sessions._broken[SID] -= BROKEN_S
        assert not sessions.is_known(SID)
        await sessions.offer(view)
        assert len(tries) == 2

    trio.run(main)


def test_questions_open_no_more_than_so_many_machines(keystore: Keystore, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        hold(keystore)
        sessions = make_sessions(keystore, [])
        asked: list[bytes] = []
        sessions.on_question = asked.append
        monkeypatch.setattr(sessions_module, "MAX_ASKED", 0)
        await sessions.take_message(FIVE, WANT)
        assert asked == []
        monkeypatch.setattr(sessions_module, "MAX_ASKED", 1)
        await sessions.take_message(FIVE, WANT)
        assert asked == [SID]

    trio.run(main)


class Desk:
    """A CometBFT that answers nothing, or takes it."""

    def __init__(self) -> None:
        self.posted: list[pb.EncKey] = []
        self.ticket: Any = None

    async def try_send(self, _: int, __: str, fields: Any) -> Any:
        self.posted.append(fields)
        return self.ticket


class Chain:
    async def query(self, *_: Any) -> EncKeysView:
        return EncKeysView(next_counter=1, members=(EncKeyView(index=1, first=1, last=32, service_key="aa"),))


def test_a_replacement_posted_twice_names_the_same_keys(keystore: Keystore) -> None:
    desk: Any = Desk()
    chain: Any = Chain()
    files = keystore.epoch(1)
    files.waiting.put({counter: bytes([counter]) * 32 for counter in range(1, 33)})
    before = files.waiting.secrets

    async def main() -> None:
        poster = EncKeyPoster(chain, desk, files, "test-1", 1)
        await poster.check(10)
        assert desk.posted == []
        poster.replace_all()
        for height in (20, 21, 30):
            await poster.check(height)

    trio.run(main)
    first, second = ([entry.key for entry in post.keys] for post in desk.posted)
    assert first == second
    assert not set(files.waiting.secrets.values()) & set(before.values())


def test_announced_keys_that_the_disk_lost_are_replaced_from_the_first_one_missing(keystore: Keystore) -> None:
    desk: Any = Desk()
    chain: Any = Chain()
    files = keystore.epoch(1)
    files.waiting.put({counter: bytes([counter]) * 32 for counter in range(1, 33) if counter != 7})

    async def main() -> None:
        await EncKeyPoster(chain, desk, files, "test-1", 1).check(10)

    trio.run(main)
    assert [post.first_counter for post in desk.posted] == [7]


class Silent:
    """A CometBFT that must not be needed."""

    async def get(self, *_: Any) -> Any:
        raise AuthnetError(Code.UNAVAILABLE, "down")


def test_a_halted_chain_at_the_remembered_block_needs_no_history(keystore: Keystore) -> None:
    keystore.see(SeenBlock(9, 1_200, "aa"))
    chain: Any = None
    comet: Any = Silent()

    async def main() -> None:
        watch = ChainWatch(chain, keystore)
        await watch._take(note(1_200))
        with trio.fail_after(1):
            await watch.check_history(comet)

    trio.run(main)
