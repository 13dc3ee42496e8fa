"""Follows the chain block by block: places in committees, announced keys, sessions and resharings with work in them.

Level-triggered: state is read again and again, so that nothing depends on having seen an event.
"""

from __future__ import annotations

import trio
from anyio import CapacityLimiter, to_thread

from authnet_core.errors import AuthnetError, Code, ConfigError
from authnet_core.protocol.dkg.messages import Message
from authnet_core.protocol.reshare.messages import ReshareMessage
from authnet_core.protocol.views import ResharesView, SessionsView, StatusView
from authnet_core.wire.authnet_pb2 import EpochRecord
from authnet_runtime.chain import BlockNote, ChainReader
from authnet_runtime.logs import get_logger
from p2p_dkg.faults import FaultPoints
from p2p_dkg.keystore.store import Keystore
from p2p_dkg.network.directory import Peer
from p2p_dkg.network.mesh import Mesh
from p2p_dkg.runner.driver import Surroundings
from p2p_dkg.runner.membership import Membership
from p2p_dkg.runner.reshares import Reshares
from p2p_dkg.runner.sessions import Sessions
from p2p_dkg.runner.submit import TxDesk
from p2p_dkg.runner.upkeep import Upkeep
from p2p_dkg.runner.watch import ChainWatch

LIST_S, LIST_IDLE_S = 5.0, 20.0
_THREADS = 2
_MOVING = ("resharing", "switching")
_log = get_logger("runner")


