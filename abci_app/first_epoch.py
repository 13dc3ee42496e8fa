"""The first epoch as observed in the registry: it must be the committee that genesis was built from.

The contract may change between genesis and the first observation. A change of addresses is followed, since the
observers vote for the record they see; a change of members or keys is refused by name (interfaces "Genesis").
"""

from __future__ import annotations

from collections.abc import Sequence

from abci_app import records as r
from abci_app import tables
from abci_app.events import Event, event
from abci_app.members import get_current_epoch
from abci_app.state import State
from abci_app.texts import refuse, require_printable
from authnet_core.crypto.secp256k1 import is_point
from authnet_core.errors import Code, Rejected
from authnet_core.protocol.committee import SUPPORTED_SIZES, Committee
from authnet_core.protocol.dkg.strings import committee_hash
from authnet_core.wire.authnet_pb2 import EpochRecord, Member

_TEXTS = ("operator", "peer_id", "p2p_addr", "comet_addr", "endpoint")


def get_subject(record: EpochRecord) -> bytes:
    """What votes on this record are about."""
    return b"epoch/" + record.epoch.to_bytes(8, "big")


def check_record(state: State, record: EpochRecord) -> None:
    """Raise Rejected unless the record may become epoch 1."""
    current = get_current_epoch(state)
    if current is not None:
        _refuse_after_first(current, record)
    if record.epoch != 1:
        raise refuse(f"the first epoch is 1, not {record.epoch}")
    committee = Committee.of(record.n)
    _check_size(state, record, committee)
    for place, member in enumerate(record.members, start=1):
        _check_member(place, member)
    _check_distinct("identity", [member.identity for member in record.members])
    _check_distinct("consensus", [member.consensus for member in record.members])
    _check_distinct("peer_id", [member.peer_id for member in record.members])
    _check_genesis(state, record)


def _refuse_after_first(current: r.Epoch, record: EpochRecord) -> None:
    if record.epoch > current.epoch:
        raise refuse(f"epoch {current.epoch} stays: this version hands over to no other committee")
    seen = [member.identity for member in record.members]
    changed = [member.index for member in current.members if member.identity not in seen]
    reason = f"; the record lacks member {changed[0]}" if changed else ""
    raise Rejected(Code.RECORD_STALE, f"epoch {current.epoch} is in charge already{reason}")


def _check_size(state: State, record: EpochRecord, committee: Committee) -> None:
    if record.n > 64 or (record.k, record.t) != (committee.k, committee.t) or not committee.is_sound:
        raise refuse(f"n, k, t = {record.n}, {record.k}, {record.t} do not belong together")
    if len(record.members) != record.n:
        raise refuse(f"{len(record.members)} members, but n is {record.n}")
    if record.n not in SUPPORTED_SIZES and not state.need(tables.PARAMS).allow_forkable:
        raise refuse(f"a committee has 5, 6 or 9 members: with {record.n} fewer than k of them can fork the chain")


def _check_member(place: int, member: Member) -> None:
    if member.index != place:
        raise refuse(f"member {place} has index {member.index}")
    if not is_point(member.identity):
        raise refuse(f"member {place}: the identity key is no point of secp256k1")
    if len(member.consensus) != 32:
        raise refuse(f"member {place}: the consensus key must have 32 bytes")
    for name in _TEXTS:
        require_printable(f"member {place}: {name}", getattr(member, name))


def _check_distinct(name: str, items: Sequence[bytes | str]) -> None:
    for place, item in enumerate(items):
        first = items.index(item)
        if first != place:
            raise refuse(f"members {first + 1} and {place + 1} have the same {name}")


def _check_genesis(state: State, record: EpochRecord) -> None:
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
    members = tuple(
        r.Member(
            index=member.index,
            operator=member.operator,
            identity=member.identity,
            consensus=member.consensus,
            peer_id=member.peer_id,
            p2p_addr=member.p2p_addr,
            comet_addr=member.comet_addr,
            endpoint=member.endpoint,
        )
        for member in record.members
    )
    epoch = r.Epoch(
        epoch=record.epoch,
        n=record.n,
        k=record.k,
        t=record.t,
        members=members,
        committee_hash=committee_hash(Committee.of(record.n), [member.identity for member in members]),
        record_hash=record_hash,
        status="serving",
        serving_from_ms=0,
    )
    state.put(tables.epoch(record.epoch), epoch)
    state.put(tables.CURRENT_EPOCH, r.CurrentEpoch(record.epoch))
    return [event("epoch_phase", epoch=record.epoch, phase="serving")]
