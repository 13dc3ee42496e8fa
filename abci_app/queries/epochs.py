"""Queries about epochs and the hand-over between them."""

from __future__ import annotations

from abci_app.queries import present_epochs as present
from abci_app.queries.parts import Absent, Found, parse_number
from abci_app.queries.present import enckeys_view
from abci_app.rules.members import get_current_epoch
from abci_app.state import records as r
from abci_app.state import records_handover as rh
from abci_app.state import tables
from abci_app.state.store import Snapshot
from authnet_core.errors import Code


def find_epoch(snapshot: Snapshot, arguments: list[str]) -> Found:
    """`/epoch/{n}`, `/epoch/current`, `/epoch/serving` and `/epoch/next`."""
    if arguments[0] == "serving":
        return _find_serving(snapshot)
    if arguments[0] == "next":
        return _find_next(snapshot)
    number = _current_number(snapshot) if arguments[0] == "current" else parse_number(arguments[0], "epoch")
    epoch = _need(snapshot, number)
    return Found(present.epoch_view(snapshot, epoch), (tables.CURRENT_EPOCH.key, tables.epoch(number).key))


def _current_number(snapshot: Snapshot) -> int:
    current = snapshot.get(tables.CURRENT_EPOCH)
    if current is None:
        raise Absent(Code.NOT_FOUND, "no epoch has been observed yet", tables.CURRENT_EPOCH.key)
    return current.epoch


def _need(snapshot: Snapshot, number: int) -> r.Epoch:
    slot = tables.epoch(number)
    epoch = snapshot.get(slot)
    if epoch is None:
        raise Absent(Code.NOT_FOUND, f"epoch {number} is unknown", slot.key)
    return epoch


def _find_serving(snapshot: Snapshot) -> Found:
    """The committee whose [A_e, A_{e+1}) holds the newest block's time."""
    epoch = _need(snapshot, _current_number(snapshot))
    keys = [tables.CURRENT_EPOCH.key, tables.epoch(epoch.epoch).key]
    while epoch.previous and snapshot.meta.time_ms < epoch.serving_from_ms:
        epoch = _need(snapshot, epoch.previous)
        keys.append(tables.epoch(epoch.epoch).key)
    return Found(present.epoch_view(snapshot, epoch), tuple(keys))


def _find_next(snapshot: Snapshot) -> Found:
    """The committee that a hand-over under way leads to."""
    handover = snapshot.get(tables.HANDOVER)
    if handover is None:
        raise Absent(Code.NOT_FOUND, "no epoch is to take over", tables.HANDOVER.key)
    epoch = _need(snapshot, handover.epoch)
    return Found(present.epoch_view(snapshot, epoch), (tables.HANDOVER.key, tables.epoch(epoch.epoch).key))


def find_enckeys(snapshot: Snapshot, arguments: list[str]) -> Found:
    """`/enckeys` of the epoch in charge, `/enckeys/{n}` of that one or the next."""
    epoch = _need(snapshot, parse_number(arguments[0], "epoch") if arguments else _current_number(snapshot))
    return Found(enckeys_view(snapshot, epoch))


def find_handover(snapshot: Snapshot, arguments: list[str]) -> Found:
    """`/handover`: the one under way."""
    handover, current = snapshot.get(tables.HANDOVER), get_current_epoch(snapshot)
    if handover is None or current is None:
        raise Absent(Code.NOT_FOUND, "no hand-over is under way", tables.HANDOVER.key)
    epoch = _need(snapshot, handover.epoch)
    return Found(present.handover_view(snapshot, handover, epoch), (tables.HANDOVER.key, tables.epoch(epoch.epoch).key))


def find_ended(snapshot: Snapshot, arguments: list[str]) -> Found:
    """`/handovers`: how the last ones ended, newest first."""
    ended = (snapshot.get(tables.ENDED_HANDOVERS) or rh.EndedList()).ended
    return Found([present.ended_view(item) for item in ended], (tables.ENDED_HANDOVERS.key,))
