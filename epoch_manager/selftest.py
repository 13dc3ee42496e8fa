"""When an epoch is in charge, this node's keeper opens sampled keys under its shares; what came of it is in the status.

The shares are on the members' disks before the switch. While a member is silent or something is wrong the test is run
again, at growing intervals and so many times; after that no more until the next epoch.
"""

from __future__ import annotations

import anyio
import msgspec

from authnet_core.errors import AuthnetError
from authnet_core.protocol.selftest import SelfTest
from authnet_core.protocol.views import EpochView
from authnet_runtime.chain import ChainReader
from authnet_runtime.logs import get_logger
from authnet_runtime.rpc_client import RpcClient
from epoch_manager.status import Status

LOOK_S = 5.0
SETTLE_S = 5.0
"""After a switch: fellow members see it a moment sooner or later, and answer for no epoch before that."""
EMPTY_S = 30.0
"""While there are no keys, or the keeper can not test."""
AGAIN_S = 60.0
TRIES = 8
"""The pause doubles: the last try is two hours after the first."""
ANSWER_S = 60.0
_log = get_logger("selftest")


class SelfTests:
    """Asks the keeper once an epoch, and again while members are silent or something is wrong."""

    def __init__(self, keeper: RpcClient, chain: ChainReader, status: Status) -> None:
        self._keeper, self._chain, self._status = keeper, chain, status
        self._epoch = 0
        self._tries = 0

    async def run(self) -> None:
        """Forever."""
        due = anyio.current_time()
        while True:
            try:
                if await self._is_new_epoch():
                    due = anyio.current_time() + SETTLE_S
                if self._epoch and self._tries < TRIES and anyio.current_time() >= due:
                    due = anyio.current_time() + await self.test()
            except AuthnetError as refusal:
                # The observer reports a chain or a keeper that is away; a node that is in no committee has no shares.
                due = anyio.current_time() + EMPTY_S
                _log.debug("selftest.waiting", code=refusal.code.value, reason=refusal.message)
            await anyio.sleep(LOOK_S)

    async def _is_new_epoch(self) -> bool:
        current = await self._chain.query("/epoch/current", EpochView)
        epoch = current.epoch if current is not None else 0
        if epoch == self._epoch:
            return False
        self._epoch, self._tries = epoch, 0
        self._status.set_self_test(None)
        return True

    async def test(self) -> float:
        """One test; seconds until the next one is due. Raises AuthnetError."""
        raw = await self._keeper.call("self_test", {"epoch": self._epoch}, timeout=ANSWER_S)
        found = msgspec.convert(raw, SelfTest)
        if not found.keys:
            return EMPTY_S
        self._status.set_self_test(found)
        _log.info("selftest.done", epoch=found.epoch, result=str(found))
        self._tries = TRIES if found.is_good and found.is_whole else self._tries + 1
        return AGAIN_S * 2.0 ** (self._tries - 1)
