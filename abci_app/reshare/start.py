"""START_RESHARE: made by the state machine itself, batch after batch; nobody chooses. At most one in a block."""

from __future__ import annotations

from msgspec.structs import replace

from abci_app.reshare import masks, reshares
from abci_app.reshare.batches import get_batch, need_batch
from abci_app.rules.events import Event, event
from abci_app.sessions.flow import is_due
from abci_app.state import batch_records as b
from abci_app.state import records as r
from abci_app.state import records_handover as rh
from abci_app.state import tables
from abci_app.state.state import State


def phase_event(reshare: b.Reshare) -> Event:
    return event("reshare_phase", rid=reshare.rid.hex(), phase=reshare.phase, curve=reshare.curve)


def start_if_possible(state: State, handover: rh.Handover, moving: b.Moving) -> tuple[b.Moving, list[Event]]:
    """Start the next resharing if a batch is waiting, few are open, a mask is there and the receivers have keys."""
    params = state.need(tables.PARAMS)
    if moving.failure or len(moving.open) >= params.reshares_in_flight:
        return moving, []
    waiting = _waiting(state, moving)
    if not waiting:
        return moving, []
    new = state.need(tables.epoch(moving.to_epoch))
    eks = tuple(_key_of(state, new, member.index, handover.next_counter) for member in new.members)
    moving, ready = _wait_for_keys(state, moving, new, sum(1 for ek in eks if ek))
    if not ready:
        return moving, []
    found = next((found for found in waiting if masks.has_one(state, found[0])), None)
    if found is None:
        return moving, []
    batch, before = found
    reshare = _make(state, moving, batch, before, masks.burn(state, batch), handover.next_counter, eks)
    _put(state, reshare)
    state.put(tables.HANDOVER, replace(handover, next_counter=handover.next_counter + 1))
    started = replace(moving, open=(*moving.open, reshare.rid), waiting_height=0, waiting_ms=0)
    if before is None:
        return replace(started, cursor=batch.end), [phase_event(reshare)]
    again = tuple(rid for rid in moving.again if rid != before.rid)
    return replace(started, again=again), [phase_event(reshare)]


def _waiting(state: State, moving: b.Moving) -> list[tuple[b.Batch, b.Reshare | None]]:
    """Batches whose last attempt failed, with that, go first; then the one at the cursor, if all its keys are there."""
    found: list[tuple[b.Batch, b.Reshare | None]] = []
    for rid in moving.again:
        failed = state.need(tables.reshare(rid))
        found.append((need_batch(state, moving.from_epoch, failed.first_index), failed))
    batch = get_batch(state, moving.from_epoch, moving.cursor)
    if batch is not None and batch.is_complete:
        found.append((batch, None))
    return found


def _key_of(state: State, epoch: r.Epoch, member: int, counter: int) -> bytes:
    known = state.get(tables.enckeys(epoch.epoch, member))
    return b"" if known is None else known.key_at(counter)


def _wait_for_keys(state: State, moving: b.Moving, new: r.Epoch, present: int) -> tuple[b.Moving, bool]:
    """All n' have an encryption key for the counter, or n'-t' have had one for `enckey_wait_ms`."""
    if present == new.n:
        return moving, True
    if present < new.n - new.t:
        return replace(moving, waiting_height=0, waiting_ms=0), False
    if not moving.waiting_height:
        return replace(moving, waiting_height=state.block.height, waiting_ms=0), False
    wait = state.need(tables.PARAMS).enckey_wait_ms
    return moving, is_due(state, moving.waiting_ms, moving.waiting_height, wait)


def _make(
    state: State,
    moving: b.Moving,
    batch: b.Batch,
    before: b.Reshare | None,
    mask: tuple[int, int],
    counter: int,
    eks: tuple[bytes, ...],
) -> b.Reshare:
    old, new = (state.need(tables.epoch(number)) for number in (moving.from_epoch, moving.to_epoch))
    made = b.Reshare(
        rid=b"",
        from_epoch=old.epoch,
        to_epoch=new.epoch,
        curve=batch.curve,
        first_index=batch.first_index,
        count=batch.count,
        root=batch.root,
        source=batch.id,
        mask_index=mask[0],
        mask_source=need_batch(state, old.epoch, mask[1]).id,
        attempt=0 if before is None else before.attempt + 1,
        counter=counter,
        eks=eks,
        phase=reshares.DEAL,
        h0=state.block.height,
        t0_ms=0,
        phase_h0=state.block.height,
        phase_t0_ms=0,
        deals=(None,) * old.n,
        tests=((),) * old.n,
        acks=(0,) * new.n,
        sums=(b"",) * new.n,
        before=b"" if before is None else before.rid,
    )
    return replace(made, rid=reshares.params_of(state, made).rid)


def _put(state: State, reshare: b.Reshare) -> None:
    reshares.put(state, reshare)
    nothing = (b"",) * len(reshare.deals)
    state.put(tables.reshare_signed(reshare.rid), b.ReshareSigned(nothing, nothing))
