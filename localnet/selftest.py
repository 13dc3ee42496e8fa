"""The self-test of a network's shares, as a command asks for it: a keeper does it together with its fellows."""

from __future__ import annotations

from pathlib import Path

import msgspec

from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.selftest import SelfTest
from authnet_runtime.rpc_once import call_once
from localnet.places import Places

_ASK_S = 30.0


def ask_keeper(run: Path, epoch: int = 0) -> SelfTest:
    """What the keeper of a node finds, of the epoch in charge for 0. Raises AuthnetError."""
    return msgspec.convert(call_once(run / "ops.sock", "self_test", {"epoch": epoch}, timeout=_ASK_S), SelfTest)


def ask_members(places: Places, epoch: int) -> SelfTest:
    """What the first member of an epoch says whose keeper can. Raises AuthnetError: the last one's refusal."""
    refusal = AuthnetError(Code.NETWORK_DOWN, f"epoch {epoch} has no members here")
    for node in places.committee(epoch):
        try:
            return ask_keeper(places.node_dir(node) / "run", epoch)
        except AuthnetError as error:
            refusal = error
    raise refusal
