"""The key generation sessions this node has a machine for: those of the epoch in charge.

A session ends before the next committee takes over. What an earlier epoch left of one is of no use to anybody.
"""

from __future__ import annotations

import os

from anyio import to_thread

from authnet_core.protocol.committee import Committee
from authnet_core.protocol.dkg.fetching import Want
from authnet_core.protocol.dkg.machine import Session
from authnet_core.protocol.dkg.messages import CHUNK_KEYS, Message
from authnet_core.protocol.dkg.picture import params_of
from authnet_core.protocol.views import SessionView
from p2p_dkg.keystore.sessions import BRIEF
from p2p_dkg.network.directory import Peer
from p2p_dkg.runner.driver import Driver
from p2p_dkg.runner.records import SessionShelves
from p2p_dkg.runner.room import Room

MAX_ASKED = 64
_OVER = ("final", "abandoned")


class Sessions(Room[SessionView, Driver]):
    """sid -> driver."""

    @property
    def max_asked(self) -> int:
        """Each has all bundles of its session in memory."""
        return MAX_ASKED

    async def read(self, name: bytes) -> SessionView | None:
        """The chain's record of a session."""
        return await self._chain.query(f"/session/{name.hex()}", SessionView)

    def is_former(self, view: SessionView) -> bool:
        """Whether its epoch is no longer in charge."""
        epoch = self._membership.epoch
        return epoch is not None and view.epoch < epoch.epoch

    def _name(self, view: SessionView) -> bytes:
        return bytes.fromhex(view.sid)

    def _is_question(self, sender: Peer, message: Message) -> bool:
        is_member = sender.index_in(self._membership.body_epoch) is not None
        return is_member and isinstance(message, Want) and self._keystore.has_session(message.sid)

    def _hand(self, driver: Driver, sender: Peer, message: Message) -> None:
        """Only what members of the session's own committee say reaches its machine."""
        index = sender.index_in(driver.epoch)
        if index is not None and isinstance(message, Message):
            driver.take(index, message)

    def _concerns(self, name: bytes, view: SessionView) -> bool:
        if self.is_former(view):
            return False
        has_files = self._keystore.has_session(name)
        if view.phase == "abandoned":
            return has_files
        if view.phase == "final":
            if has_files:
                return name in self._asked or not self._only_serves(name, view)
            return not self._keystore.epoch(view.epoch).holds(name) and self._membership.index not in view.holders
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

    async def _build(self, name: bytes, view: SessionView) -> Driver | None:
        return await to_thread.run_sync(self._construct, name, view)

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
            self._membership.replace_keys(view.epoch)  # this session goes on without us, the next ones need not
        if view.phase in _OVER and secret is None and not durable:
            self._keystore.forget_session(sid)  # a crash in the midst of erasing leaves an empty folder
            return None  # announced no key for it, or it is on another disk: short until the next refresh
        machine = Session(params, me, secret, os.urandom(32), durable)
        return Driver(params, machine, shelves, self._around)
