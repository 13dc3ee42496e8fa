"""The pool: generated keys that no account has yet, and which one is next.

A key leaves the pool for good, so each batch's free keys are a few index ranges and taking the lowest is a look at
their heads, whatever the pool's size.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from abci_app.state import batch_records as b
from abci_app.state import records as r
from abci_app.state import tables
from abci_app.state.state import Reader, State

FORMER_WRITES_MS: Final = 10_000
"""So long after the next committee began to serve the former one's last logins may still be assigned keys."""


def get_pool(state: Reader, curve: str) -> r.Pool:
    return state.get(tables.pool(curve)) or r.Pool(curve)


def compute_reserve(params: r.Params, pool: r.Pool) -> int:
    """Free keys kept for logins: look-ups stop here."""
    return min(params.pool_low, pool.made) * params.reserve_percent // 100


def reserve_indices(state: State, session: r.Session) -> r.Session:
    """Give a session that becomes final its key indices."""
    indices = state.need(tables.INDICES)
    first = indices.next_index
    state.put(tables.INDICES, replace(indices, next_index=first + session.count))
    pool = get_pool(state, session.curve)
    state.put(tables.pool(session.curve), replace(pool, reserved_total=pool.reserved_total + session.count))
    state.put_bulk(tables.session_start(first), session.sid)
    return replace(session, first_index=first)


def add_free(state: State, batch: b.Batch, held_by_all: bool, first: int, count: int, kept: int) -> None:
    """Keys [first, first + count) of a batch came on chain; the last `kept` of them are masks, no one's."""
    pool = get_pool(state, batch.curve)
    known = next((other for other in pool.batches if other.first_index == batch.first_index), None)
    spans = _merge((*(known.spans if known else ()), (first, first + count - kept)))
    free = r.PoolBatch(batch.id, batch.epoch, batch.first_index, held_by_all, spans)
    others = [other for other in pool.batches if other.first_index != batch.first_index]
    batches = tuple(sorted((*others, free), key=lambda item: item.first_index))
    state.put(tables.pool(batch.curve), replace(pool, made=pool.made + count, batches=batches))


def _merge(spans: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and merged[-1][1] == start:
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    return tuple(merged)


def count_masks(state: State, curve: str, count: int) -> None:
    """So many keys on chain are no one's, for good."""
    pool = get_pool(state, curve)
    state.put(tables.pool(curve), replace(pool, masked=pool.masked + count))


def burn_last(state: State, curve: str) -> tuple[int, int]:
    """Take the key that would be assigned last out of the pool, which must not be empty: (index, first index of its
    batch)."""
    pool = get_pool(state, curve)
    chosen = next((batch for batch in reversed(pool.batches) if batch.held_by_all), pool.batches[-1])
    *rest, (start, end) = chosen.spans
    spans = (*rest, (start, end - 1)) if start < end - 1 else tuple(rest)
    batches = _with_spans(pool, chosen, spans)
    state.put(tables.pool(curve), replace(pool, masked=pool.masked + 1, batches=batches))
    return end - 1, chosen.first_index


def set_held_by_all(state: State, curve: str, first_index: int) -> None:
    """From now on this batch's keys go first."""
    pool = get_pool(state, curve)
    if not any(batch.first_index == first_index for batch in pool.batches):
        return
    batches = tuple(
        replace(batch, held_by_all=True) if batch.first_index == first_index else batch for batch in pool.batches
    )
    state.put(tables.pool(curve), replace(pool, batches=batches))


def take(state: State, curve: str) -> tuple[int, r.PoolBatch]:
    """Take the lowest free index of a batch that all hold, else the lowest. The pool must not be empty."""
    pool = get_pool(state, curve)
    offered = _offered(state, pool)
    chosen = next((batch for batch in offered if batch.held_by_all), offered[0])
    (index, end), *rest = chosen.spans
    spans = ((index + 1, end), *rest) if index + 1 < end else tuple(rest)
    batches = _with_spans(pool, chosen, spans)
    state.put(tables.pool(curve), replace(pool, assigned=pool.assigned + 1, batches=batches))
    return index, chosen


def _with_spans(pool: r.Pool, chosen: r.PoolBatch, spans: tuple[tuple[int, int], ...]) -> tuple[r.PoolBatch, ...]:
    return tuple(
        replace(batch, spans=spans) if batch is chosen else batch
        for batch in pool.batches
        if batch is not chosen or spans
    )


def _offered(state: State, pool: r.Pool) -> tuple[r.PoolBatch, ...]:
    """While the former committee still serves logins, keys that it holds too go first."""
    epoch = state.get(tables.CURRENT_EPOCH)
    serving = None if epoch is None else state.get(tables.epoch(epoch.epoch))
    if serving is None or state.block.time_ms >= serving.serving_from_ms + FORMER_WRITES_MS:
        return pool.batches
    return tuple(batch for batch in pool.batches if batch.moved) or pool.batches


def hand_over(state: State, curve: str, to_epoch: int) -> None:
    """The switch: every free key belongs to the next committee's batch of the same range."""
    pool = get_pool(state, curve)
    everyone = (1 << state.need(tables.epoch(to_epoch)).n) - 1
    found = [(old, state.need(tables.batch(to_epoch, old.first_index))) for old in pool.batches]
    batches = tuple(
        r.PoolBatch(new.id, to_epoch, new.first_index, new.holders == everyone, old.spans, moved=True)
        for old, new in found
    )
    state.put(tables.pool(curve), replace(pool, batches=batches))
