"""Dropping what a committee that is no longer in charge left behind, a few batches in each block.

Of a former epoch each batch stays, with its holders; what its session or resharing was judged by goes. Of an epoch that
never came everything goes.
"""

from __future__ import annotations

from msgspec.structs import replace

from abci_app.state import batch_records as b
from abci_app.state import tables
from abci_app.state.state import State

PER_BLOCK = 16


def add(state: State, epoch: int, tiles: int) -> None:
    """Sweep from now on what there is of `epoch`. One that is void has not all batches; `tiles` is one that has."""
    end = state.need(tables.INDICES).next_index
    waiting = (state.get(tables.SWEEPS) or b.Sweeps()).waiting
    if end:
        state.put(tables.SWEEPS, b.Sweeps((*waiting, b.Sweep(epoch, tiles, end, is_void=epoch != tiles))))


def step(state: State) -> None:
    """One block's worth."""
    sweeps = state.get(tables.SWEEPS)
    if sweeps is None:
        return
    sweep, *rest = sweeps.waiting
    cursor = sweep.cursor
    for _ in range(PER_BLOCK):
        if cursor >= sweep.end:
            break
        cursor = _sweep_at(state, sweep, cursor)
    left = (replace(sweep, cursor=cursor), *rest) if cursor < sweep.end else tuple(rest)
    if left:
        state.put(tables.SWEEPS, b.Sweeps(left))
    else:
        state.delete(tables.SWEEPS)


def _sweep_at(state: State, sweep: b.Sweep, first_index: int) -> int:
    """Sweep the batch that starts here; return where the next one does."""
    batch = state.get(tables.batch(sweep.epoch, first_index))
    if batch is not None and sweep.is_void:
        state.delete(tables.batch(sweep.epoch, first_index))
        drop_reshare(state, batch.id)
    elif batch is not None:
        _slim_session(state, batch.id)
        _slim_reshare(state, batch.id)
    return state.need(tables.batch(sweep.tiles, first_index)).end


def _slim_session(state: State, sid: bytes) -> None:
    session = state.get(tables.session(sid))
    if session is None:
        return
    n = len(session.eks)
    slim = replace(
        session,
        deals=(None,) * n,
        acks=(0,) * n,
        opened=(0,) * n,
        finals=(b"",) * n,
        complaints=(),
        fallbacks=(),
    )
    state.put(tables.session(sid), slim)
    if state.get(tables.dealt(sid)) is not None:
        state.delete(tables.dealt(sid))


def _slim_reshare(state: State, rid: bytes) -> None:
    reshare = state.get(tables.reshare(rid))
    if reshare is None:
        return
    drop_reshare(state, reshare.before)
    old, new = len(reshare.deals), len(reshare.eks)
    slim = replace(
        reshare,
        deals=(None,) * old,
        tests=((),) * old,
        acks=(0,) * new,
        sums=(b"",) * new,
        complaints=(),
        before=b"",
    )
    state.put(tables.reshare(rid), slim)
    drop_signed(state, rid)


def drop_reshare(state: State, rid: bytes) -> None:
    """The resharing and the attempts before it: at most `reshare_attempts`."""
    while rid and (reshare := state.get(tables.reshare(rid))) is not None:
        state.delete(tables.reshare(rid))
        drop_signed(state, rid)
        rid = reshare.before


def drop_signed(state: State, rid: bytes) -> None:
    """Nobody complains about this resharing any more."""
    if state.get(tables.reshare_signed(rid)) is not None:
        state.delete(tables.reshare_signed(rid))
