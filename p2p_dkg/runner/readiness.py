"""READY_NODE: a member of the next committee says that its chain is up, and which state it has.

Said only of a block that is younger than 30 s by the clock: who is far behind has not caught up, whatever it holds.
"""

from __future__ import annotations

import time

from anyio import to_thread

from authnet_core.protocol.views import HandoverView
from authnet_core.wire import authnet_pb2 as pb
from authnet_runtime.chain import BlockNote
from authnet_runtime.logs import get_logger
from p2p_dkg.keystore.epochs import EpochFiles
from p2p_dkg.runner.submit import TxDesk

FRESH_MS = 30_000
RETRY_BLOCKS = 4
_log = get_logger("membership")


def clock_ms() -> int:
    """Wall clock."""
    return time.time_ns() // 1_000_000


class ReadyPoster:
    """Says it once, and again some blocks later if the chain does not show it."""

    def __init__(self, desk: TxDesk) -> None:
        self._desk = desk
        self._not_before: tuple[int, int] = (0, 0)
        """Epoch and height."""

    async def check(self, note: BlockNote, handover: HandoverView, index: int, files: EpochFiles) -> None:
        """Post if the chain does not show this member's, and `note` is of a block of now."""
        if any(ready.index == index for ready in handover.ready_nodes) or (files.epoch, note.height) < self._not_before:
            return
        age = clock_ms() - note.time_ms
        if age > FRESH_MS:
            _log.info("membership.catching_up", height=note.height, behind_s=age // 1000)
            return
        self._not_before = (files.epoch, note.height + RETRY_BLOCKS)
        # On disk before it is named: a key that only the chain knows would sign no receipt.
        service = await to_thread.run_sync(lambda: files.service(create=True))
        if service is None:
            return
        fields = pb.ReadyNode(
            epoch=files.epoch,
            height=note.height,
            app_hash=bytes.fromhex(note.app_hash),
            service_key=service.pub,
        )
        await self._desk.try_send(files.epoch, "ready_node", fields)
