"""RACK: a new member holds good shares and the bundle of these dealers, on disk, and computed M (epochs.md)."""

from __future__ import annotations

from msgspec.structs import replace

from abci_app.reshare.reshares import ACK, TEST, as_receiver, put, require_phase, tested_dealers
from abci_app.rules.events import Event
from abci_app.rules.transactions import Tx
from abci_app.sessions.sessions import require_new_bits, with_item
from abci_app.state.bits import parties
from abci_app.state.state import State
from authnet_core.crypto.secp256k1 import is_point
from authnet_core.errors import Code, Rejected
from authnet_core.wire.authnet_pb2 import ReshareAck


def check(state: State, tx: Tx) -> None:
    """Raise Rejected unless the bitmap gains bits, all of tested dealers, and M is a point and always the same."""
    message: ReshareAck = tx.message
    reshare, member = as_receiver(state, tx)
    require_phase(reshare, TEST, ACK)
    require_new_bits(reshare.acks[member - 1], message.dealers, len(reshare.deals))
    if not set(parties(message.dealers)) <= set(tested_dealers(reshare)):
        raise Rejected(Code.NOT_A_DEALER, "a dealer in the bitmap has no RTEST on chain")
    said = reshare.sums[member - 1]
    if (said or message.sum) != message.sum or (reshare.total or message.sum) != message.sum:
        raise Rejected(Code.BAD_SUM, "M is not what this member, or what n' - t' members said before")
    if not is_point(message.sum):
        raise Rejected(Code.MALFORMED, "the sum must be a compressed point")


def apply(state: State, tx: Tx) -> tuple[bytes, list[Event]]:
    """Add the bits; whether some Q' fits is seen at the end of the block."""
    message: ReshareAck = tx.message
    reshare, member = as_receiver(state, tx)
    acks = with_item(reshare.acks, member, reshare.acks[member - 1] | message.dealers)
    sums = with_item(reshare.sums, member, message.sum)
    put(state, replace(reshare, acks=acks, sums=sums))
    return b"", []
