"""The first epoch as observed in the registry: it must be the committee that genesis was built from.

The contract may change between genesis and the first observation. A change of addresses is followed, since the
observers vote for the record they see; a change of members or keys is refused by name (interfaces "Genesis").
"""

from __future__ import annotations

from abci_app.handover.phases import SERVING
from abci_app.registry.committees import make_epoch
from abci_app.rules.events import Event, event
from abci_app.state import tables
from abci_app.state.records import CurrentEpoch
from abci_app.state.state import State
from authnet_core.errors import Code, Rejected
from authnet_core.wire.authnet_pb2 import EpochRecord


def check_genesis(state: State, record: EpochRecord) -> None:
    """Raise Rejected unless the members are genesis' observers and validators."""
    observers = state.need(tables.GENESIS).observers
    if len(observers) != record.n:
        raise Rejected(Code.GENESIS_MISMATCH, f"genesis has {len(observers)} members, the registry {record.n}")
    validators = {key for key, _ in state.need(tables.VALIDATORS).members}
    for member in record.members:
        if member.identity != observers[member.index - 1]:
            raise Rejected(Code.GENESIS_MISMATCH, f"member {member.index}: not the identity key of genesis")
        if member.consensus not in validators:
            raise Rejected(Code.GENESIS_MISMATCH, f"member {member.index}: not a validator of genesis")


def accept(state: State, record: EpochRecord, record_hash: bytes) -> list[Event]:
    """Make the observed committee the current epoch."""
    state.put(tables.epoch(record.epoch), make_epoch(record, record_hash, SERVING, 0))
    state.put(tables.CURRENT_EPOCH, CurrentEpoch(record.epoch))
    return [event("epoch_phase", epoch=record.epoch, phase=SERVING)]
