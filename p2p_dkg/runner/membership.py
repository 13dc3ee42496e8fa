"""This node's place in the current committee: read from the chain, it decides links and announced keys."""

from __future__ import annotations

from authnet_core.protocol.views import EpochView, ParamsView
from authnet_runtime.chain import BlockNote, ChainReader
from authnet_runtime.logs import get_logger
from p2p_dkg.keystore.store import Keystore
from p2p_dkg.network.mesh import Mesh
from p2p_dkg.runner.enckeys import EncKeyPoster
from p2p_dkg.runner.submit import TxDesk

REFRESH_BLOCKS = 10
RETAIN_MS = 7 * 24 * 3600 * 1000
_log = get_logger("membership")


class Membership:
    """`epoch` and `index` are None before there is a committee, `index` also when this node is not in it."""

    def __init__(self, chain: ChainReader, desk: TxDesk, keystore: Keystore, mesh: Mesh) -> None:
        self._chain, self._desk, self._keystore, self._mesh = chain, desk, keystore, mesh
        self._chain_id = ""
        self._is_new_here = False
        self._refreshed = -REFRESH_BLOCKS
        self._poster: EncKeyPoster | None = None
        self.epoch: EpochView | None = None
        self.index: int | None = None
        self.retain_ms = RETAIN_MS

    def start(self, chain_id: str, *, is_new_here: bool) -> None:
        """Name the chain. `is_new_here`: this disk may not know what the node announced before."""
        self._chain_id, self._is_new_here = chain_id, is_new_here

    def index_in(self, epoch: int) -> int | None:
        """This node's index in an epoch, as far as it is known."""
        return self.index if self.epoch is not None and self.epoch.epoch == epoch else None

    @property
    def body_epoch(self) -> int:
        """What a transaction body names: 0 before the first committee."""
        return self.epoch.epoch if self.epoch is not None else 0

    async def refresh(self, note: BlockNote) -> None:
        """Read the committee anew at epoch events and now and then."""
        is_due = self.epoch is None or note.height >= self._refreshed + REFRESH_BLOCKS
        if not is_due and not any(event.type == "epoch_phase" for event in note.events):
            return
        epoch = await self._chain.query("/epoch/current", EpochView)
        params = await self._chain.query("/params", ParamsView)
        if params is not None:
            self.retain_ms = params.values.get("retain_ms", RETAIN_MS)
        self._refreshed = note.height
        if epoch is not None and epoch.epoch > 0 and epoch != self.epoch:
            self._enter(epoch)

    async def post_keys(self, height: int, *, at_once: bool) -> None:
        """Announce encryption keys when they run low; looked at when sessions change, and until they are on chain."""
        if self._poster is not None and (at_once or not self._poster.is_settled):
            await self._poster.check(height)

    def replace_keys(self) -> None:
        """Announce all waiting keys anew: the chain names one that this disk does not have."""
        if self._poster is not None:
            self._poster.replace_all()

    def _enter(self, epoch: EpochView) -> None:
        own = self._keystore.identity.pub.hex()
        index = next((member.index for member in epoch.members if member.identity == own), None)
        is_other_epoch = self.epoch is None or self.epoch.epoch != epoch.epoch
        self.epoch, self.index = epoch, index
        self._mesh.set_committees(self._chain_id, [epoch])
        if index is None:
            _log.warning("membership.none", epoch=epoch.epoch)
            return
        if is_other_epoch:
            _log.info("membership.entered", epoch=epoch.epoch, index=index)
            files = self._keystore.epoch(epoch.epoch)
            self._poster = EncKeyPoster(self._chain, self._desk, files, self._chain_id, index)
            if self._is_new_here:
                self._poster.replace_all()
