"""When a former epoch is erased: not before its grace is over and the switch is final; and then it is said."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
import trio

from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.views import EpochView, MemberView
from authnet_runtime.chain import BlockNote
from p2p_dkg.faults import FaultPoints
from p2p_dkg.keystore.sessions import BRIEF, RETAINED
from p2p_dkg.keystore.store import Keystore, open_keystore
from p2p_dkg.runner.erasure import RETRY_BLOCKS, Eraser

SID = b"s" * 32
GRACE_MS = 5_000


def note(height: int, time_ms: int = GRACE_MS) -> BlockNote:
    return BlockNote(height, time_ms, "aa" * 32)


class Room:
    """Sessions or resharings, as the eraser sees them."""

    def __init__(self, keystore: Keystore) -> None:
        self._keystore = keystore
        self.drivers: list[Any] = []
        self.views: dict[bytes, Any] = {}
        self.let: list[bytes] = []
        self.stubborn = False

    async def read(self, name: bytes) -> Any:
        return self.views.get(name)

    async def forget(self, name: bytes) -> None:
        if not self.stubborn:
            self._keystore.forget_session(name)

    def is_running(self, name: bytes) -> bool:
        return any(driver.key == name for driver in self.drivers)

    def let_go(self, name: bytes) -> None:
        self.let.append(name)


@dataclass
class Bench:
    """An eraser with everything around it."""

    keystore: Keystore
    views: dict[str, EpochView] = field(default_factory=dict)
    said: list[tuple[int, str, int]] = field(default_factory=list)
    behind: bool = False
    stands: bool = True
    down: bool = False

    def __post_init__(self) -> None:
        self.sessions, self.reshares = Room(self.keystore), Room(self.keystore)
        self.make()

    def make(self) -> None:
        """A keeper's next life."""
        here: Any = self
        rooms: Any = (self.sessions, self.reshares)
        self.eraser = Eraser(here, here, here, self.keystore, rooms, FaultPoints(dev=False))

    async def query(self, path: str, type: Any) -> Any:
        await trio.lowlevel.checkpoint()
        if self.down:
            raise AuthnetError(Code.UNAVAILABLE, "down")
        return self.views.get(path)

    @property
    def is_behind(self) -> bool:
        return self.behind

    async def stand_on(self, height: int) -> bool:
        return self.stands

    async def try_send(self, epoch: int, kind: str, fields: Any) -> None:
        self.said.append((epoch, kind, fields.epoch))

    def show(self, current: int, **former: Any) -> None:
        """Epoch `current` is in charge; epoch 1 is retired, unless `former` says otherwise."""
        member = MemberView(
            index=3, operator="", identity=self.keystore.identity.pub.hex(), consensus="", peer_id="", p2p_addr="",
            comet_addr="", endpoint="",
        )  # fmt: skip
        fields = {"status": "retired", "serving_until_ms": 1_000, "grace_ends_ms": GRACE_MS, "members": (member,)}
        base = EpochView(epoch=1, n=5, k=3, t=1, status="", members=(), committee_hash="")
        self.views["/epoch/1"] = msgspec.structs.replace(base, **(fields | former))
        self.views["/epoch/current"] = msgspec.structs.replace(base, epoch=current, status="serving")

    async def look(self, *heights: int, time_ms: int = GRACE_MS) -> None:
        for height in heights:
            await self.eraser.look(note(height, time_ms))

    @property
    def has_shares(self) -> bool:
        return self.keystore.epoch(1).share(SID, 0) is not None


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(reopen(tmp_path, fill=True))


def reopen(tmp_path: Path, *, fill: bool = False) -> Keystore:
    passphrase = tmp_path / "passphrase"
    passphrase.write_text("x")
    passphrase.chmod(0o600)
    store = open_keystore(tmp_path / "keeper", "test", passphrase, 2)
    store.bind_chain("test-1", 1)
    if fill:
        store.epoch(1).put_batch(SID, bytes(range(64)))
        store.epoch(2).put_batch(SID, bytes(range(64)))
    return store


def run(test: Callable[[], Awaitable[None]]) -> None:
    trio.run(test)


def test_it_is_erased_two_blocks_after_its_grace_and_then_said(bench: Bench) -> None:
    async def check() -> None:
        bench.show(2)
        await bench.look(10, 11)
        assert bench.has_shares
        assert bench.said == []
        await bench.look(12)
        assert not bench.has_shares
        assert bench.said == [(1, "erased", 1)]
        assert bench.keystore.epoch(2).share(SID, 0) is not None

    run(check)


@pytest.mark.parametrize(
    ("current", "former"),
    [
        (1, {"status": "serving", "grace_ends_ms": 0, "serving_until_ms": 0}),  # it is in charge
        (2, {"status": "serving", "grace_ends_ms": 0, "serving_until_ms": 0}),  # not switched for all readers
        (2, {"grace_ends_ms": 0}),
        (2, {"grace_ends_ms": GRACE_MS + 1}),
        (0, {"status": "next", "grace_ends_ms": 0}),
        (0, {}),
    ],
)
def test_nothing_is_erased_before_its_time(bench: Bench, current: int, former: dict[str, Any]) -> None:
    async def check() -> None:
        bench.show(current, **former)
        await bench.look(*range(10, 30))
        assert bench.has_shares
        assert bench.said == []

    run(check)


