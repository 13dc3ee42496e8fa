"""The sessions this node has a running machine for: opened when there is work in them, fed, and let go.

One broken session must not take the node's logins with it: it is set aside for a minute and then built anew from
what is on disk, as after a restart, so that it is also erased when its time comes.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable

import trio
from anyio import to_thread

from authnet_core.errors import AuthnetError
from authnet_core.protocol.committee import Committee
from authnet_core.protocol.dkg.fetching import Want
from authnet_core.protocol.dkg.machine import Session
from authnet_core.protocol.dkg.messages import CHUNK_KEYS, Message
from authnet_core.protocol.dkg.picture import params_of
from authnet_core.protocol.views import SessionView
from authnet_runtime.chain import BlockNote, ChainReader
from authnet_runtime.logs import get_logger
from p2p_dkg.keystore.sessions import BRIEF
from p2p_dkg.keystore.store import Keystore
from p2p_dkg.network.directory import Peer
from p2p_dkg.runner.driver import Driver, Surroundings
from p2p_dkg.runner.early import EarlyMessages
from p2p_dkg.runner.membership import Membership
from p2p_dkg.runner.records import SessionShelves

PARK_S = 120.0
BROKEN_S = 60.0
MAX_ASKED = 64
"""Machines above which members' questions open no more: each has all bundles of its session in memory."""
_OVER = ("final", "abandoned")
_log = get_logger("session")


