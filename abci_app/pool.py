"""The pool: generated keys that no account has yet, and which one is next.

A key leaves the pool for good, so each final session's free keys are a few index ranges and taking the lowest
is a look at their heads, whatever the pool's size.
"""

from __future__ import annotations

from msgspec.structs import replace

from abci_app import records as r
from abci_app import tables
from abci_app.state import Reader, State


def get_pool(state: Reader, curve: str) -> r.Pool:
    return state.get(tables.pool(curve)) or r.Pool(curve)


def compute_reserve(params: r.Params, pool: r.Pool) -> int:
    """Free keys kept for logins: look-ups stop here."""
    return min(params.pool_low, pool.made) * params.reserve_percent // 100


def reserve_indices(state: State, session: r.Session) -> r.Session:
    """Give a session that becomes final its key indices."""
    first = state.need(tables.INDICES).next_index
    state.put(tables.INDICES, r.Indices(first + session.count))
    pool = get_pool(state, session.curve)
    state.put(tables.pool(session.curve), replace(pool, reserved_total=pool.reserved_total + session.count))
    state.put_bulk(tables.session_start(first), session.sid)
    return replace(session, first_index=first)


def add_free(state: State, session: r.Session, first: int, count: int) -> None:
    """Keys [first, first + count) of a final session came on chain."""
    pool = get_pool(state, session.curve)
    known = next((batch for batch in pool.batches if batch.sid == session.sid), None)
    spans = _merge((*(known.spans if known else ()), (first, first + count)))
    held = session.holders == (1 << len(session.eks)) - 1
    batch = r.PoolBatch(session.sid, session.epoch, session.first_index, held, spans)
    others = [other for other in pool.batches if other.sid != session.sid]
    batches = tuple(sorted((*others, batch), key=lambda item: item.first_index))
    state.put(tables.pool(session.curve), replace(pool, made=pool.made + count, batches=batches))


def _merge(spans: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and merged[-1][1] == start:
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    return tuple(merged)


def set_held_by_all(state: State, session: r.Session) -> None:
    """From now on this session's keys go first."""
    pool = get_pool(state, session.curve)
    if not any(batch.sid == session.sid for batch in pool.batches):
        return
    batches = tuple(replace(batch, held_by_all=True) if batch.sid == session.sid else batch for batch in pool.batches)
    state.put(tables.pool(session.curve), replace(pool, batches=batches))


def take(state: State, curve: str) -> tuple[int, r.PoolBatch]:
    """Take the lowest free index of a session that all hold, else the lowest. The pool must not be empty."""
    pool = get_pool(state, curve)
    chosen = next((batch for batch in pool.batches if batch.held_by_all), pool.batches[0])
    (index, end), *rest = chosen.spans
    spans = ((index + 1, end), *rest) if index + 1 < end else tuple(rest)
    batches = tuple(
        replace(batch, spans=spans) if batch is chosen else batch
        for batch in pool.batches
        if batch is not chosen or spans
    )
    state.put(tables.pool(curve), replace(pool, assigned=pool.assigned + 1, batches=batches))
    return index, chosen
