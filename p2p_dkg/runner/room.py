"""The machines this node has running: opened when there is work in them, fed, and let go.

One that breaks must not take the node's logins with it: it is set aside for a minute and then built anew from what is
on disk, as after a restart, so that it is also erased when its time comes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

import trio
from anyio import to_thread

from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.dkg.messages import Message
from authnet_core.protocol.reshare.messages import ReshareMessage
from authnet_runtime.chain import BlockNote, ChainReader
from authnet_runtime.logs import get_logger
from p2p_dkg.keystore.sessions import BRIEF
from p2p_dkg.keystore.store import Keystore
from p2p_dkg.network.directory import Peer
from p2p_dkg.runner.driver import MachineDriver, Surroundings, ViewT
from p2p_dkg.runner.early import EarlyMessages, name_of
from p2p_dkg.runner.membership import Membership

PARK_S = 120.0
BROKEN_S = 60.0
DriverT = TypeVar("DriverT", bound=MachineDriver[Any, Any, Any])
_log = get_logger("session")


class Room(ABC, Generic[ViewT, DriverT]):
    """sid or rid -> driver. Drivers run in the nursery given to `start`."""

    def __init__(self, chain: ChainReader, keystore: Keystore, membership: Membership, around: Surroundings) -> None:
        self._chain, self._keystore, self._membership, self._around = chain, keystore, membership, around
        self._drivers: dict[bytes, DriverT] = {}
        self._scopes: dict[bytes, trio.CancelScope] = {}
        self._opening: set[bytes] = set()
        self._broken: dict[bytes, float] = {}
        self._early = EarlyMessages()
        self._asked: set[bytes] = set()
        self._doomed: set[bytes] = set()
        """Running machines whose files go with them."""
        self._now_ms = 0
        self._nursery: trio.Nursery | None = None
        self.draining = False
        """Whether nothing new is joined."""
        self.on_question: Callable[[bytes], None] = lambda _: None
        """Called with a name that a member asks about and that has no machine, but may need one."""
        self.stand_on: Callable[[int], Awaitable[bool]] = _anywhere
        """Remembers the block of a height before a machine acts on what was read there; False: do not act."""

    @property
    @abstractmethod
    def max_asked(self) -> int:
        """Machines above which members' questions open no more: each holds megabytes."""

    @abstractmethod
    async def read(self, name: bytes) -> ViewT | None:
        """The chain's record."""

    @abstractmethod
    def _name(self, view: ViewT) -> bytes:
        """The view's sid or rid."""

    @abstractmethod
    def _is_question(self, sender: Peer, message: Any) -> bool:
        """Whether a member asks for something that this node may have without a running machine."""

    @abstractmethod
    def _hand(self, driver: DriverT, sender: Peer, message: Any) -> None:
        """Give a message to a driver, if the sender is in a committee that has a say there."""

    @abstractmethod
    def _concerns(self, name: bytes, view: ViewT) -> bool:
        """Whether this node has work in it that needs a machine."""

    @abstractmethod
    async def _build(self, name: bytes, view: ViewT) -> DriverT | None:
        """The machine from what is durable. Raises ValueError or AuthnetError(KEYSTORE_DAMAGED)."""

    def start(self, nursery: trio.Nursery) -> None:
        """Name the nursery that drivers run in."""
        self._nursery = nursery

    @property
    def drivers(self) -> list[DriverT]:
        """A copy of the running ones."""
        return list(self._drivers.values())

    def is_known(self, name: bytes) -> bool:
        """Whether it is being worked on, or set aside as broken."""
        return name in self._drivers or self._is_broken(name)

    def is_running(self, name: bytes) -> bool:
        """Whether there is a machine."""
        return name in self._drivers

    def _is_broken(self, name: bytes) -> bool:
        return trio.current_time() - self._broken.get(name, -BROKEN_S) < BROKEN_S

    async def take_message(self, sender: Peer, message: Message | ReshareMessage) -> None:
        """A member's message: to its machine, or kept for a moment if the chain does not show what it is about yet."""
        name = name_of(message)
        driver = self._drivers.get(name)
        if driver is not None:
            self._hand(driver, sender, message)
            return
        self._early.keep(sender, message)
        if self._is_question(sender, message) and len(self._drivers) < self.max_asked:
            self._asked.add(name)
            self.on_question(name)

    async def offer(self, view: ViewT) -> None:
        """Feed a driver, opening one if this node has work in it."""
        name = self._name(view)
        if not await self.stand_on(view.height):
            return
        driver = self._drivers.get(name)
        is_free = driver is None and name not in self._opening and not self._is_broken(name)
        if is_free and self._concerns(name, view):
            driver = await self._open(name, view)
        if driver is not None:
            driver.see(view)

    async def look_up(self, name: bytes) -> ViewT | None:
        """What no list shows: ask for it alone. A machine of something that the chain does not know goes."""
        view = await self.read(name)
        if view is not None:
            await self.offer(view)
        else:
            self.let_go(name)
        return view

    def let_go(self, name: bytes) -> None:
        """End a machine; what it stored stays."""
        self._asked.discard(name)
        if name in self._scopes:
            self._scopes[name].cancel()

    async def forget(self, name: bytes) -> None:
        """End a machine and shred what it stored, but for shares of an epoch."""
        if name in self._drivers:
            self._doomed.add(name)
            self.let_go(name)
        elif name not in self._opening:
            await to_thread.run_sync(self._keystore.forget_session, name)

    def ring_retained(self, note: BlockNote) -> None:
        """Tell machines whose RETAIN is over in block time."""
        self._now_ms = note.time_ms
        for driver in self._drivers.values():
            if driver.view is not None and self._is_retain_over(driver.view):
                driver.ring("retain")

    def park(self) -> None:
        """Drop machines that only wait for others; a member's question or the upkeep brings them back."""
        self._early.tidy()
        now = trio.current_time()
        for name, driver in list(self._drivers.items()):
            is_quiet = driver.is_idle and now - driver.used_at > PARK_S
            if is_quiet and not self._keystore.session(name).has(BRIEF):
                self.let_go(name)

    def _is_retain_over(self, view: ViewT) -> bool:
        return bool(view.final_ms) and view.final_ms + self._membership.retain_ms <= self._now_ms

    async def _open(self, name: bytes, view: ViewT) -> DriverT | None:
        self._opening.add(name)
        self._asked.discard(name)
        try:
            driver = await self._build(name, view)
        except (ValueError, AuthnetError) as error:
            if isinstance(error, AuthnetError) and error.code is Code.UNAVAILABLE:
                return None  # the chain does not show all that is needed: the next block may
            self._broken[name] = trio.current_time()
            _log.error("session.not_opened", sid=name.hex(), error=type(error).__name__, where=_place(error))
            return None
        finally:
            self._opening.discard(name)
        if driver is None or self._nursery is None:
            return None
        self._drivers[name] = driver
        scope = self._scopes[name] = trio.CancelScope()
        self._nursery.start_soon(self._run, name, driver, scope)
        for sender, message in self._early.pop(name):
            self._hand(driver, sender, message)
        return driver

    async def _run(self, name: bytes, driver: DriverT, scope: trio.CancelScope) -> None:
        try:
            with scope:
                await driver.run()
            if driver.machine.closed or name in self._doomed:
                await to_thread.run_sync(self._keystore.forget_session, name)
        except (ValueError, RuntimeError, LookupError, AuthnetError) as error:
            self._broken[name] = trio.current_time()
            _log.error("session.broken", sid=name.hex(), error=type(error).__name__, where=_place(error))
        finally:
            self._drivers.pop(name, None)
            self._scopes.pop(name, None)
            self._doomed.discard(name)


async def _anywhere(_: int) -> bool:
    return True


def _place(error: BaseException) -> str:
    """Where an exception came from; its text may hold anything and stays out of the log."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    return f"{place.tb_frame.f_code.co_filename}:{place.tb_lineno}" if place is not None else ""
