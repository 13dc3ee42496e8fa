"""How the keys move while one committee hands over to the next: called by handover.py, batch by batch.

A network without keys has nothing to move. The cost of a block does not depend on how many batches there are: a
cursor names the next one, counts are kept.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from msgspec.structs import replace

from abci_app.reshare import batches, reshares
from abci_app.reshare import blame as reshare_blame
from abci_app.reshare import phases as reshare_phases
from abci_app.reshare import sweep as reshare_sweep
from abci_app.reshare.start import phase_event, start_if_possible
from abci_app.rules.events import Event
from abci_app.sessions.pool import hand_over
from abci_app.sessions.sessions import SECP256K1
from abci_app.state import batch_records as b
from abci_app.state import records as r
from abci_app.state import records_handover as rh
from abci_app.state import tables
from abci_app.state.state import Reader, State

ATTEMPTS = "attempts"
"""Every attempt to move some batch failed."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the keys have moved."""

    batches: int = 0
    batches_done: int = 0
    keys: int = 0
    keys_done: int = 0
    is_settled: bool = True
    """All batches there are have moved, no session is open and no final one lacks keys: nothing more can come."""

    @property
    def is_moved(self) -> bool:
        """Every batch that exists by now has moved; sessions may still be open."""
        return self.batches_done == self.batches


@dataclass(frozen=True, slots=True)
class Moved:
    """What a block did. `failed` names why the hand-over can not be completed, "" while it can."""

    events: list[Event] = field(default_factory=list)
    failed: str = ""


def get_moving(state: Reader, handover: rh.Handover) -> b.Moving:
    return state.get(tables.MOVING) or b.Moving(handover.from_epoch, handover.epoch)


def start_clocks(state: State, handover: rh.Handover) -> None:
    """At the start of each block of a hand-over: phases opened in an earlier block get their t0."""
    moving = state.get(tables.MOVING)
    if moving is None:
        return
    for rid in moving.open:
        reshare = state.need(tables.reshare(rid))
        started = reshare_phases.start_clock(state, reshare)
        if started is not reshare:
            reshares.put(state, started)
    if moving.waiting_ms == 0 and 0 < moving.waiting_height < state.block.height:
        state.put(tables.MOVING, replace(moving, waiting_ms=state.block.time_ms))


def advance(state: State, handover: rh.Handover) -> Moved:
    """At the end of each block in the phases resharing and switching, after the sessions have moved.

    May write the hand-over's record (`next_counter`); the caller reads it again.
    """
    before = moving = get_moving(state, handover)
    events: list[Event] = []
    for rid in before.open:
        moving, found = _advance_one(state, moving, rid)
        events += found
    moving, found = start_if_possible(state, handover, moving)
    if moving != before:
        state.put(tables.MOVING, moving)
    return Moved(events + found, moving.failure)


def _advance_one(state: State, moving: b.Moving, rid: bytes) -> tuple[b.Moving, list[Event]]:
    before = state.need(tables.reshare(rid))
    reshare = reshare_phases.advance(state, before)
    if reshare is before:
        return moving, []
    reshares.put(state, reshare)
    if reshare.phase == before.phase:
        return moving, []
    events = [phase_event(reshare)]
    match reshare.phase:
        case reshares.READY:
            events += reshare_blame.convict_liars(state, reshare)
        case reshares.FINAL:
            moving = _close_final(state, moving, reshare)
        case reshares.FAILED:
            moving = _close_failed(state, moving, reshare)
    return moving, events


def _without(rids: tuple[bytes, ...], rid: bytes) -> tuple[bytes, ...]:
    return tuple(other for other in rids if other != rid)


def _close_final(state: State, moving: b.Moving, reshare: b.Reshare) -> b.Moving:
    """The batch is the next committee's too. Complaints end, unless some member still has to catch up."""
    batches.bring(state, reshare)
    if reshares.is_held_by_all(reshare):
        reshare_sweep.drop_signed(state, reshare.rid)
    else:
        reshares.put_on_short(state, reshare)
    return replace(
        moving,
        open=_without(moving.open, reshare.rid),
        batches_done=moving.batches_done + 1,
        keys_done=moving.keys_done + reshare.count,
    )


def _close_failed(state: State, moving: b.Moving, reshare: b.Reshare) -> b.Moving:
    """Its mask is burnt and nothing of it is used. The batch waits for its next attempt, if it may have one."""
    reshare_sweep.drop_signed(state, reshare.rid)
    is_last = reshare.attempt + 1 >= state.need(tables.PARAMS).reshare_attempts
    return replace(
        moving,
        open=_without(moving.open, reshare.rid),
        again=(*moving.again, reshare.rid),
        failure=ATTEMPTS if is_last else moving.failure,
    )


def measure(state: Reader, handover: rh.Handover) -> Progress:
    """A function of the state alone, for advance's caller and for queries, in any phase."""
    moving = get_moving(state, handover)
    indices = state.get(tables.INDICES) or r.Indices()
    opened = (state.get(tables.OPEN_SESSIONS) or r.SessionList()).sids
    return Progress(
        batches=indices.batches,
        batches_done=moving.batches_done,
        keys=indices.next_index,
        keys_done=moving.keys_done,
        # A batch moves only when all its keys are on chain, so one that lacks some is not done.
        is_settled=moving.batches_done == indices.batches and not opened,
    )


def cancel(state: State, handover: rh.Handover) -> list[Event]:
    """The hand-over ended without a switch: drop what is under way. May run in the middle of a block."""
    moving = state.get(tables.MOVING)
    if moving is None:
        return []
    events = []
    for rid in (*moving.open, *moving.again):
        reshare = state.need(tables.reshare(rid))
        if reshare.phase != reshares.FAILED:
            events.append(phase_event(replace(reshare, phase=reshares.FAILED)))
        reshare_sweep.drop_reshare(state, rid)
    if state.get(tables.short(moving.to_epoch)) is not None:
        state.delete(tables.short(moving.to_epoch))
    if state.get(tables.convicts(moving.to_epoch)) is not None:
        state.delete(tables.convicts(moving.to_epoch))
    state.delete(tables.MOVING)
    reshare_sweep.add(state, moving.to_epoch, moving.from_epoch)
    return events


def settle(state: State, handover: rh.Handover) -> list[Event]:
    """The switch: the next committee's batches become the pool's. CURRENT_EPOCH still names the former one."""
    hand_over(state, SECP256K1, handover.epoch)
    # Nobody catches up with a session of the former committee any more.
    state.put(tables.RETAINED_SESSIONS, r.SessionList())
    if state.get(tables.short(handover.from_epoch)) is not None:
        state.delete(tables.short(handover.from_epoch))
    if state.get(tables.MOVING) is not None:
        state.delete(tables.MOVING)
    reshare_sweep.add(state, handover.from_epoch, handover.from_epoch)
    return []
