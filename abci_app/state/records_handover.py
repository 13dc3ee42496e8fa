"""Values of a hand-over's tables. As in records.py: append fields only, with a default; bit (j - 1) for party j."""

from __future__ import annotations

from abci_app.state.records import Record


class ReadyNode(Record, frozen=True):
    """What one incoming member said of its chain. Its service key is in its EncKeys."""

    height: int
    app_hash: bytes


class Handover(Record, frozen=True):
    """The one hand-over under way. Clocks as elsewhere: `*_ms` is the time of the block after `*_height`, 0 before."""

    epoch: int
    """The next one, whose record has status next."""
    from_epoch: int
    record_hash: bytes
    phase: str
    announced_height: int
    announced_ms: int
    notice_ms: int
    phase_height: int
    phase_ms: int
    ready_nodes: tuple[ReadyNode | None, ...]
    """Of the next members, party m at m - 1."""
    rejected: int = 0
    """Of the present members."""
    joining_height: int = 0
    joining_ms: int = 0
    """`handover_max_ms` runs from here."""
    enough_height: int = 0
    enough_ms: int = 0
    """Since when n' - t' of the next members are ready and the rest is awaited."""
    next_counter: int = 0
    """Of the next members' encryption keys: the next resharing takes it, after the switch the next session."""
    frozen: bool = False
    """No START: what is open ends, and its keys move too."""
    notice_from_ms: int = 0
    """Time of the block after the one that announced it."""


class Root(Record, frozen=True):
    """`app_hash` was the root after block `height`, and the block after that changed it."""

    height: int
    app_hash: bytes


class Roots(Record, frozen=True):
    """Roots before the newest one, oldest first, kept while a hand-over is under way."""

    roots: tuple[Root, ...] = ()


class Ended(Record, frozen=True):
    """How a hand-over ended. No text: words are the reader's (present_epochs.py)."""

    epoch: int
    outcome: str
    height: int
    time_ms: int
    phase: str
    """In which it ended."""
    parties: int = 0
    """Present members that rejected it, or next members that were not ready."""
    cause: str = ""
    """Name of what a resharing failed of."""


class EndedList(Record, frozen=True):
    """The last hand-overs, newest first."""

    ended: tuple[Ended, ...] = ()
