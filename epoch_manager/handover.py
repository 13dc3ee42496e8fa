"""What the chain says about the hand-over under way, for this node's status: the phase, and who holds it up."""

from __future__ import annotations

from typing import Any

import anyio

from authnet_core.errors import AuthnetError
from authnet_core.protocol.handover import holdups
from authnet_core.protocol.views import EncKeysView, EpochView, HandoverView, ResharesView
from authnet_runtime.chain import ChainReader
from authnet_runtime.logs import get_logger
from epoch_manager.status import Status

LOOK_S = 1.0
IDLE_LOOK_S = 3.0
_log = get_logger("handover")


class HandoverWatch:
    """Keeps `status.handover` at what the chain shows."""

    def __init__(self, chain: ChainReader, status: Status) -> None:
        self._chain = chain
        self._status = status

    async def run(self) -> None:
        """Forever; a chain that does not answer leaves the last picture."""
        while True:
            try:
                self._note(await self.look())
            except AuthnetError:
                pass  # the observer reports a chain that is away
            await anyio.sleep(LOOK_S if self._status.handover else IDLE_LOOK_S)

    async def look(self) -> dict[str, Any] | None:
        """The hand-over under way, None without one. Raises AuthnetError."""
        handover = await self._chain.query("/handover", HandoverView)
        if handover is None:
            return None
        reshares = await self._chain.query("/reshares", ResharesView)
        former = await self._chain.query(f"/epoch/{handover.from_epoch}", EpochView)
        keys = await self._chain.query(f"/enckeys/{handover.committee.epoch}", EncKeysView)
        posted = [m.index for m in keys.members if m.last >= m.first] if keys else []
        waiting = holdups(handover, reshares.open if reshares else (), former.n if former else 0, posted)
        return {
            "epoch": handover.committee.epoch,
            "phase": handover.phase,
            "phase_ms": handover.phase_ms,
            "notice_ends_ms": handover.notice_ends_ms,
            "deadline_ms": handover.deadline_ms,
            "batches": handover.batches,
            "batches_done": handover.batches_done,
            "keys": handover.keys,
            "keys_done": handover.keys_done,
            "held_up_by": [{"side": h.side, "index": h.index, "what": h.what} for h in waiting],
        }

    def _note(self, seen: dict[str, Any] | None) -> None:
        before = self._status.handover
        if (seen and (seen["epoch"], seen["phase"])) != (before and (before["epoch"], before["phase"])):
            _log.info("handover.phase", **({k: seen[k] for k in ("epoch", "phase")} if seen else {"phase": "none"}))
        self._status.handover = seen
