"""Sessions not in the newest list: those to catch up, those a member asks about, those with something to erase."""

from __future__ import annotations

from typing import TypeVar

import trio
from anyio import to_thread

from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.views import EncKeysView, RetainedView, SessionsView
from authnet_runtime.chain import ChainReader
from authnet_runtime.logs import get_logger
from authnet_runtime.retained import RETAINED_COUNT, retained_pages
from p2p_dkg.keystore.store import Keystore
from p2p_dkg.runner.membership import Membership
from p2p_dkg.runner.sessions import Sessions
from p2p_dkg.runner.watch import ChainWatch

EVERY_S = 4.0
DISK_EVERY_S = 10.0
_log = get_logger("upkeep")

V = TypeVar("V")


def _listed(answer: V | None) -> V:
    if answer is None:
        raise AuthnetError(Code.UNAVAILABLE, "the chain lists no retained sessions")
    return answer


class Upkeep:
    """Looks a few times a minute, and at once when a member asks."""

    def __init__(
        self, chain: ChainReader, keystore: Keystore, membership: Membership, sessions: Sessions, watch: ChainWatch
    ) -> None:
        self._chain, self._keystore = chain, keystore
        self._membership, self._sessions, self._watch = membership, sessions, watch
        self._wanted: set[bytes] = set()
        self._wake = trio.Event()
        self._missed_at = self._disk_at = -1e9
        self._short: tuple[bytes, ...] = ()
        sessions.on_question = self._want

    @property
    def short(self) -> list[str]:
        """Final sessions whose shares this node does not have, for `status`."""
        return [sid.hex() for sid in self._short]

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._wake = trio.Event()
            with trio.move_on_after(EVERY_S):
                await self._wake.wait()
            if self._membership.index is None or self._watch.is_behind:
                continue
            try:
                await self._look()
            except AuthnetError as refusal:
                _log.info("upkeep.waiting", code=refusal.code.value, reason=refusal.message)

    def _want(self, sid: bytes) -> None:
        self._wanted.add(sid)
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
            await self._discard_spent_keys()
            wanted |= set(await to_thread.run_sync(self._keystore.sessions))
        for sid in sorted(wanted):
            if not self._sessions.is_known(sid):
                await self._sessions.look_up(sid)

    async def _missed(self) -> set[bytes]:
        me = self._membership.index
        missing = [view for view in await self._retained() if me not in view.holders]
        sids = {bytes.fromhex(view.sid): view.epoch for view in missing}
        self._short = tuple(sid for sid, epoch in sids.items() if not self._keystore.epoch(epoch).holds(sid))
        return set(sids)

    async def _retained(self) -> list[RetainedView]:
        """All of them; a session that was overlooked would cost its encryption key."""
        found: dict[str, RetainedView] = {}
        for path in retained_pages(_listed(await self._chain.query(RETAINED_COUNT, int))):
            found |= {view.sid: view for view in _listed(await self._chain.query(path, list[RetainedView]))}
        return list(found.values())

    async def _discard_spent_keys(self) -> None:
        """Erase waiting encryption keys whose sessions are over for all, or came to nothing.

        A key this node did not get to use stays while its session is open or missed by somebody. The open ones
        are read first: a session may become final between the two reads, but not the other way round.
        """
        epoch = self._membership.epoch
        enckeys = await self._chain.query("/enckeys", EncKeysView)
        if epoch is None or enckeys is None:
            return
        waiting = self._keystore.epoch(epoch.epoch).waiting
        started = {counter for counter in waiting.secrets if counter < enckeys.next_counter}
        if not started:
            return
        sessions = await self._chain.query("/sessions", SessionsView)
        retained = await self._retained()
        if sessions is None:
            return
        needed = {view.counter for view in sessions.open} | {view.counter for view in retained}
        await to_thread.run_sync(waiting.discard, started - needed)
