"""The blocks of a simulated session once more, on the real state machine in memory, and its view beside the model's.

Uses abci_app as the chain does: signed transactions, FinalizeBlock, Commit, queries. Nothing of it is replaced.
"""

from pathlib import Path
from typing import Any

from authnet_core.protocol.committee import Committee
from authnet_core.protocol.dkg import messages as m
from authnet_core.protocol.dkg.params import SessionParams
from authnet_core.protocol.dkg.picture import params_of
from authnet_core.protocol.views import SessionView
from authnet_core.wire import authnet_pb2 as wire
from tests.sim.plan import Plan
from tests.unit.abci import world as abci

KINDS: dict[type, tuple[str, Any]] = {
    m.Deal: ("deal", wire.Deal),
    m.Ack: ("ack", wire.Ack),
    m.Complain: ("complain", wire.Complain),
    m.Opened: ("opened", wire.Opened),
    m.FallbackList: ("fallback_list", wire.FallbackList),
    m.FallbackScalar: ("fallback_scalar", wire.FallbackScalar),
    m.Final: ("final", wire.Final),
    m.Keys: ("keys", wire.Keys),
    m.Have: ("have", wire.Have),
}
LIMITS = {"sessions_in_flight": 1, "complaint_quota": 1_000}


class RealChain:
    """One application; the session is the first of its epoch."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        self.world = abci.World(folder, plan.n, {**LIMITS, "first_rows": plan.rows})
        self.world.begin_epoch()
        present = [party for party in range(1, plan.n + 1) if party not in plan.without_ek]
        self.world.announce(present, count=1)
        while not self.world.query("/sessions").open:
            self.world.block(step_ms=2_000)
        self.sid = self.world.query("/sessions").open[0].sid
        self.start_ms, self.start_height = self.world.time_ms, self.world.height
        committee_hash = bytes.fromhex(self.world.query("/epoch/1").committee_hash)
        self.params: SessionParams = params_of(abci.CHAIN, Committee.of(plan.n), committee_hash, self.view())

    def view(self) -> SessionView:
        found: SessionView = self.world.query(f"/session/{self.sid}")
        return found

    def secret(self, party: int) -> bytes:
        return abci.secret("ek", party, 0)

    def block(self, now_ms: int, txs: list[tuple[int, m.ChainMessage]]) -> None:
        """The same block at the same time after START."""
        self.world.time_ms = self.start_ms + now_ms
        raws = [self._signed(sender, message) for sender, message in txs]
        self.world.block(*raws, step_ms=0)

    def _signed(self, sender: int, message: m.ChainMessage) -> bytes:
        name, kind = KINDS[type(message)]
        fields = {field: getattr(message, field) for field in kind.DESCRIPTOR.fields_by_name}
        # Each submission is a transaction of its own: the same bytes again would be refused as seen.
        return self.world.tx(sender, **{name: kind(**fields)}, expiry=self.world.height + 10 + self._next())

    def _next(self) -> int:
        self._number = (getattr(self, "_number", 0) + 1) % 80
        return self._number

    def close(self) -> None:
        self.world.app.close()


def comparable(view: SessionView, start_height: int) -> dict[str, object]:
    """What both must say, with heights counted from START."""
    return {
        "phase": view.phase,
        "height": view.height - start_height,
        "deals": {i: (d.e, d.root, d.u, d.height - start_height) for i, d in view.deals.items()},
        "acks": {j: bits for j, bits in view.acks.items() if bits},
        "q": view.q,
        "q_height": view.q_height - start_height if view.q_height else 0,
        "opened": {j: bits for j, bits in view.opened.items() if bits},
        "complaints": {(c.dealer, c.complainer, c.upheld, c.height - start_height) for c in view.complaints},
        "fallbacks": {
            i: (f.lists, f.seed, f.seed_height - start_height if f.seed else 0, f.scalars)
            for i, f in view.fallbacks.items()
        },
        "finals": view.finals,
        "root": view.root,
        "count": view.count,
        "chunks": view.chunks,
        "holders": tuple(sorted(view.holders)),
    }
