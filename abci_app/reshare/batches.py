"""Batches: which keys one committee holds together, from the session that made them through every later epoch.

A batch is made when its session becomes final and keeps its range for good. All batches lie side by side, so one is
found by its first index, and the next one begins where it ends.
Source: docs/protocol/epochs.md.
"""

from __future__ import annotations

from msgspec.structs import replace

from abci_app.state import batch_records as b
from abci_app.state import records as r
from abci_app.state import tables
from abci_app.state.bits import bit
from abci_app.state.state import Reader, State


def get_batch(state: Reader, epoch: int, first_index: int) -> b.Batch | None:
    return state.get(tables.batch(epoch, first_index))


def need_batch(state: State, epoch: int, first_index: int) -> b.Batch:
    return state.need(tables.batch(epoch, first_index))


def all_members(state: State, epoch: int) -> int:
    """Bitmap of an epoch's members."""
    return (1 << state.need(tables.epoch(epoch)).n) - 1


def create(state: State, session: r.Session) -> None:
    """A session became final: its keys are a batch of its epoch from now on."""
    batch = b.Batch(
        epoch=session.epoch,
        id=session.sid,
        curve=session.curve,
        first_index=session.first_index,
        count=session.count,
        root=session.root,
        holders=session.holders,
    )
    state.put(tables.batch(batch.epoch, batch.first_index), batch)
    indices = state.need(tables.INDICES)
    state.put(tables.INDICES, replace(indices, batches=indices.batches + 1))


def bring(state: State, reshare: b.Reshare) -> None:
    """A resharing became final: the next committee has the batch."""
    batch = b.Batch(
        epoch=reshare.to_epoch,
        id=reshare.rid,
        curve=reshare.curve,
        first_index=reshare.first_index,
        count=reshare.count,
        root=reshare.root,
        holders=reshare.holders,
        on_chain=reshare.count,
        source=reshare.source,
    )
    state.put(tables.batch(batch.epoch, batch.first_index), batch)


def add_keys(state: State, epoch: int, first_index: int, count: int) -> b.Batch:
    """KEYS brought `count` keys of the batch."""
    batch = need_batch(state, epoch, first_index)
    batch = replace(batch, on_chain=batch.on_chain + count)
    state.put(tables.batch(epoch, first_index), batch)
    return batch


def add_holder(state: State, epoch: int, first_index: int, member: int) -> None:
    batch = need_batch(state, epoch, first_index)
    state.put(tables.batch(epoch, first_index), replace(batch, holders=batch.holders | bit(member)))
