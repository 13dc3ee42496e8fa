"""Follows the chain block by block: place in the committee, announced keys, and the sessions with work in them.

Level-triggered: state is read again and again, so that nothing depends on having seen an event.
"""

from __future__ import annotations

import trio
from anyio import CapacityLimiter, to_thread

from authnet_core.errors import AuthnetError, Code, ConfigError
from authnet_core.protocol.views import SessionsView, StatusView
from authnet_runtime.chain import BlockNote, ChainReader
from authnet_runtime.logs import get_logger
from p2p_dkg.faults import FaultPoints
from p2p_dkg.keystore.store import Keystore
from p2p_dkg.network.mesh import Mesh
from p2p_dkg.runner.driver import Surroundings
from p2p_dkg.runner.membership import Membership
from p2p_dkg.runner.sessions import Sessions
from p2p_dkg.runner.submit import TxDesk
from p2p_dkg.runner.upkeep import Upkeep
from p2p_dkg.runner.watch import ChainWatch

LIST_S, LIST_IDLE_S = 5.0, 20.0
_THREADS = 2
_log = get_logger("runner")


class Runner:
    """Key generation of one keeper."""

    def __init__(
        self, chain: ChainReader, watch: ChainWatch, desk: TxDesk, keystore: Keystore, mesh: Mesh, faults: FaultPoints
    ) -> None:
        self._chain, self._watch, self._desk, self._keystore = chain, watch, desk, keystore
        around = Surroundings(mesh, desk, faults, CapacityLimiter(_THREADS))
        self._listed_height, self._listed_at = 0, -1e9
        self.membership = Membership(chain, desk, keystore, mesh)
        self.sessions = Sessions(chain, keystore, self.membership, around)
        self.upkeep = Upkeep(chain, keystore, self.membership, self.sessions, watch)
        self.dev: bool | None = None
        """What genesis says, None before the chain is there."""
        self.sessions.stand_on = watch.stand_on
        watch.listeners.append(desk.learn)
        mesh.handle_messages(self.sessions.take_message)

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

    async def _tick(self, note: BlockNote) -> None:
        if self._watch.is_behind:
            return
        await self.membership.refresh(note)
        if self.membership.index is None:
            return
        is_listing = self._is_listing_due(note)
        await self.membership.post_keys(note.height, at_once=is_listing)
        if is_listing:
            await self._list(note)
        else:
            await self._watch.remember(note, acting=bool(self.sessions.drivers))
            for driver in self.sessions.drivers:
                if not driver.is_idle:
                    await self.sessions.look_up(driver.sid)
        self.sessions.ring_retained(note)

    def _is_listing_due(self, note: BlockNote) -> bool:
        """`/sessions` is long: read it when a session changed phase, after missed blocks, and now and then."""
        was_missed = note.height != self._listed_height + 1
        self._listed_height = note.height
        pause = LIST_S if self.sessions.drivers else LIST_IDLE_S
        is_time = trio.current_time() - self._listed_at >= pause
        return was_missed or is_time or any(event.type == "session_phase" for event in note.events)

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
