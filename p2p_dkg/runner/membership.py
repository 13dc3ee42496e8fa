"""This node's places in the committees there are: read from the chain, they decide links, encryption keys announced
ahead, and READY_NODE."""

from __future__ import annotations

from anyio import to_thread

from authnet_core.protocol.views import EpochView, HandoverView, ParamsView
from authnet_core.wire.authnet_pb2 import EpochRecord
from authnet_runtime.chain import BlockNote, ChainReader
from authnet_runtime.logs import get_logger
from p2p_dkg.keystore.store import Keystore
from p2p_dkg.network.mesh import Mesh
from p2p_dkg.runner.committees import Committees, in_grace
from p2p_dkg.runner.enckeys import EncKeyPoster
from p2p_dkg.runner.readiness import ReadyPoster
from p2p_dkg.runner.sightings import sighting_of, view_keys
from p2p_dkg.runner.submit import TxDesk

REFRESH_BLOCKS = 10
RETAIN_MS = 7 * 24 * 3600 * 1000
_FORMER = 4
"""Former epochs asked for: hand-overs in quick succession have more than one in its grace."""
_log = get_logger("membership")


class Membership:
    """`epoch` and `index` are those in charge: None before there is a committee, `index` also when this node is not
    in it. `committees` has the others too."""

    def __init__(self, chain: ChainReader, desk: TxDesk, keystore: Keystore, mesh: Mesh) -> None:
        self._chain, self._desk, self._keystore, self._mesh = chain, desk, keystore, mesh
        self._chain_id = ""
        self._is_new_here = False
        self._refreshed = -REFRESH_BLOCKS
        self._posters: dict[int, EncKeyPoster] = {}
        self._ready = ReadyPoster(desk)
        self._linked: list[EpochView] = []
        self._changed_height = 0
        self.committees = Committees(keystore.identity.pub.hex())
        self.retain_ms = RETAIN_MS

    def start(self, chain_id: str, *, is_new_here: bool) -> None:
        """Name the chain. `is_new_here`: this disk may not know what the node announced before."""
        self._chain_id, self._is_new_here = chain_id, is_new_here

    @property
    def epoch(self) -> EpochView | None:
        """The epoch in charge."""
        return self.committees.current

    @property
    def index(self) -> int | None:
        """This node's index in it."""
        return None if self.epoch is None else self.index_in(self.epoch.epoch)

    def index_in(self, epoch: int) -> int | None:
        """This node's index in an epoch, as far as it is known."""
        return self.committees.index_in(epoch)

    @property
    def body_epoch(self) -> int:
        """What a transaction body of the present committee names: 0 before the first."""
        return self.epoch.epoch if self.epoch is not None else 0

    def is_settled(self, height: int) -> bool:
        """Whether the newest change of committees has a block behind it: what can not be taken back waits for that."""
        return height > self._changed_height

    def may_deal_to(self, view: EpochView) -> bool:
        """Whether this node's own epoch_manager saw that committee in the registry."""
        return self._keystore.pledges.may_deal(view.epoch, view_keys(view))

    async def saw_epoch(self, record: EpochRecord) -> bool:
        """Remember an epoch's record that the registry had in a finalized block; whether it was new."""
        is_new = await to_thread.run_sync(self._keystore.pledges.sight, sighting_of(record))
        if is_new:
            _log.info("membership.sighted", epoch=record.epoch, aborted=record.aborted)
        return is_new

    async def refresh(self, note: BlockNote) -> None:
        """Read the committees anew at epoch events, at each block of a hand-over, and now and then."""
        is_due = self.epoch is None or note.height >= self._refreshed + REFRESH_BLOCKS
        has_changed = any(event.type == "epoch_phase" for event in note.events)
        if not is_due and not has_changed and self.committees.handover is None:
            return
        # First: when the switch comes between the reads, the next committee is known twice, and not at all otherwise.
        handover = await self._chain.query("/handover", HandoverView)
        current = await self._chain.query("/epoch/current", EpochView)
        former = self.committees.former
        if is_due or has_changed or current is None or current.epoch != self.body_epoch:
            params = await self._chain.query("/params", ParamsView)
            if params is not None:
                self.retain_ms = params.values.get("retain_ms", RETAIN_MS)
            former = await self._read_former(current, note)
        self._refreshed = note.height if is_due or has_changed else self._refreshed
        if current is None or current.epoch == 0:
            return
        if handover is not None and handover.committee.epoch <= current.epoch:
            handover = None
        self._enter(Committees(self.committees.own, current, handover, former), note.height)

    async def _read_former(self, current: EpochView | None, note: BlockNote) -> tuple[EpochView, ...]:
        found: list[EpochView] = []
        view = current
        while view is not None and view.previous and len(found) < _FORMER:
            view = await self._chain.query(f"/epoch/{view.previous}", EpochView)
            if view is not None:
                found.append(view)
        return in_grace(found, note.time_ms)

    async def post(self, note: BlockNote, *, at_once: bool) -> None:
        """Announce encryption keys when they run low, looked at when sessions change, and until they are on chain; as
        a member of the next committee also that this node is ready."""
        for poster in self._posters.values():
            if at_once or not poster.is_settled:
                await poster.check(note.height)
        handover, coming = self.committees.handover, self.committees.next
        index = None if coming is None else self.index_in(coming.epoch)
        if handover is not None and coming is not None and index is not None:
            await self._ready.check(note, handover, index, self._keystore.epoch(coming.epoch))

    def replace_keys(self, epoch: int) -> None:
        """Announce all waiting keys anew: the chain names one that this disk does not have."""
        if epoch in self._posters:
            self._posters[epoch].replace_all()

    def _enter(self, committees: Committees, height: int) -> None:
        before, self.committees = self.committees, committees
        if [view.epoch for view in before.all] != [view.epoch for view in committees.all]:
            self._changed_height = height
            _log.info(
                "membership.committees", places={view.epoch: self.index_in(view.epoch) for view in committees.all}
            )
        if committees.all != self._linked:
            self._linked = committees.all
            self._mesh.set_committees(self._chain_id, committees.all)
        live = [view for view in (committees.current, committees.next) if view is not None]
        places = {view.epoch: self.index_in(view.epoch) for view in live}
        self._posters = {epoch: poster for epoch, poster in self._posters.items() if places.get(epoch) is not None}
        for epoch, index in places.items():
            if index is not None and epoch not in self._posters:
                self._posters[epoch] = self._poster(epoch, index)

    def _poster(self, epoch: int, index: int) -> EncKeyPoster:
        poster = EncKeyPoster(self._chain, self._desk, self._keystore.epoch(epoch), self._chain_id, index)
        if self._is_new_here:
            poster.replace_all()
        return poster