class Runner:
    """Key generation and resharing of one keeper."""

    def __init__(
        self, chain: ChainReader, watch: ChainWatch, desk: TxDesk, keystore: Keystore, mesh: Mesh, faults: FaultPoints
    ) -> None:
        self._chain, self._watch, self._desk, self._keystore = chain, watch, desk, keystore
        around = Surroundings(mesh, desk, faults, CapacityLimiter(_THREADS))
        self._listed_height, self._listed_at = 0, -1e9
        self._moved_at = -1e9
        self.membership = Membership(chain, desk, keystore, mesh)
        self.sessions = Sessions(chain, keystore, self.membership, around)
        self.reshares = Reshares(chain, keystore, self.membership, around)
        self.upkeep = Upkeep(chain, keystore, self.membership, (self.sessions, self.reshares), watch)
        self.dev: bool | None = None
        """What genesis says, None before the chain is there."""
        self.sessions.stand_on = self.reshares.stand_on = watch.stand_on
        watch.listeners.append(desk.learn)
        mesh.handle_messages(self._take_message)

    async def bind(self, network_id: str) -> None:
        """Wait for the chain and bind the keystore to it. Raises ConfigError for another network's chain."""
        note = await self._watch.first()
        while True:
            try:
                status = await self._chain.query("/status", StatusView)
            except AuthnetError:
                status = None
            # A restored disk counts from the height it came back at, so that must not be an older one.
            is_old = self._keystore.place.born_height is None and self._watch.is_behind
            if status is not None and not is_old:
                break
            note = await self._watch.next_block()
        if status.network_id != network_id:
            raise ConfigError(f"node.network_id: is {network_id}, but the chain is of {status.network_id}")
        was_born = self._keystore.place.born_height is not None
        await to_thread.run_sync(self._keystore.bind_chain, status.chain_id, note.height)
        self._desk.chain_id = status.chain_id
        self.membership.start(status.chain_id, is_new_here=not was_born)
        self.dev = status.dev

    async def run(self) -> None:
        """Follow the chain until cancelled. `bind` comes first."""
        async with trio.open_nursery() as nursery:
            self.sessions.start(nursery)
            self.reshares.start(nursery)
            nursery.start_soon(self.upkeep.run)
            handled: BlockNote | None = None
            while True:
                note = self._watch.newest
                if note is None or note is handled:
                    note = await self._watch.next_block()
                handled = note
                try:
                    await self._tick(note)
                except AuthnetError as refusal:
                    if refusal.code is Code.KEYSTORE_DAMAGED:
                        raise
                    _log.info("runner.waiting", code=refusal.code.value, reason=refusal.message)

    async def saw_epoch(self, record: EpochRecord) -> bool:
        """The epoch_manager saw this record in a finalized block: only to such a committee are shares dealt, until it
        is seen to be called off. Whether that is new."""
        is_new = await self.membership.saw_epoch(record)
        if is_new:
            self.reshares.let_go_undealt()
        return is_new

    async def _take_message(self, sender: Peer, message: Message | ReshareMessage) -> None:
        if isinstance(message, Message):
            await self.sessions.take_message(sender, message)
        else:
            await self.reshares.take_message(sender, message)

    async def _tick(self, note: BlockNote) -> None:
        if self._watch.is_behind:
            return
        await self.membership.refresh(note)
        if not self.membership.committees.is_member and not self.reshares.drivers:
            return
        is_listing = self._is_listing_due(note)
        is_moving = self._is_moving(note)
        await self.membership.post(note, at_once=is_listing or _has(note, "reshare_phase"))
        if self.membership.index is not None:
            await self._tend_sessions(note, is_listing=is_listing)
        else:
            await self._watch.remember(note, acting=bool(self.reshares.drivers))
        if is_moving:
            await self._move(note)
        self.sessions.ring_retained(note)
        self.reshares.ring_retained(note)
        self.reshares.trim()

    async def _tend_sessions(self, note: BlockNote, *, is_listing: bool) -> None:
        if is_listing:
            await self._list(note)
            return
        await self._watch.remember(note, acting=bool(self.sessions.drivers))
        for driver in self.sessions.drivers:
            if not driver.is_idle:
                await self.sessions.look_up(driver.sid)

    def _is_listing_due(self, note: BlockNote) -> bool:
        """`/sessions` is long: read it when a session changed phase, after missed blocks, and now and then."""
        was_missed = note.height != self._listed_height + 1
        self._listed_height = note.height
        pause = LIST_S if self.sessions.drivers else LIST_IDLE_S
        is_time = trio.current_time() - self._listed_at >= pause
        return was_missed or is_time or _has(note, "session_phase")

    async def _list(self, note: BlockNote) -> None:
        listing = await self._chain.query("/sessions", SessionsView)
        if listing is None:
            return
        self._listed_at = trio.current_time()
        await self._watch.remember(note, acting=bool(listing.open or self.sessions.drivers))
        listed = (*listing.open, *listing.recent)
        for view in listed:
            await self.sessions.offer(view)
        shown = {bytes.fromhex(view.sid) for view in listed}
        for driver in self.sessions.drivers:
            if driver.sid not in shown:
                await self.sessions.look_up(driver.sid)

    def _is_moving(self, note: BlockNote) -> bool:
        """Whether to read `/reshares`: at every block while keys move or machines work, at events, and now and then."""
        handover = self.membership.committees.handover
        is_under_way = handover is not None and handover.phase in _MOVING
        is_time = trio.current_time() - self._moved_at >= LIST_IDLE_S
        return is_under_way or is_time or _has(note, "reshare_phase") or bool(self.reshares.drivers)

    async def _move(self, note: BlockNote) -> None:
        listing = await self._chain.query("/reshares", ResharesView)
        if listing is None:
            return
        self._moved_at = trio.current_time()
        self.reshares.retained = frozenset(map(bytes.fromhex, listing.retained))
        await self._watch.remember(note, acting=bool(listing.open or self.reshares.drivers))
        for view in listing.open:
            await self.reshares.offer(view)
        shown = {bytes.fromhex(view.rid) for view in listing.open}
        for driver in self.reshares.drivers:
            if driver.key not in shown:
                await self.reshares.look_up(driver.key)


def _has(note: BlockNote, kind: str) -> bool:
    return any(event.type == kind for event in note.events)
