"""How one committee hands over to the next: the phases, their clocks, and how each may end.

A function of chain state and block time alone. At most one phase is left in a block, so that everybody sees each.
Source: docs/protocol/epochs.md.
"""

from __future__ import annotations

from typing import Final, TypeVar

from msgspec.structs import replace

from abci_app.handover import switch
from abci_app.handover.phases import (
    ABORTED,
    ANNOUNCED,
    JOINING,
    NEXT,
    REJECTED,
    RESHARING,
    SWITCHED,
    SWITCHING,
    TIMED_OUT,
)
from abci_app.handover.readiness import count_ready, ready_members
from abci_app.registry import votes
from abci_app.registry.committees import make_epoch
from abci_app.registry.epoch_rules import get_subject
from abci_app.reshare import flow as reshare_flow
from abci_app.rules.events import Event, event
from abci_app.rules.members import need_epoch
from abci_app.sessions.flow import is_due
from abci_app.state import records as r
from abci_app.state import records_handover as rh
from abci_app.state import tables
from abci_app.state.bits import bit
from abci_app.state.state import State
from authnet_core.protocol.committee import Committee
from authnet_core.wire.authnet_pb2 import EpochRecord

R = TypeVar("R", bound=r.Record)
MAX_ENDED: Final = 16


def announce(state: State, record: EpochRecord, record_hash: bytes) -> list[Event]:
    """n-t members observed the record: its notice begins."""
    current, now = need_epoch(state), state.block
    state.put(tables.epoch(record.epoch), make_epoch(record, record_hash, NEXT, current.epoch))
    handover = rh.Handover(
        epoch=record.epoch,
        from_epoch=current.epoch,
        record_hash=record_hash,
        phase=ANNOUNCED,
        announced_height=now.height,
        announced_ms=now.time_ms,
        notice_ms=record.notice_s * 1_000,
        phase_height=now.height,
        phase_ms=0,
        ready_nodes=(None,) * record.n,
    )
    state.put(tables.HANDOVER, handover)
    return [event("epoch_phase", epoch=record.epoch, phase=ANNOUNCED)]


def reject(state: State, member: int) -> list[Event]:
    """A present member rejects the next committee; more than t end it."""
    handover, current = state.need(tables.HANDOVER), need_epoch(state)
    handover = replace(handover, rejected=handover.rejected | bit(member))
    state.put(tables.HANDOVER, handover)
    if handover.rejected.bit_count() <= current.t:
        return []
    return _end(state, handover, REJECTED, handover.rejected)


def call_off(state: State, number: int) -> list[Event]:
    """n-t members observed that the owner called the epoch off: the next one, or too late the one in charge."""
    current = need_epoch(state)
    if number != current.epoch:
        return _end(state, state.need(tables.HANDOVER), ABORTED)
    state.put(tables.epoch(number), replace(current, called_off=True))
    return []


def start_clocks(state: State) -> None:
    """Phases opened in an earlier block get their t0."""
    known, now = state.get(tables.HANDOVER), state.block
    if known is None:
        return
    handover = known
    if handover.phase_ms == 0 and handover.phase_height < now.height:
        handover = replace(handover, phase_ms=now.time_ms)
    if handover.notice_from_ms == 0 and handover.announced_height < now.height:
        handover = replace(handover, notice_from_ms=now.time_ms)
    if handover.joining_ms == 0 and 0 < handover.joining_height < now.height:
        handover = replace(handover, joining_ms=now.time_ms)
    if handover.enough_ms == 0 and 0 < handover.enough_height < now.height:
        handover = replace(handover, enough_ms=now.time_ms)
    if handover is not known:
        state.put(tables.HANDOVER, handover)
    reshare_flow.start_clocks(state, handover)


def advance(state: State) -> list[Event]:
    """At the end of a block, after the sessions have moved."""
    handover = state.get(tables.HANDOVER)
    if handover is None:
        return []
    events: list[Event] = []
    if handover.phase in (RESHARING, SWITCHING):
        moved = reshare_flow.advance(state, handover)
        events, handover = moved.events, state.need(tables.HANDOVER)
        if moved.failed:
            return events + _end(state, handover, TIMED_OUT, cause=moved.failed)
    if is_due(state, handover.joining_ms, handover.joining_height, state.need(tables.PARAMS).handover_max_ms):
        return events + _end(state, handover, TIMED_OUT, _missing(state, handover))
    match handover.phase:
        case "announced":
            return events + _join(state, handover)
        case "joining":
            return events + _reshare(state, handover)
        case "resharing":
            return events + _settle(state, handover)
        case _:
            return events + _switch(state, handover)


