"""The end of a former epoch: when its grace is over, its shares and sessions are shredded, and then this node says so.

Never before the switch is final: the chain must show the epoch as retired and its grace as over in two blocks that have
others behind them. Never kept after it: what is erased stays so over restarts, and ERASED is said until it is on chain.
"""

from __future__ import annotations

from anyio import to_thread

from authnet_core.errors import AuthnetError
from authnet_core.protocol.views import EpochView
from authnet_core.wire import authnet_pb2 as pb
from authnet_runtime.chain import BlockNote, ChainReader
from authnet_runtime.logs import get_logger
from p2p_dkg.faults import FaultPoints
from p2p_dkg.keystore.sessions import BRIEF
from p2p_dkg.keystore.store import Keystore
from p2p_dkg.runner.committees import index_of
from p2p_dkg.runner.reshares import Reshares
from p2p_dkg.runner.sessions import Sessions
from p2p_dkg.runner.submit import TxDesk
from p2p_dkg.runner.watch import ChainWatch

_BEHIND = 2
"""Blocks between the first look that shows an epoch to be over and its end."""
RETRY_BLOCKS = 4
_log = get_logger("erasure")


class Eraser:
    """Looks at each block. `run` until cancelled."""

    def __init__(
        self,
        chain: ChainReader,
        watch: ChainWatch,
        desk: TxDesk,
        keystore: Keystore,
        rooms: tuple[Sessions, Reshares],
        faults: FaultPoints,
    ) -> None:
        self._chain, self._watch, self._desk, self._keystore = chain, watch, desk, keystore
        self._sessions, self._reshares = rooms
        self._faults = faults
        self._over_since: dict[int, int] = {}
        """Epoch -> height of the first look that showed it to be over."""
        self._said_at: dict[int, int] = {}
        self._done: set[int] = set()

    async def run(self) -> None:
        """Erase what is over, again and again."""
        note = await self._watch.first()
        while True:
            try:
                await self.look(note)
            except AuthnetError as refusal:
                _log.info("erasure.waiting", code=refusal.code.value, reason=refusal.message)
            note = await self._watch.next_block()

    async def look(self, note: BlockNote) -> None:
        """Take the next step with each epoch of this keystore. Raises AuthnetError while abci_app is down."""
        if self._watch.is_behind:
            return
        current = await self._chain.query("/epoch/current", EpochView)
        for epoch in await to_thread.run_sync(self._keystore.epochs):
            if current is None or epoch >= current.epoch or epoch in self._done:
                continue
            view = await self._chain.query(f"/epoch/{epoch}", EpochView)
            if not _is_over(view, note.time_ms):
                self._over_since.pop(epoch, None)
                continue
            first = self._over_since.setdefault(epoch, note.height)
            if note.height >= first + _BEHIND and await self._watch.stand_on(note.height):
                await self._end(epoch, view, note)

    async def _end(self, epoch: int, view: EpochView | None, note: BlockNote) -> None:
        files = self._keystore.epoch(epoch)
        if not files.is_erased:
            self._let_dealers_go(epoch)
            if not await self._forget_sessions(epoch):
                return  # a machine ends at its next step; the next block finds it gone
            self._faults.reach("erase:epoch:before")
            await to_thread.run_sync(files.erase)
            self._faults.reach("erase:epoch:after")
            _log.info("erasure.erased", epoch=epoch)
        if view is None:
            self._done.add(epoch)
        else:
            await self._say(view, note.height)

    def _let_dealers_go(self, epoch: int) -> None:
        """Machines that dealt from the epoch have its shares in memory; what still needs them is made anew without."""
        for driver in self._reshares.drivers:
            if driver.from_epoch == epoch:
                self._reshares.let_go(driver.key)

    async def _forget_sessions(self, epoch: int) -> bool:
        """Shred the sessions that made shares of the epoch, the resharings that brought them, and what this node kept
        as a dealer of others: a seed tells the share it was dealt from. Whether all of it is gone."""
        gone = True
        for name in await to_thread.run_sync(self._keystore.sessions):
            session = await self._sessions.read(name)
            reshare = await self._reshares.read(name) if session is None else None
            is_session = session is not None or self._sessions.is_running(name)
            room = self._sessions if is_session else self._reshares
            made = session.epoch if session is not None else reshare.to_epoch if reshare is not None else None
            if made in (epoch, None):  # what the chain knows no more may be of any epoch, and is of no use
                await room.forget(name)
                gone = gone and not self._keystore.has_session(name)
            elif reshare is not None and reshare.from_epoch == epoch:
                await to_thread.run_sync(self._keystore.session(name).erase, BRIEF)
        return gone

    async def _say(self, view: EpochView, height: int) -> None:
        """Submit ERASED until the chain shows it; what this node was never in, or came to nothing, needs none."""
        index = index_of(view, self._keystore.identity.pub.hex())
        if view.status != "retired" or index is None or index in view.erased:
            self._done.add(view.epoch)
        elif height >= self._said_at.get(view.epoch, -RETRY_BLOCKS) + RETRY_BLOCKS:
            self._said_at[view.epoch] = height
            await self._desk.try_send(view.epoch, "erased", pb.Erased(epoch=view.epoch))


def _is_over(view: EpochView | None, time_ms: int) -> bool:
    """Whether an epoch before the current one serves nobody any more, in block time. One that the chain does not know
    was to come when its state was taken to a new chain: its number is past, so it never will."""
    if view is None or view.status == "aborted":
        return True
    return view.status == "retired" and 0 < view.grace_ends_ms <= time_ms
