"""The resharings this node has a machine for: in the old committee, in the new one, or in both.

At most as many machines as the chain has open, and a few for those that are caught up or asked about: each holds the
batch's rows and public keys, and drops them when it goes.
"""

from __future__ import annotations

import os

import trio
from anyio import to_thread

from authnet_core.protocol.committee import Committee
from authnet_core.protocol.dkg.effects import Outcome
from authnet_core.protocol.dkg.params import Party
from authnet_core.protocol.reshare.machine import Resharing
from authnet_core.protocol.reshare.messages import ReshareMessage, WantNonces, WantReshareBundle, WantReshareRecovery
from authnet_core.protocol.reshare.params import Sender
from authnet_core.protocol.reshare.picture import params_of
from authnet_core.protocol.reshare.records import DEAL, TEST, bundle_name
from authnet_core.protocol.views import EpochView, ReshareView
from authnet_runtime.chain import ChainReader
from p2p_dkg.keystore.sessions import BRIEF
from p2p_dkg.keystore.store import Keystore
from p2p_dkg.network.directory import Peer
from p2p_dkg.runner.batch_keys import BatchKeys, read_keys
from p2p_dkg.runner.driver import Surroundings
from p2p_dkg.runner.membership import Membership
from p2p_dkg.runner.records import SessionShelves
from p2p_dkg.runner.reshare_driver import ReshareDriver
from p2p_dkg.runner.room import Room

MAX_LATE = 4
"""Machines that catch up with what the chain has settled."""
MAX_ASKED = 8
"""Machines above which members' questions open no more: each has a batch's bundles and keys in memory."""
QUIET_S = 10.0
BRIEF_MS = 60_000
"""After this a settled resharing keeps no polynomials, in block time."""
_OVER = ("final", "failed")


