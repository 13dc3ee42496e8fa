"""Which sessions this node works on: reads the chain at each block, opens drivers, feeds them, lets them go.

Level-triggered: every block the open sessions are read again, so that nothing depends on having seen an event.
"""

from __future__ import annotations

import os

import trio
from anyio import CapacityLimiter, to_thread

from authnet_core.errors import AuthnetError, Code, ConfigError
from authnet_core.protocol.committee import Committee
from authnet_core.protocol.dkg.machine import Session
from authnet_core.protocol.dkg.messages import Message, WantBundle, WantList
from authnet_core.protocol.dkg.picture import params_of
from authnet_core.protocol.views import EncKeysView, RetainedView, SessionsView, SessionView, StatusView
from authnet_runtime.chain import BlockNote, ChainReader
from authnet_runtime.logs import get_logger
from p2p_dkg.faults import FaultPoints
from p2p_dkg.keystore.sessions import BRIEF
from p2p_dkg.keystore.store import Keystore
from p2p_dkg.network.mesh import Mesh
from p2p_dkg.runner.driver import Driver, Surroundings
from p2p_dkg.runner.early import EarlyMessages
from p2p_dkg.runner.membership import Membership
from p2p_dkg.runner.records import SessionShelves
from p2p_dkg.runner.submit import TxDesk
from p2p_dkg.runner.watch import ChainWatch

LIST_S, LIST_IDLE_S = 5.0, 20.0
SWEEP_S = 10.0
RETAINED_S = 4.0
PARK_S = 120.0
_THREADS = 2
_OVER = ("final", "abandoned")
_log = get_logger("runner")


