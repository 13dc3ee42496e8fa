"""What no list of the chain brings up: sessions and resharings to catch up, those a member asks about, those with
something to erase, and what a hand-over that came to nothing left on the disk.
"""

from __future__ import annotations

from typing import TypeVar

import trio
from anyio import to_thread

from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.views import (
    BatchView,
    EncKeysView,
    EpochView,
    ResharesView,
    ReshareView,
    RetainedView,
    SessionsView,
    SessionView,
)
from authnet_runtime.chain import ChainReader
from authnet_runtime.logs import get_logger
from authnet_runtime.metrics import Gauge
from authnet_runtime.retained import RETAINED_COUNT, RETAINED_PAGE, retained_pages
from p2p_dkg.keystore.store import Keystore
from p2p_dkg.runner.membership import Membership
from p2p_dkg.runner.reshares import Reshares
from p2p_dkg.runner.sessions import Sessions
from p2p_dkg.runner.watch import ChainWatch

EVERY_S = 4.0
DISK_EVERY_S = 10.0
_AT_ONCE = 8
"""Resharings looked at in one go: each question about one costs the chain's keys and a machine."""
SHORT = Gauge("authnet_keeper_short_batches", "Batches of keys whose shares this node could hold and does not")
_log = get_logger("upkeep")

V = TypeVar("V")


def _listed(answer: V | None) -> V:
    if answer is None:
        raise AuthnetError(Code.UNAVAILABLE, "the chain lists no retained sessions")
    return answer