class Reshares(Room[ReshareView, ReshareDriver]):
    """rid -> driver."""

    def __init__(self, chain: ChainReader, keystore: Keystore, membership: Membership, around: Surroundings) -> None:
        super().__init__(chain, keystore, membership, around)
        self._settled_at: dict[bytes, int] = {}
        self._conflicts: set[bytes] = set()
        """Whose own shares do not go with the others': no second look in this life."""
        self.retained: frozenset[bytes] = frozenset()
        """Settled ones that some new member still lacks: what members may ask about."""

    @property
    def max_asked(self) -> int:
        """Each has all bundles of its resharing in memory."""
        return MAX_ASKED

    async def read(self, name: bytes) -> ReshareView | None:
        """The chain's record of a resharing."""
        return await self._chain.query(f"/reshare/{name.hex()}", ReshareView)

    def is_useless(self, view: ReshareView, aborted: frozenset[int]) -> bool:
        """Whether nothing of it is of use here any more: its hand-over came to nothing, a later one is over, or this
        node was only in the old committee and that one's grace is over. `aborted`: epochs that are no more."""
        committees, current = self._membership.committees, self._membership.epoch
        if current is None:
            return False
        if view.to_epoch in aborted or view.to_epoch < current.epoch:
            return True
        is_new = committees.index_in(view.to_epoch) is not None
        return view.to_epoch == current.epoch and not is_new and committees.view(view.from_epoch) is None

    def let_go_undealt(self) -> None:
        """End machines that were made without shares to deal, for a committee that has been seen now, and those that
        deal to one that was called off: the next look at the chain makes them anew."""
        for driver in self.drivers:
            to_view = self._membership.committees.view(driver.to_epoch)
            if to_view is not None and driver.may_deal != self._membership.may_deal_to(to_view):
                self.let_go(driver.key)

    async def offer(self, view: ReshareView) -> None:
        """Feed a driver, opening one if this node has work in it; what is over and has none is tidied on disk."""
        await super().offer(view)
        name = self._name(view)
        is_free = name not in self._drivers and name not in self._opening
        if is_free and view.phase in _OVER and await self.stand_on(view.height):
            await self._tidy(name, view)

    async def _tidy(self, name: bytes, view: ReshareView) -> None:
        """Shred without a machine what a settled resharing needs no more; its reason has a block behind it."""
        if not self._keystore.has_session(name):
            self._settled_at.pop(name, None)
            return
        if view.height <= self._settled_at.setdefault(name, view.height):
            return
        new = self._places(view)[1]
        holds = self._keystore.epoch(view.to_epoch).holds(name)
        if view.phase == "failed":
            await to_thread.run_sync(self._keystore.epoch(view.to_epoch).drop_batch, name)
            await self.forget(name)
        elif self._is_over(view) and (new is None or holds):
            await self.forget(name)
        elif view.final_ms and view.final_ms + BRIEF_MS <= self._now_ms:
            await to_thread.run_sync(self._keystore.session(name).erase, BRIEF)

    def trim(self) -> None:
        """Drop machines that only wait for others: a member's question brings them back."""
        now = trio.current_time()
        for driver in self.drivers:
            if driver.is_late and driver.is_idle and now - driver.used_at > QUIET_S:
                if driver.outcome == Outcome.CONFLICT:
                    self._conflicts.add(driver.key)
                self.let_go(driver.key)

    def _is_over(self, view: ReshareView) -> bool:
        """Whether nobody can ask any more."""
        return len(view.holders) == len(view.eks) or self._is_retain_over(view)

    def _places(self, view: ReshareView) -> tuple[Party | None, Party | None]:
        committees = self._membership.committees
        return committees.index_in(view.from_epoch), committees.index_in(view.to_epoch)

    def _name(self, view: ReshareView) -> bytes:
        return bytes.fromhex(view.rid)

    def _is_question(self, sender: Peer, message: ReshareMessage) -> bool:
        """Whoever has a link is in a committee that is known here; whom of them to serve is the machine's."""
        if not isinstance(message, WantReshareBundle | WantReshareRecovery | WantNonces):
            return False
        return message.rid in self.retained or self._keystore.has_session(message.rid)

    def _hand(self, driver: ReshareDriver, sender: Peer, message: ReshareMessage) -> None:
        """Only what members of the two committees say reaches the machine, with their index in each."""
        place = Sender(sender.index_in(driver.from_epoch), sender.index_in(driver.to_epoch))
        if place.old is not None or place.new is not None:
            driver.take(place, message)

    def _concerns(self, name: bytes, view: ReshareView) -> bool:
        old, new = self._places(view)
        new_view = self._membership.committees.view(view.to_epoch)
        if new_view is None or name in self._conflicts:
            return False
        if new is None and (old is None or not self._membership.may_deal_to(new_view)):
            return False
        if view.phase == "failed":
            return False
        if view.phase == "final":
            return self._concerns_when_final(name, view, new)
        if self.draining and not self._keystore.has_session(name):
            return False
        born = self._keystore.place.born_height
        return born is not None and view.h0 > born

    def _concerns_when_final(self, name: bytes, view: ReshareView, new: Party | None) -> bool:
        is_short = new is not None and new not in view.holders and bool(view.eks[new - 1])
        if self._is_over(view) and not is_short:
            return False
        is_full = sum(driver.is_late and not driver.is_idle for driver in self.drivers) >= MAX_LATE
        return (is_short or name in self._asked) and not is_full

    async def _build(self, name: bytes, view: ReshareView) -> ReshareDriver | None:
        keys = await read_keys(self._chain, view)
        # Asked for, since a new member may still catch up when the grace of the old committee is over.
        old_view = await self._chain.query(f"/epoch/{view.from_epoch}", EpochView)
        new_view = self._membership.committees.view(view.to_epoch)
        if old_view is None or new_view is None:
            return None
        driver = await to_thread.run_sync(self._construct, view, keys, old_view, new_view)
        # What was seen of the committee meanwhile found no machine to end.
        is_right = driver is not None and driver.may_deal == self._membership.may_deal_to(new_view)
        return driver if is_right else None

    def _construct(
        self, view: ReshareView, keys: BatchKeys, old_view: EpochView, new_view: EpochView
    ) -> ReshareDriver | None:
        """Build the machine from what is durable. Runs in a thread; raises ValueError or KEYSTORE_DAMAGED."""
        rid = self._name(view)
        old, new = self._places(view)
        may_deal = self._membership.may_deal_to(new_view)
        params = params_of(self._around.desk.chain_id, _committee(old_view), _committee(new_view), view)
        shelves = SessionShelves(self._keystore.session(rid), self._keystore.epoch(view.to_epoch))
        secret = None
        if new is not None:
            secret = shelves.take_encryption_key(view.counter, params.eks[new - 1])
            if secret is None and params.eks[new - 1] and view.phase not in _OVER:
                self._membership.replace_keys(view.to_epoch)
        durable = shelves.load()
        rows = mask_x = None
        if may_deal and old is not None:
            rows, mask_x = self._own_shares(view, keys, has_dealt=DEAL in durable)
        elif old is not None:
            # Nothing of a deal of ours leaves, not even one that was made before the owner called this off.
            durable = {name: durable[name] for name in durable.keys() - {DEAL, TEST, bundle_name(old)}}
            old = None
        if view.phase in _OVER and not durable and secret is None and rows is None:
            self._keystore.forget_session(rid)  # nothing to catch up with, nothing to serve
            return None
        seed = os.urandom(32)
        machine = Resharing(params, keys.public, old, new, secret, rows, mask_x, seed, durable)
        return ReshareDriver(params, machine, shelves, self._around, may_deal=may_deal)

    def _own_shares(self, view: ReshareView, keys: BatchKeys, *, has_dealt: bool) -> tuple[bytes | None, bytes | None]:
        """Rows of the batch and the share of the mask, as the old epoch's keystore has them.

        The mask is claimed on disk before it is handed out: whatever a chain shows, it answers one challenge only.
        """
        epoch = self._keystore.epoch(view.from_epoch)
        rows, mask = epoch.batch(bytes.fromhex(view.source)), epoch.share(keys.mask_batch, keys.mask_position)
        if rows is None or mask is None or view.phase in _OVER:
            return rows, None
        rid = bytes.fromhex(view.rid)
        if not self._keystore.pledges.claim_mask(view.mask_index, rid, has_dealt=has_dealt):
            return rows, None
        return rows, mask.x.to_bytes(32, "big")


def _committee(view: EpochView) -> tuple[Committee, bytes]:
    return Committee(view.n, view.k, view.t), bytes.fromhex(view.committee_hash)
