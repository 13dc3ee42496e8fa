"""READY: a new member's shares and nonces of a batch are on disk, made from the Q' that the chain chose (epochs.md).

One that comes after the resharing is final says that its sender holds, as RHAVE does.
"""

from __future__ import annotations

from msgspec.structs import replace

from abci_app.reshare.reshares import FINAL, READY, add_holder, as_receiver, put, require_phase
from abci_app.rules.events import Event
from abci_app.rules.transactions import Tx
from abci_app.state.bits import bit
from abci_app.state.state import State
from authnet_core.errors import Code, Rejected
from authnet_core.wire.authnet_pb2 import ReshareReady


def check(state: State, tx: Tx) -> None:
    """Raise Rejected unless this is the member's first word that it holds, under the hash that the chain computed."""
    message: ReshareReady = tx.message
    reshare, member = as_receiver(state, tx)
    require_phase(reshare, READY, FINAL)
    if (reshare.readies | reshare.holders) & bit(member):
        raise Rejected(Code.ALREADY_DONE, "one READY per member and resharing")
    if message.hash != reshare.hash:
        raise Rejected(Code.ROOT_MISMATCH, "shares of another Q', M or test than the chain's")


def apply(state: State, tx: Tx) -> tuple[bytes, list[Event]]:
    """Count it; whether enough are ready is seen at the end of the block."""
    reshare, member = as_receiver(state, tx)
    if reshare.phase == FINAL:
        add_holder(state, reshare, member)
    else:
        put(state, replace(reshare, readies=reshare.readies | bit(member)))
    return b"", []