class Sessions:
    """sid -> driver. Drivers run in the nursery given to `start`."""

    def __init__(self, chain: ChainReader, keystore: Keystore, membership: Membership, around: Surroundings) -> None:
        self._chain, self._keystore, self._membership, self._around = chain, keystore, membership, around
        self._drivers: dict[bytes, Driver] = {}
        self._scopes: dict[bytes, trio.CancelScope] = {}
        self._opening: set[bytes] = set()
        self._broken: dict[bytes, float] = {}
        self._early = EarlyMessages()
        self._asked: set[bytes] = set()
        self._now_ms = 0
        self._nursery: trio.Nursery | None = None
        self.draining = False
        """Whether no new session is joined."""
        self.on_question: Callable[[bytes], None] = lambda _: None
        """Called with a session that a member asks about and that has files but no machine."""
        self.stand_on: Callable[[int], Awaitable[bool]] = _anywhere
        """Remembers the block of a height before a machine acts on what was read there; False: do not act."""

    def start(self, nursery: trio.Nursery) -> None:
        """Name the nursery that drivers run in."""
        self._nursery = nursery

    @property
    def drivers(self) -> list[Driver]:
        """A copy of the running ones."""
        return list(self._drivers.values())

    def is_known(self, sid: bytes) -> bool:
        """Whether a session is being worked on, or set aside as broken."""
        return sid in self._drivers or self._is_broken(sid)

    def _is_broken(self, sid: bytes) -> bool:
        return trio.current_time() - self._broken.get(sid, -BROKEN_S) < BROKEN_S

    async def take_message(self, sender: Peer, message: Message) -> None:
        """A member's message: to its session, or kept for a moment if the session is not known yet."""
        driver = self._drivers.get(message.sid)
        if driver is not None:
            self._hand(driver, sender, message)
            return
        self._early.keep(sender, message)
        if not isinstance(message, Want) or len(self._drivers) >= MAX_ASKED:
            return
        if self._keystore.has_session(message.sid):
            self._asked.add(message.sid)
            self.on_question(message.sid)

    def _hand(self, driver: Driver, sender: Peer, message: Message) -> None:
        """Only what members of the session's own committee say reaches its machine."""
        index = sender.index_in(driver.epoch)
        if index is not None:
            driver.take(index, message)

    async def offer(self, view: SessionView) -> None:
        """Feed a session's driver, opening one if this node has work in it."""
        sid = bytes.fromhex(view.sid)
        if not await self.stand_on(view.height):
            return
        driver = self._drivers.get(sid)
        is_free = driver is None and sid not in self._opening and not self._is_broken(sid)
        if is_free and self._concerns(sid, view):
            driver = await self._open(sid, view)
        if driver is not None:
            driver.see(view)

    async def look_up(self, sid: bytes) -> None:
        """A session that `/sessions` does not show: ask for it alone."""
        view = await self._chain.query(f"/session/{sid.hex()}", SessionView)
        if view is not None:
            await self.offer(view)
        elif sid in self._drivers:
            self._scopes[sid].cancel()
        else:
            await to_thread.run_sync(self._keystore.forget_session, sid)

    def ring_retained(self, note: BlockNote) -> None:
        """Tell machines whose RETAIN is over in block time."""
        self._now_ms = note.time_ms
        for driver in self._drivers.values():
            view = driver.view
            if view is not None and self._is_retain_over(view):
                driver.ring("retain")

    def park(self) -> None:
        """Drop machines that only wait for others; a member's question or the upkeep brings them back."""
        now = trio.current_time()
        for sid, driver in list(self._drivers.items()):
            is_quiet = driver.is_idle and now - driver.used_at > PARK_S
            if is_quiet and not self._keystore.session(sid).has(BRIEF):
                self._scopes[sid].cancel()

    def _concerns(self, sid: bytes, view: SessionView) -> bool:
        has_files = self._keystore.has_session(sid)
        if view.phase == "abandoned":
            return has_files
        if view.phase == "final":
            if has_files:
                return sid in self._asked or not self._only_serves(sid, view)
            return not self._keystore.epoch(view.epoch).holds(sid) and self._membership.index not in view.holders
        if self.draining and not has_files:
            return False
        born = self._keystore.place.born_height
        return born is not None and view.h0 > born

    def _only_serves(self, sid: bytes, view: SessionView) -> bool:
        """Whether a final session is done here but for others that catch up: it needs no machine until they ask."""
        is_held = self._keystore.epoch(view.epoch).holds(sid) and self._membership.index in view.holders
        is_posted = len(view.chunks) * CHUNK_KEYS >= view.count
        is_missed = len(view.holders) < len(view.eks)
        is_erased = not self._keystore.session(sid).has(BRIEF)
        return is_held and is_posted and is_missed and is_erased and not self._is_retain_over(view)

    def _is_retain_over(self, view: SessionView) -> bool:
        return bool(view.final_ms) and view.final_ms + self._membership.retain_ms <= self._now_ms

    async def _open(self, sid: bytes, view: SessionView) -> Driver | None:
        self._opening.add(sid)
        self._asked.discard(sid)
        try:
            driver = await to_thread.run_sync(self._construct, sid, view)
        except (ValueError, AuthnetError) as error:
            self._broken[sid] = trio.current_time()
            _log.error("session.not_opened", sid=sid.hex(), error=type(error).__name__)
            return None
        finally:
            self._opening.discard(sid)
        if driver is None or self._nursery is None:
            return None
        self._drivers[sid] = driver
        scope = self._scopes[sid] = trio.CancelScope()
        self._nursery.start_soon(self._run, driver, scope)
        for sender, message in self._early.pop(sid):
            self._hand(driver, sender, message)
        return driver

    def _construct(self, sid: bytes, view: SessionView) -> Driver | None:
        """Build the machine from what is durable. Runs in a thread; raises ValueError or KEYSTORE_DAMAGED."""
        epoch, me = self._membership.epoch, self._membership.index
        if epoch is None or me is None or epoch.epoch != view.epoch:
            return None
        committee = Committee(epoch.n, epoch.k, epoch.t)
        committee_hash = bytes.fromhex(epoch.committee_hash)
        params = params_of(self._around.desk.chain_id, committee, committee_hash, view)
        shelves = SessionShelves(self._keystore.session(sid), self._keystore.epoch(view.epoch))
        secret = shelves.take_encryption_key(view.counter, params.eks[me - 1])
        durable = shelves.load()
        if secret is None and params.eks[me - 1] and view.phase not in _OVER:
            self._membership.replace_keys()  # this session goes on without us, the next ones need not
        if view.phase in _OVER and secret is None and not durable:
            self._keystore.forget_session(sid)  # a crash in the midst of erasing leaves an empty folder
            return None  # announced no key for it, or it is on another disk: short until the next refresh
        machine = Session(params, me, secret, os.urandom(32), durable)
        return Driver(params, machine, shelves, self._around)

    async def _run(self, driver: Driver, scope: trio.CancelScope) -> None:
        sid = driver.sid
        try:
            with scope:
                await driver.run()
                await to_thread.run_sync(self._keystore.forget_session, sid)
        except (ValueError, RuntimeError, LookupError, AuthnetError) as error:
            self._broken[sid] = trio.current_time()
            _log.error("session.broken", sid=sid.hex(), error=type(error).__name__, where=_place(error))
        finally:
            self._drivers.pop(sid, None)
            self._scopes.pop(sid, None)


async def _anywhere(_: int) -> bool:
    return True


def _place(error: BaseException) -> str:
    """Where an exception came from; its text may hold anything and stays out of the log."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    return f"{place.tb_frame.f_code.co_filename}:{place.tb_lineno}" if place is not None else ""
