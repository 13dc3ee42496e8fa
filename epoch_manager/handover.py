"""What the chain says about the hand-over under way, for this node's status: the phase, and who holds it up.

The whole picture is drawn when somebody asks for it: it costs the chain more than all else that is read here.
"""

from __future__ import annotations

from typing import Any

import anyio

from authnet_core.errors import AuthnetError
from authnet_core.protocol.handover import holdups
from authnet_core.protocol.views import EncKeysView, EpochView, HandoverView, ResharesView
from authnet_runtime.chain import ChainReader
from authnet_runtime.logs import get_logger

LOOK_S = 3.0
ANSWER_S = 2.0
_log = get_logger("handover")


class HandoverWatch:
    """Logs each phase, and has the picture of the whole for `status`."""

    def __init__(self, chain: ChainReader) -> None:
        self._chain = chain
        self._phase: tuple[int, str] | None = None
        self._last: dict[str, Any] | None = None

    async def run(self) -> None:
        """Forever: say in the log what phase begins."""
        while True:
            try:
                handover = await self._chain.query("/handover", HandoverView)
            except AuthnetError:
                pass  # the observer reports a chain that is away
            else:
                self._note(None if handover is None else (handover.committee.epoch, handover.phase))
            await anyio.sleep(LOOK_S)

    async def picture(self) -> dict[str, Any] | None:
        """The hand-over under way, None without one. A chain that does not answer leaves the last picture."""
        with anyio.move_on_after(ANSWER_S):
            try:
                self._last = await self.look()
            except AuthnetError:
                pass
        return self._last

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

    def _note(self, phase: tuple[int, str] | None) -> None:
        if phase != self._phase:
            _log.info("handover.phase", **({"epoch": phase[0], "phase": phase[1]} if phase else {"phase": "none"}))
        self._phase = phase