class Upkeep:
    """Looks a few times a minute, and at once when a member asks."""

    def __init__(
        self,
        chain: ChainReader,
        keystore: Keystore,
        membership: Membership,
        rooms: tuple[Sessions, Reshares],
        watch: ChainWatch,
    ) -> None:
        self._chain, self._keystore, self._membership, self._watch = chain, keystore, membership, watch
        self._sessions, self._reshares = rooms
        self._wanted: set[bytes] = set()
        self._rids: set[bytes] = set()
        """Folders known to be of resharings."""
        self._hopeless: set[bytes] = set()
        """Resharings that this node had announced no key for: short until the next one."""
        self._dead_epochs: set[int] = set()
        self._wake = trio.Event()
        self._missed_at = self._disk_at = -1e9
        self._short: tuple[bytes, ...] = ()
        self._sessions.on_question = self._want
        self._reshares.on_question = self._want

    @property
    def short(self) -> list[str]:
        """Batches of the current and the next epoch whose shares this node does not have, for `status`."""
        return [name.hex() for name in self._short]

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._wake = trio.Event()
            with trio.move_on_after(EVERY_S):
                await self._wake.wait()
            # Also of use to a node that is in no committee any more: it may have something to erase.
            if self._membership.epoch is None or self._watch.is_behind:
                continue
            try:
                await self._look()
            except AuthnetError as refusal:
                _log.info("upkeep.waiting", code=refusal.code.value, reason=refusal.message)

    def _want(self, name: bytes) -> None:
        self._wanted.add(name)
        self._wake.set()

    async def _look(self) -> None:
        now = trio.current_time()
        wanted, self._wanted = self._wanted, set()
        if now - self._missed_at >= EVERY_S:
            self._missed_at = now
            wanted |= await self._missed()
        if now - self._disk_at >= DISK_EVERY_S:
            self._disk_at = now
            self._sessions.park()
            for epoch in self._own_epochs():
                await self._discard_spent_keys(epoch)
            await self._erase_dead_epochs()
            wanted |= set(await to_thread.run_sync(self._keystore.sessions))
        for name in sorted(wanted):
            await self._tend(name)

    def _own_epochs(self) -> list[int]:
        """The current epoch and the next one, as far as this node is in them."""
        committees = self._membership.committees
        views = [view for view in (committees.current, committees.next) if view is not None]
        return [view.epoch for view in views if committees.index_in(view.epoch) is not None]

    async def _tend(self, name: bytes) -> None:
        """A folder or a question: which room's it is, the chain knows. What is in neither is erased."""
        is_running = self._sessions.is_known(name) or self._reshares.is_known(name)
        if name not in self._rids and name not in self._reshares.retained:
            session = await (self._sessions.read(name) if is_running else self._sessions.look_up(name))
            if session is not None:
                await self._tend_session(name, session)
                return
        reshare = await (self._reshares.read(name) if is_running else self._reshares.look_up(name))
        if reshare is None:
            newest = self._watch.newest
            if newest is None or not await self._watch.stand_on(newest.height):
                return  # a chain that was put back does not know yet what was signed on it
            self._rids.discard(name)
            await (self._sessions if self._sessions.is_running(name) else self._reshares).forget(name)
            return
        self._rids.add(name)
        await self._tend_reshare(name, reshare)

    async def _tend_session(self, name: bytes, view: SessionView) -> None:
        if self._sessions.is_former(view) and self._membership.is_settled(view.height):
            await self._sessions.forget(name)

    async def _tend_reshare(self, name: bytes, view: ReshareView) -> None:
        new = self._membership.index_in(view.to_epoch)
        if new is not None and not view.eks[new - 1]:
            self._hopeless.add(name)
        useless = self._reshares.is_useless(view, frozenset(self._dead_epochs))
        if useless and self._membership.is_settled(view.height):
            await self._reshares.forget(name)

    async def _missed(self) -> set[bytes]:
        me, epoch = self._membership.index, self._membership.body_epoch
        sids = {
            bytes.fromhex(view.sid): view.epoch
            for view in (await self._retained() if me is not None else [])
            if me not in view.holders and view.epoch == epoch
        }
        short = [sid for sid, of in sids.items() if not self._keystore.epoch(of).holds(sid)]
        lacking = [bytes.fromhex(batch.id) for batch in await self._lacking()]
        self._hopeless &= set(lacking)
        self._short = (*short, *lacking)
        SHORT.set(len(self._short))
        curable = [rid for rid in lacking if rid not in self._hopeless and not self._reshares.is_known(rid)]
        return set(sids) | set(curable[:_AT_ONCE])

    async def _lacking(self) -> list[BatchView]:
        """Batches that were brought to an epoch of this node's and that the chain does not know it to hold."""
        found: list[BatchView] = []
        first, epochs = 0, self._own_epochs()
        while True:
            page = await self._chain.query(f"/reshares/retained/{first}/{RETAINED_PAGE}", list[BatchView]) or []
            found += [b for b in page if b.epoch in epochs and self._membership.index_in(b.epoch) not in b.holders]
            if len(page) < RETAINED_PAGE:
                return found
            first = page[-1].first_index + 1

    async def _retained(self) -> list[RetainedView]:
        """All of them; a session that was overlooked would cost its encryption key."""
        found: dict[str, RetainedView] = {}
        for path in retained_pages(_listed(await self._chain.query(RETAINED_COUNT, int))):
            found |= {view.sid: view for view in _listed(await self._chain.query(path, list[RetainedView]))}
        return list(found.values())

    async def _discard_spent_keys(self, epoch: int) -> None:
        """Erase waiting encryption keys whose sessions are over for all, or came to nothing.

        A key this node did not get to use stays while its session or resharing is open or missed by somebody. The open
        ones are read first: a session may become final between the two reads, but not the other way round.
        """
        enckeys = await self._chain.query(f"/enckeys/{epoch}", EncKeysView)
        if enckeys is None:
            return
        waiting = self._keystore.epoch(epoch).waiting
        started = {counter for counter in waiting.secrets if counter < enckeys.next_counter}
        if not started:
            return
        sessions = await self._chain.query("/sessions", SessionsView)
        retained = await self._retained()
        moved = await self._moved_counters(epoch)
        if sessions is None or moved is None:
            return
        views: list[SessionView | RetainedView] = [*sessions.open, *retained]
        needed = {view.counter for view in views if view.epoch == epoch}
        await to_thread.run_sync(waiting.discard, started - needed - moved)

    async def _moved_counters(self, epoch: int) -> set[int] | None:
        """Counters of resharings to an epoch that are open, or that this node may still catch up with."""
        listing = await self._chain.query("/reshares", ResharesView)
        if listing is None:
            return None
        views: list[ReshareView | None] = list(listing.open)
        for batch in await self._lacking():
            views.append(await self._reshares.read(bytes.fromhex(batch.id)))
        return {view.counter for view in views if view is not None and view.to_epoch == epoch}

    async def _erase_dead_epochs(self) -> None:
        """After an abort or a time-out nothing of the next epoch stays; its number never comes back."""
        current = self._membership.body_epoch
        for epoch in await to_thread.run_sync(self._keystore.epochs):
            if epoch <= current or epoch in self._dead_epochs:
                continue
            view = await self._chain.query(f"/epoch/{epoch}", EpochView)
            newest = self._watch.newest
            is_settled = newest is not None and self._membership.is_settled(newest.height)
            if view is None or view.status != "aborted" or not is_settled:
                continue
            running = [driver.key for driver in self._reshares.drivers if driver.to_epoch == epoch]
            for rid in running:
                await self._reshares.forget(rid)  # first, since a machine may store something yet
            if not running:
                await to_thread.run_sync(self._keystore.epoch(epoch).erase)
                self._dead_epochs.add(epoch)
                _log.info("upkeep.epoch_erased", epoch=epoch)
