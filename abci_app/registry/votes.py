"""Votes on registry records under way: one per member and subject, moved by a new one.

A vote is a bit of a party index, so it means nothing to the next committee: all are dropped when one takes over.
"""

from __future__ import annotations

from abci_app.state import records as r
from abci_app.state import tables
from abci_app.state.bits import bit, parties
from abci_app.state.state import State
from authnet_core.wire.tx import record_hash


def cast(state: State, subject: bytes, record: bytes, member: int) -> int:
    """Count the member's vote for `record` and take it off others; the bitmap of all who vote for it."""
    digest, voters = record_hash(record), bit(member)
    votes = state.get(tables.votes(subject))
    others = []
    for ballot in votes.ballots if votes is not None else ():
        if ballot.record_hash == digest:
            voters |= ballot.voters
        elif ballot.voters & ~bit(member):
            others.append(r.Ballot(ballot.record_hash, ballot.record, ballot.voters & ~bit(member)))
    ballots = sorted((*others, r.Ballot(digest, record, voters)), key=lambda ballot: ballot.record_hash)
    state.put(tables.votes(subject), r.Votes(tuple(ballots)))
    _set_open(state, member, subject, True)
    return voters


def drop(state: State, subject: bytes) -> None:
    """Forget all votes on a subject that is decided."""
    votes = state.get(tables.votes(subject))
    if votes is None:
        return
    state.delete(tables.votes(subject))
    for party in parties(sum(ballot.voters for ballot in votes.ballots)):
        _set_open(state, party, subject, False)


def drop_all(state: State, n: int) -> None:
    """Forget every vote of a committee of `n` that is in charge no more."""
    for member in range(1, n + 1):
        known = state.get(tables.open_votes(member))
        if known is None:
            continue
        for subject in known.subjects:
            state.delete(tables.votes(subject))
        state.delete(tables.open_votes(member))


def _set_open(state: State, member: int, subject: bytes, is_open: bool) -> None:
    slot = tables.open_votes(member)
    known = state.get(slot)
    subjects = [other for other in (known.subjects if known is not None else ()) if other != subject]
    if is_open:
        subjects.append(subject)
    state.put(slot, r.OpenVotes(tuple(subjects)))
