"""Mask keys: kept back from every chunk of KEYS, never assigned, one burnt by each resharing.

A resharing publishes one random combination of all keys of a batch and of a mask; a second one over the same mask
would show more than that, so a mask is burnt when a resharing starts, whatever becomes of it, in every epoch.
A batch's own masks go first: who can deal the batch has them too. Source: docs/protocol/epochs.md.
"""

from __future__ import annotations

from msgspec.structs import replace

from abci_app.sessions.pool import burn_last, count_masks, get_pool
from abci_app.state import batch_records as b
from abci_app.state import tables
from abci_app.state.state import Reader, State

SHARE_OF_CHUNK = 16
"""At most one key of so many is kept back."""


def get_masks(state: Reader, first_index: int) -> b.Masks:
    return state.get(tables.masks(first_index)) or b.Masks()


def is_mask(masks: b.Masks, index: int) -> bool:
    """Whether nobody will be assigned this key of the batch: kept back, or burnt."""
    return index in masks.burnt or any(start <= index < end for start, end in masks.kept)


def set_aside(state: State, batch: b.Batch, first: int, count: int) -> int:
    """Keep the last keys of a chunk [first, first + count) back. Returns how many."""
    kept = min(state.need(tables.PARAMS).mask_reserve, count // SHARE_OF_CHUNK)
    if kept:
        masks, end = get_masks(state, batch.first_index), first + count
        spans = tuple(sorted((*masks.kept, (end - kept, end))))
        state.put(tables.masks(batch.first_index), replace(masks, kept=spans))
        count_masks(state, batch.curve, kept)
    return kept


def has_one(state: State, batch: b.Batch) -> bool:
    """Whether a resharing of `batch` could start now."""
    return bool(get_masks(state, batch.first_index).kept or get_pool(state, batch.curve).batches)


def burn(state: State, batch: b.Batch) -> tuple[int, int]:
    """(index, first index of its batch) of the mask for a resharing of `batch`. There must be one.

    When the batch has none left a free key of the pool serves as well: nobody was ever given it.
    """
    masks = get_masks(state, batch.first_index)
    if not masks.kept:
        found = burn_last(state, batch.curve)
        _note_burnt(state, *found)
        return found
    (index, end), *rest = masks.kept
    spans = ((index + 1, end), *rest) if index + 1 < end else tuple(rest)
    state.put(tables.masks(batch.first_index), replace(masks, kept=spans))
    _note_burnt(state, index, batch.first_index)
    return index, batch.first_index


def _note_burnt(state: State, index: int, first_index: int) -> None:
    masks = get_masks(state, first_index)
    state.put(tables.masks(first_index), replace(masks, burnt=(*masks.burnt, index)))