class Runner:
    """The sessions of one keeper."""

    def __init__(
        self, chain: ChainReader, watch: ChainWatch, desk: TxDesk, keystore: Keystore, mesh: Mesh, faults: FaultPoints
    ) -> None:
        self._chain, self._watch, self._desk = chain, watch, desk
        self._keystore, self._mesh = keystore, mesh
        self._around = Surroundings(mesh, desk, faults, CapacityLimiter(_THREADS))
        self._drivers: dict[bytes, Driver] = {}
        self._scopes: dict[bytes, trio.CancelScope] = {}
        self._broken: set[bytes] = set()
        self._early = EarlyMessages()
        self._wanted: set[bytes] = set()
        self._last_sweep = self._last_retained = -1e9
        self._wake_sweep = trio.Event()
        self.membership = Membership(chain, desk, keystore, mesh)
        self._listed_height, self._listed_at = 0, -1e9
        self.dev: bool | None = None
        """What genesis says, None before the chain is there."""
        self.draining = False
        self._short: tuple[bytes, ...] = ()
        mesh.handle_messages(self.take_message)

    async def bind(self, network_id: str) -> None:
        """Wait for the chain and bind the keystore to it. Raises ConfigError for another network's chain."""
        note = await self._watch.first()
        while True:
            try:
                status = await self._chain.query("/status", StatusView)
            except AuthnetError:
                status = None
            if status is not None:
                break
            note = await self._watch.next_block()
        if status.network_id != network_id:
            raise ConfigError(f"node.network_id: is {network_id}, but the chain is of {status.network_id}")
        self.dev = status.dev
        was_born = self._keystore.place.born_height is not None
        await to_thread.run_sync(self._keystore.bind_chain, status.chain_id, note.height)
        self._desk.chain_id = status.chain_id
        self.membership.start(status.chain_id, is_new_here=not was_born)

    async def run(self) -> None:
        """Follow the chain until cancelled. `bind` comes first."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._sweep_often, nursery)
            handled: BlockNote | None = None
            while True:
                note = self._watch.newest
                if note is None or note is handled:
                    note = await self._watch.next_block()
                handled = note
                try:
                    await self._tick(note, nursery)
                except AuthnetError as refusal:
                    if refusal.code is Code.KEYSTORE_DAMAGED:
                        raise
                    _log.info("runner.waiting", code=refusal.code.value, reason=refusal.message)

    async def take_message(self, sender: int, message: Message) -> None:
        """A member's message: to its session, or kept for a moment if the session is not known yet."""
        sid = message.sid
        driver = self._drivers.get(sid)
        if driver is not None:
            driver.take(sender, message)
            return
        self._early.keep(sender, message)
        if isinstance(message, WantBundle | WantList) and (self._keystore.folder / "sessions" / sid.hex()).is_dir():
            self._wanted.add(sid)
            self._wake_sweep.set()

    def drivers(self) -> list[Driver]:
        """Sessions with a running machine, for `status`."""
        return list(self._drivers.values())

    def short(self) -> list[str]:
        """Final sessions whose shares this node does not have, for `status`."""
        return [sid.hex() for sid in self._short]

    def _is_behind(self) -> bool:
        """Whether the chain shown is older than what this keeper acted on: then it acts on nothing."""
        seen, newest = self._keystore.seen, self._watch.newest
        return seen is not None and (newest is None or newest.height < seen.height)

    async def _tick(self, note: BlockNote, nursery: trio.Nursery) -> None:
        if self._is_behind():
            return
        await self.membership.refresh(note)
        if self.membership.index is None:
            return
        is_listing = self._is_listing_due(note)
        await self.membership.post_keys(note.height, at_once=is_listing)
        if is_listing:
            await self._list(note, nursery)
        else:
            await self._watch.remember(note, acting=bool(self._drivers))
            for driver in self.drivers():
                if not driver.is_idle:
                    await self._look_up(driver.sid, nursery)
        self._ring_retained(note)

    def _is_listing_due(self, note: BlockNote) -> bool:
        """`/sessions` is long: read it when a session changed phase, after missed blocks, and now and then."""
        was_missed = note.height != self._listed_height + 1
        self._listed_height = note.height
        pause = LIST_S if self._drivers else LIST_IDLE_S
        is_time = trio.current_time() - self._listed_at >= pause
        return was_missed or is_time or any(event.type == "session_phase" for event in note.events)

    async def _list(self, note: BlockNote, nursery: trio.Nursery) -> None:
        sessions = await self._chain.query("/sessions", SessionsView)
        if sessions is None:
            return
        self._listed_at = trio.current_time()
        await self._watch.remember(note, acting=bool(sessions.open or self._drivers))
        listed = (*sessions.open, *sessions.recent)
        for view in listed:
            await self._offer(view, nursery)
        for sid in self._drivers.keys() - {bytes.fromhex(view.sid) for view in listed}:
            await self._look_up(sid, nursery)

    async def _offer(self, view: SessionView, nursery: trio.Nursery) -> None:
        """Feed a session's driver, opening one if this node has work in it."""
        sid = bytes.fromhex(view.sid)
        driver = self._drivers.get(sid)
        if driver is None and sid not in self._broken and self._concerns(sid, view):
            driver = await self._open(sid, view, nursery)
        if driver is not None:
            driver.see(view)

    def _concerns(self, sid: bytes, view: SessionView) -> bool:
        has_files = (self._keystore.folder / "sessions" / sid.hex()).is_dir()
        if view.phase == "abandoned":
            return has_files
        if view.phase == "final":
            is_held = self._keystore.epoch(view.epoch).holds(sid)
            return has_files or (not is_held and self.membership.index not in view.holders)
        born = self._keystore.place.born_height
        if self.draining and not has_files:
            return False
        return born is not None and view.h0 > born

    async def _open(self, sid: bytes, view: SessionView, nursery: trio.Nursery) -> Driver | None:
        try:
            driver = await to_thread.run_sync(self._construct, sid, view)
        except (ValueError, AuthnetError) as error:
            self._broken.add(sid)
            _log.error("session.not_opened", sid=sid.hex(), reason=f"{type(error).__name__}: {error}")
            return None
        if driver is None:
            return None
        driver.used_at = trio.current_time()
        self._drivers[sid] = driver
        scope = self._scopes[sid] = trio.CancelScope()
        nursery.start_soon(self._run_driver, driver, scope)
        for sender, message in self._early.pop(sid):
            driver.take(sender, message)
        return driver

    def _construct(self, sid: bytes, view: SessionView) -> Driver | None:
        """Build the machine from what is durable. Runs in a thread; raises ValueError or KEYSTORE_DAMAGED."""
        epoch, me = self.membership.epoch, self.membership.index
        if epoch is None or me is None or epoch.epoch != view.epoch:
            return None
        committee = Committee(epoch.n, epoch.k, epoch.t)
        params = params_of(self._desk.chain_id, committee, bytes.fromhex(epoch.committee_hash), view)
        shelves = SessionShelves(self._keystore.session(sid), self._keystore.epoch(view.epoch))
        secret = shelves.take_encryption_key(view.counter, params.eks[me - 1])
        durable = shelves.load()
        if view.phase in _OVER and secret is None and not durable:
            return None  # announced no key for it, or it is on another disk: short until the next refresh
        machine = Session(params, me, secret, os.urandom(32), durable)
        return Driver(params, machine, shelves, self._around)

    async def _run_driver(self, driver: Driver, scope: trio.CancelScope) -> None:
        sid = driver.sid
        try:
            with scope:
                await driver.run()
                await to_thread.run_sync(self._keystore.forget_session, sid)
        except (ValueError, RuntimeError, LookupError, AuthnetError) as error:
            # One broken session must not take the node's logins with it; it is opened again after a restart.
            self._broken.add(sid)
            _log.error("session.broken", sid=sid.hex(), error=type(error).__name__, exc_info=True)
        finally:
            self._drivers.pop(sid, None)
            self._scopes.pop(sid, None)

    async def _look_up(self, sid: bytes, nursery: trio.Nursery) -> None:
        """A session that `/sessions` does not show: ask for it alone."""
        view = await self._chain.query(f"/session/{sid.hex()}", SessionView)
        if view is not None:
            await self._offer(view, nursery)
        elif sid in self._drivers:
            self._scopes[sid].cancel()
        else:
            await to_thread.run_sync(self._keystore.forget_session, sid)

    def _ring_retained(self, note: BlockNote) -> None:
        for driver in self._drivers.values():
            view = driver.view
            if view is not None and view.final_ms and view.final_ms + self.membership.retain_ms <= note.time_ms:
                driver.ring("retain")

    async def _sweep_often(self, nursery: trio.Nursery) -> None:
        while True:
            self._wake_sweep = trio.Event()
            with trio.move_on_after(RETAINED_S):
                await self._wake_sweep.wait()
            if self.membership.index is None or self._is_behind():
                continue
            try:
                await self._sweep(nursery)
            except AuthnetError as refusal:
                _log.info("runner.waiting", reason=refusal.message)

    async def _sweep(self, nursery: trio.Nursery) -> None:
        """Sessions not in the newest list: to catch up, asked about by a peer, or with something to erase."""
        now = trio.current_time()
        wanted, self._wanted = self._wanted, set()
        if now - self._last_retained >= RETAINED_S:
            self._last_retained = now
            wanted |= await self._to_catch_up()
        if now - self._last_sweep >= SWEEP_S:
            self._last_sweep = now
            self._park(now)
            await self._discard_spent_keys()
            wanted |= set(await to_thread.run_sync(self._keystore.sessions))
        for sid in sorted(wanted - self._drivers.keys() - self._broken):
            await self._look_up(sid, nursery)

    async def _to_catch_up(self) -> set[bytes]:
        retained = await self._chain.query("/sessions/retained", list[RetainedView])
        me = self.membership.index
        missing = [view for view in retained or [] if me not in view.holders]
        sids = {bytes.fromhex(view.sid): view.epoch for view in missing}
        self._short = tuple(sid for sid, epoch in sids.items() if not self._keystore.epoch(epoch).holds(sid))
        return set(sids)

    async def _discard_spent_keys(self) -> None:
        """Erase waiting encryption keys whose sessions are over for all, or came to nothing.

        A key this node did not get to use stays while its session is open or missed by somebody. The open ones
        are read first: a session may become final between the two reads, but not the other way round.
        """
        epoch = self.membership.epoch
        enckeys = await self._chain.query("/enckeys", EncKeysView)
        if epoch is None or enckeys is None:
            return
        waiting = self._keystore.epoch(epoch.epoch).waiting
        started = {counter for counter in waiting.secrets if counter < enckeys.next_counter}
        if not started:
            return
        sessions = await self._chain.query("/sessions", SessionsView)
        retained = await self._chain.query("/sessions/retained", list[RetainedView])
        if sessions is None or retained is None:
            return
        needed = {view.counter for view in sessions.open} | {view.counter for view in retained}
        await to_thread.run_sync(waiting.discard, started - needed)

    def _park(self, now: float) -> None:
        """Drop machines that only wait for others; a peer's question or the sweep brings them back."""
        for sid, driver in list(self._drivers.items()):
            is_quiet = driver.is_idle and now - driver.used_at > PARK_S
            if is_quiet and not self._keystore.session(sid).has(BRIEF):
                self._scopes[sid].cancel()