def test_nor_where_the_chain_is_behind_or_has_no_standing(bench: Bench) -> None:
    async def check() -> None:
        bench.show(2)
        bench.behind = True
        await bench.look(*range(10, 20))
        bench.behind, bench.stands = False, False
        await bench.look(*range(20, 30))
        assert bench.has_shares
        bench.stands = True
        await bench.look(31)
        assert not bench.has_shares

    run(check)


def test_what_was_to_come_on_the_chain_before_goes_when_its_number_is_past(bench: Bench) -> None:
    """Shares that a hand-over had brought when the state was taken to a new chain, which never heard of that epoch."""

    async def check() -> None:
        bench.show(1)
        del bench.views["/epoch/1"]
        await bench.look(*range(10, 20))
        assert bench.has_shares, "it may be announced anew"
        bench.views["/epoch/current"] = msgspec.structs.replace(bench.views["/epoch/current"], epoch=2)
        await bench.look(20, 21)
        assert bench.has_shares
        await bench.look(22, 23)
        assert not bench.has_shares
        assert bench.said == []
        assert bench.keystore.epoch(2).share(SID, 0) is not None

    run(check)


def test_a_look_that_shows_otherwise_begins_anew(bench: Bench) -> None:
    """A state that is taken back must not count with the one that replaces it."""

    async def check() -> None:
        bench.show(2)
        await bench.look(10, 11)
        bench.show(1, status="serving", grace_ends_ms=0)
        bench.views["/epoch/current"] = msgspec.structs.replace(bench.views["/epoch/current"], epoch=2)
        await bench.look(12)
        bench.show(2)
        await bench.look(13, 14)
        assert bench.has_shares
        await bench.look(15)
        assert not bench.has_shares

    run(check)


def test_a_chain_that_is_down_costs_a_look(bench: Bench) -> None:
    async def check() -> None:
        bench.down = True
        with pytest.raises(AuthnetError):
            await bench.look(10)
        assert bench.has_shares

    run(check)


def test_what_came_to_nothing_is_erased_and_not_spoken_of(bench: Bench) -> None:
    """Epoch 1 was called off before epoch 2 came."""

    async def check() -> None:
        bench.show(2, status="aborted", grace_ends_ms=0)
        await bench.look(10, 12)
        assert not bench.has_shares
        assert bench.said == []

    run(check)


def test_it_is_said_until_the_chain_shows_it(bench: Bench, tmp_path: Path) -> None:
    async def check() -> None:
        bench.show(2)
        await bench.look(*range(10, 12 + 2 * RETRY_BLOCKS))
        assert len(bench.said) == 2
        bench.keystore = reopen(tmp_path)  # died after it was erased, before it was on chain
        bench.make()
        await bench.look(*range(30, 33))
        assert len(bench.said) == 3
        bench.show(2, erased=(3,))
        await bench.look(*range(40, 60))
        assert len(bench.said) == 3

    run(check)


def test_a_node_that_was_no_member_has_nothing_to_say(bench: Bench) -> None:
    async def check() -> None:
        bench.show(2, members=())
        await bench.look(10, 12, 14)
        assert bench.keystore.epoch(1).is_erased
        assert bench.said == []

    run(check)


def test_its_sessions_go_first(bench: Bench) -> None:
    """A session's seed, encryption key and bundles make its shares again; so does a dealer's seed of a resharing."""

    async def check() -> None:
        names = {
            what: what.encode().ljust(32, b"-") for what in ("made", "brought", "dealt", "other", "later", "orphan")
        }
        for name in names.values():
            for group in (BRIEF, RETAINED):
                bench.keystore.session(name).put(group, "seed", b"x" * 32)
        bench.sessions.views = {
            names["made"]: SimpleNamespace(epoch=1),
            names["other"]: SimpleNamespace(epoch=2),
        }
        bench.reshares.views = {
            names["brought"]: SimpleNamespace(from_epoch=0, to_epoch=1),
            names["dealt"]: SimpleNamespace(from_epoch=1, to_epoch=2),
            names["later"]: SimpleNamespace(from_epoch=2, to_epoch=3),
        }
        bench.reshares.drivers = [
            SimpleNamespace(key=names["dealt"], from_epoch=1, to_epoch=2),
            SimpleNamespace(key=names["later"], from_epoch=2, to_epoch=3),
        ]
        bench.show(2)
        bench.sessions.stubborn = True  # its machine is about to end
        await bench.look(10, 12)
        assert bench.has_shares
        assert bench.said == []
        bench.sessions.stubborn = False
        await bench.look(13)
        assert not bench.has_shares
        left = {what for what, name in names.items() if bench.keystore.has_session(name)}
        assert left == {"dealt", "other", "later"}
        assert not bench.keystore.session(names["dealt"]).has(BRIEF)
        assert bench.keystore.session(names["dealt"]).has(RETAINED)
        assert bench.keystore.session(names["later"]).has(BRIEF)
        assert set(bench.reshares.let) == {names["dealt"]}

    run(check)
