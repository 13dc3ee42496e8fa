"""`self_test` on ops.sock: whether the committee's shares open its keys."""

from __future__ import annotations

from typing import Any

import msgspec

from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.selftest import MAX_SAMPLE, SAMPLE
from authnet_runtime.rpc import Connection
from p2p_dkg.doors.api import read_params
from p2p_dkg.runner.membership import Membership
from p2p_dkg.selftest.tester import SelfTester


class SelfTestParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of `self_test`."""

    epoch: int = 0
    """0 for the one in charge."""
    sample: int = SAMPLE


class SelfTestDoor:
    """One method of ops.sock."""

    def __init__(self, tester: SelfTester, membership: Membership) -> None:
        self._tester, self._membership = tester, membership

    async def run(self, params: dict[str, Any], _: Connection) -> Any:
        """The handler: a `SelfTest`. Raises BAD_PARAMS, NOT_A_MEMBER, WRONG_EPOCH, UNAVAILABLE, KEYSTORE_DAMAGED."""
        asked = read_params(params, SelfTestParams)
        if not 1 <= asked.sample <= MAX_SAMPLE:
            raise AuthnetError(Code.BAD_PARAMS, f"sample: 1 to {MAX_SAMPLE} keys")
        committees = self._membership.committees
        if committees.current is None:
            raise AuthnetError(Code.UNAVAILABLE, "the network has no committee yet")
        view = committees.view(asked.epoch or committees.current.epoch)
        if view is None:
            raise AuthnetError(Code.NOT_A_MEMBER, f"this node has no part in epoch {asked.epoch}")
        return msgspec.to_builtins(await self._tester.run(view, asked.sample))
