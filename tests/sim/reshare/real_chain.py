"""A simulated resharing on the real state machine in memory, with keys whose secrets the test knows.

Uses abci_app as the chain does: signed transactions, FinalizeBlock, Commit, queries. Nothing of it is replaced.
"""

from pathlib import Path
from typing import Any

from authnet_core.crypto.secp256k1 import scalar_bytes
from authnet_core.protocol.reshare import messages as m
from authnet_core.protocol.reshare.params import Sender
from authnet_core.protocol.views import BlameView, ComplaintView, ReshareView
from authnet_core.wire import authnet_pb2 as wire
from tests.sim.reshare.estate import Estate
from tests.sim.reshare.plan import Plan
from tests.unit.abci import reshare_world as abci
from tests.unit.abci.world import secret

KINDS: dict[type, tuple[str, Any]] = {
    m.ReshareDeal: ("rdeal", wire.ReshareDeal),
    m.ReshareTest: ("rtest", wire.ReshareTest),
    m.ReshareAck: ("rack", wire.ReshareAck),
    m.ReshareComplain: ("rcomplain", wire.ReshareComplain),
    m.ReshareReady: ("ready", wire.ReshareReady),
    m.ReshareHave: ("rhave", wire.ReshareHave),
}
KEYS = 18
"""In the batch of `abci.SMALL`."""


class RealChain:
    """One application with one batch, at the beginning of its hand-over's first resharing. The old committee has 5."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        assert (plan.old, plan.count) == (5, KEYS)
        self.world = abci.KeyedWorld(folder, params=abci.SMALL)
        abci.batches_made(self.world, 1)
        self.nodes = tuple(j if j <= plan.shared else plan.old + j for j in range(1, plan.new + 1))
        abci.begin(self.world, self.nodes)
        self.rid = bytes.fromhex(abci.opened(self.world)[0].rid)
        self.began_ms = self.world.time_ms
        self._number = 0

    def view(self) -> ReshareView:
        return abci.view_of(self.world, self.rid)

    def estate(self) -> Estate:
        """What the nodes have: their shares of the batch and of the mask, the new ones' encryption keys."""
        move, world = abci.Move(self.world, self.rid, new=self.nodes), self.world
        params = move.params
        indexes = range(params.first_index, params.first_index + params.count)
        return Estate(
            params=params,
            keys=move.keys,
            secrets=tuple(abci.number("f", index, 0) for index in indexes),
            mask_secret=abci.number("f", params.mask_index, 0),
            rows={
                j: b"".join(scalar_bytes(world.share(index, j)) + secret("n", index) for index in indexes)
                for j in params.dealers
            },
            masks={j: scalar_bytes(world.share(params.mask_index, j)) for j in params.dealers},
            eks={number: secret("ek", 2, node, params.counter) for number, node in enumerate(self.nodes, start=1)},
        )

    def block(self, now_ms: int, txs: list[tuple[Sender, m.ReshareChainMessage]]) -> None:
        """The same block at the same time after START_RESHARE."""
        self.world.time_ms = self.began_ms + 1 + now_ms
        raws = [self._signed(sender, message) for sender, message in txs]
        self.world.block(*(raw for raw in raws if raw), step_ms=0)

    def _signed(self, sender: Sender, message: m.ReshareChainMessage) -> bytes:
        is_old = isinstance(message, m.ReshareDeal | m.ReshareTest)
        place = sender.old if is_old else sender.new
        if place is None:
            return b""
        node, (name, kind) = place if is_old else self.nodes[place - 1], KINDS[type(message)]
        fields = {field: getattr(message, field) for field in kind.DESCRIPTOR.fields_by_name}
        # Each submission is a transaction of its own: the same bytes again would be refused as seen.
        self._number = (self._number + 1) % 80
        expiry = self.world.height + 10 + self._number
        return self.world.tx(node, **{name: kind(**fields)}, epoch=1 if is_old else 2, expiry=expiry)

    @property
    def phase(self) -> str:
        return self.view().phase

    @property
    def complaints(self) -> list[ComplaintView]:
        return list(self.view().complaints)

    @property
    def holders(self) -> set[int]:
        return set(self.view().holders)

    def _convicts(self, epoch: int) -> set[int]:
        views: list[BlameView] = self.world.query("/blame")
        return {view.convict for view in views if view.epoch == epoch}

    @property
    def blamed_old(self) -> set[int]:
        return self._convicts(1)

    @property
    def blamed_new(self) -> set[int]:
        return self._convicts(2)

    def close(self) -> None:
        self.world.app.close()
