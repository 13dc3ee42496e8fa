"""Queries about resharings."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import merge

from abci_app.queries import present_batches
from abci_app.queries.parts import Absent, Found, parse_hex, parse_page
from abci_app.reshare.batches import get_batch
from abci_app.state import batch_records as b
from abci_app.state import tables
from abci_app.state.store import Snapshot
from authnet_core.errors import Code
from authnet_core.protocol import views as v

MAX_LISTED = 64
MAX_RETAINED = 500


def find_open(snapshot: Snapshot, arguments: list[str]) -> Found:
    """`/reshares`: those under way, and the first rids of finished ones that some new member still lacks."""
    moving, height = snapshot.get(tables.MOVING), snapshot.meta.height
    rids = () if moving is None else moving.open
    opened = [reshare for rid in rids if (reshare := snapshot.get(tables.reshare(rid))) is not None]
    retained = [batch.id.hex() for batch, _ in zip(_short_batches(snapshot, 0), range(MAX_LISTED), strict=False)]
    view = v.ResharesView(
        open=tuple(present_batches.reshare_view(reshare, height) for reshare in opened), retained=tuple(retained)
    )
    return Found(view, (tables.MOVING.key,))


def find_retained(snapshot: Snapshot, arguments: list[str]) -> Found:
    """`/reshares/retained/{first}/{limit}`: their batches in order, that start at key index `first` or behind it.

    The next page starts behind where the last batch does: both epochs' batches of one range are on one page.
    """
    first, limit = parse_page(arguments, MAX_RETAINED)
    found: list[b.Batch] = []
    for batch in _short_batches(snapshot, first):
        if len(found) >= limit and batch.first_index != found[-1].first_index:
            break
        found.append(batch)
    return Found([present_batches.batch_view(batch) for batch in found])


def _short_batches(snapshot: Snapshot, first: int) -> Iterator[b.Batch]:
    """Batches that some member of the epoch in charge or of the next one could hold and does not, by range."""
    current, moving = snapshot.get(tables.CURRENT_EPOCH), snapshot.get(tables.MOVING)
    epochs = [current.epoch] if current is not None else []
    epochs += [moving.to_epoch] if moving is not None else []
    return merge(*(_short_in(snapshot, epoch, first) for epoch in epochs), key=lambda batch: batch.first_index)


def _short_in(snapshot: Snapshot, epoch: int, first: int) -> Iterator[b.Batch]:
    for start, end in (snapshot.get(tables.short(epoch)) or b.Short()).spans:
        while start < end:
            batch = get_batch(snapshot, epoch, start)
            if batch is None:
                break
            if batch.first_index >= first:
                yield batch
            start = batch.end


def find_reshare(snapshot: Snapshot, arguments: list[str]) -> Found:
    """`/reshare/{rid}`."""
    slot = tables.reshare(parse_hex(arguments[0], 32, "rid"))
    reshare = snapshot.get(slot)
    if reshare is None:
        raise Absent(Code.UNKNOWN_SESSION, "no such resharing", slot.key)
    return Found(present_batches.reshare_view(reshare, snapshot.meta.height), (slot.key,))
