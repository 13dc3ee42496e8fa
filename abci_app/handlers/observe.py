"""OBSERVE: a member reports a registry record it read in a finalized block. n-t alike make it state.

A member has one vote per subject (an epoch, a verifier's name): a new one moves it, so what the registry said
meanwhile leaves nothing behind. No rule ever reads Ethereum.
"""

from __future__ import annotations

from abci_app.handover import handover
from abci_app.registry import epoch_rules, first_epoch, verifiers, votes
from abci_app.rules.events import Event
from abci_app.rules.members import get_membership
from abci_app.rules.quotas import charge, require_observe
from abci_app.rules.transactions import Tx
from abci_app.state import tables
from abci_app.state.bits import bit
from abci_app.state.state import State
from authnet_core.errors import Code, DecodeError, Rejected
from authnet_core.wire.authnet_pb2 import Observe, Record
from authnet_core.wire.tx import decode_record, record_hash

MAX_RECORD_BYTES = 65_536
MAX_OPEN_VOTES = 64
"""Subjects a member may have undecided votes on; bounds what one member can add to the state."""


def _read(message: Observe) -> tuple[Record, bytes]:
    """The record and the subject of votes on it. Raises Rejected."""
    if len(message.record) > MAX_RECORD_BYTES:
        raise Rejected(Code.TOO_LARGE, f"a record has at most {MAX_RECORD_BYTES} bytes")
    try:
        record = decode_record(message.record)
    except DecodeError as error:
        raise Rejected(Code.MALFORMED, error.message) from None
    if record.WhichOneof("kind") == "epoch":
        return record, epoch_rules.get_subject(record.epoch.epoch)
    return record, verifiers.get_subject(record.verifier)


def check(state: State, tx: Tx) -> None:
    """Raise Rejected unless the record may come into force and the member has not voted for it yet."""
    message: Observe = tx.message
    record, subject = _read(message)
    digest = record_hash(message.record)
    if record.WhichOneof("kind") == "epoch":
        epoch_rules.check_record(state, record.epoch, digest)
    else:
        verifiers.check_record(state, record.verifier)
    membership = get_membership(state)
    member = membership.index_of(tx.signer)
    known = state.get(tables.votes(subject))
    for ballot in known.ballots if known is not None else ():
        if ballot.record_hash == digest and ballot.voters & bit(member):
            raise Rejected(Code.ALREADY_VOTED, "this member has observed this record")
    open_votes = state.get(tables.open_votes(member))
    if open_votes and subject not in open_votes.subjects and len(open_votes.subjects) >= MAX_OPEN_VOTES:
        raise Rejected(Code.QUOTA_EXCEEDED, f"a member has at most {MAX_OPEN_VOTES} undecided observations")
    require_observe(state, membership.epoch, member)


def apply(state: State, tx: Tx) -> tuple[bytes, list[Event]]:
    """Count the vote; with n-t alike the record comes into force."""
    message: Observe = tx.message
    record, subject = _read(message)
    membership = get_membership(state)
    member = membership.index_of(tx.signer)
    charge(state, membership.epoch, member, observed=1)
    voters = votes.cast(state, subject, message.record, member)
    if voters.bit_count() < membership.committee.quorum:
        return b"", []
    votes.drop(state, subject)
    if record.WhichOneof("kind") == "verifier":
        return b"", verifiers.accept(state, record.verifier)
    if record.epoch.aborted:
        return b"", handover.call_off(state, record.epoch.epoch)
    if membership.epoch == 0:
        return b"", first_epoch.accept(state, record.epoch, record_hash(message.record))
    return b"", handover.announce(state, record.epoch, record_hash(message.record))