def _join(state: State, handover: rh.Handover) -> list[Event]:
    """The notice is over. One of no length ends with the next block."""
    is_over = is_due(state, handover.notice_from_ms, handover.announced_height, handover.notice_ms)
    if not is_over and (handover.notice_ms or handover.phase_height == state.block.height):
        return []
    return _enter(state, replace(handover, joining_height=state.block.height), JOINING)


def _reshare(state: State, handover: rh.Handover) -> list[Event]:
    """All next members are ready, or n' - t' have been for long enough."""
    committee = Committee.of(len(handover.ready_nodes))
    ready = count_ready(state, handover)
    if ready == committee.n:
        return _enter(state, handover, RESHARING)
    if ready < committee.quorum:
        return []
    if not handover.enough_height:
        state.put(tables.HANDOVER, replace(handover, enough_height=state.block.height))
        return []
    wait_ms = state.need(tables.PARAMS).join_wait_ms
    if is_due(state, handover.enough_ms, handover.enough_height, wait_ms):
        return _enter(state, handover, RESHARING)
    return []


def _settle(state: State, handover: rh.Handover) -> list[Event]:
    """Every batch has moved: no new session starts, and when the last one's keys have moved too, nothing is left."""
    progress = reshare_flow.measure(state, handover)
    if not progress.is_moved:
        return []
    if not handover.frozen:
        handover = replace(handover, frozen=True)
        state.put(tables.HANDOVER, handover)
    return _enter(state, handover, SWITCHING) if progress.is_settled else []


def _switch(state: State, handover: rh.Handover) -> list[Event]:
    """All next members' chains are up, or those of n' - t' and the rest was waited for."""
    committee = Committee.of(len(handover.ready_nodes))
    up = sum(1 for node in handover.ready_nodes if node is not None)
    wait_ms = state.need(tables.PARAMS).join_wait_ms
    is_late = is_due(state, handover.phase_ms, handover.phase_height, wait_ms)
    if up < committee.quorum or (up < committee.n and not is_late):
        return []
    if not reshare_flow.measure(state, handover).is_settled:
        return []
    events = reshare_flow.settle(state, handover) + switch.perform(state, handover)
    _close(state, handover, rh.Ended(handover.epoch, SWITCHED, *_now(state), handover.phase))
    return events


def _enter(state: State, handover: rh.Handover, phase: str) -> list[Event]:
    state.put(tables.HANDOVER, replace(handover, phase=phase, phase_height=state.block.height, phase_ms=0))
    return [event("epoch_phase", epoch=handover.epoch, phase=phase)]


def _missing(state: State, handover: rh.Handover) -> int:
    """Bitmap of the next members that were not ready."""
    ready = set(ready_members(state, handover))
    return sum(bit(member) for member in range(1, len(handover.ready_nodes) + 1) if member not in ready)


def _now(state: State) -> tuple[int, int]:
    return state.block.height, state.block.time_ms


def _end(state: State, handover: rh.Handover, outcome: str, members: int = 0, cause: str = "") -> list[Event]:
    """No switch: nothing of it stays but how it ended. The epoch's number is used up."""
    events = reshare_flow.cancel(state, handover)
    epoch = state.need(tables.epoch(handover.epoch))
    for member in epoch.members:
        _forget(state, tables.enckeys(epoch.epoch, member.index))
        _forget(state, tables.quota(epoch.epoch, member.index))
    state.put(tables.epoch(epoch.epoch), replace(epoch, status=ABORTED))
    _close(state, handover, rh.Ended(epoch.epoch, outcome, *_now(state), handover.phase, members, cause))
    return [*events, event("epoch_phase", epoch=epoch.epoch, phase=ABORTED)]


def _close(state: State, handover: rh.Handover, ended: rh.Ended) -> None:
    votes.drop(state, get_subject(handover.epoch))
    _forget(state, tables.HANDOVER)
    _forget(state, tables.ROOTS)
    known = (state.get(tables.ENDED_HANDOVERS) or rh.EndedList()).ended
    state.put(tables.ENDED_HANDOVERS, rh.EndedList((ended, *known)[:MAX_ENDED]))


def _forget(state: State, slot: tables.Slot[R]) -> None:
    if state.get(slot) is not None:
        state.delete(slot)
