"""Records of batches of keys and of their resharing. The same rules as in `records.py`: append fields only."""

from __future__ import annotations

from abci_app.state.records import Complaint, Record

Span = tuple[int, int]
"""Key indices [start, end)."""


class Batch(Record, frozen=True):
    """Keys [first_index, first_index + count) as the committee of `epoch` holds them."""

    epoch: int
    id: bytes
    """sid of the session that made them, or rid of the resharing that brought them to this epoch."""
    curve: str
    first_index: int
    count: int
    root: bytes
    holders: int
    on_chain: int = 0
    """Keys of it that KEYS has brought."""
    source: bytes = b""
    """Its id in the epoch before; empty for a session of this epoch."""

    @property
    def end(self) -> int:
        return self.first_index + self.count

    @property
    def is_complete(self) -> bool:
        return self.on_chain == self.count


class Masks(Record, frozen=True):
    """Keys of one batch that nobody will ever be assigned: kept for resharings, and burnt in one."""

    kept: tuple[Span, ...] = ()
    burnt: tuple[int, ...] = ()


class ReshareDeal(Record, frozen=True):
    e: bytes
    pok: bytes
    root: bytes
    height: int


class Reshare(Record, frozen=True):
    """One resharing of one batch. Tuples per dealer have an entry per old member, those per receiver one per new."""

    rid: bytes
    from_epoch: int
    to_epoch: int
    curve: str
    first_index: int
    count: int
    root: bytes
    source: bytes
    mask_index: int
    mask_source: bytes
    attempt: int
    counter: int
    eks: tuple[bytes, ...]
    phase: str
    h0: int
    t0_ms: int
    phase_h0: int
    phase_t0_ms: int
    deals: tuple[ReshareDeal | None, ...]
    tests: tuple[tuple[bytes, ...], ...]
    acks: tuple[int, ...]
    sums: tuple[bytes, ...]
    readies: int = 0
    dealers: tuple[int, ...] = ()
    gamma_seed: bytes = b""
    complaints: tuple[Complaint, ...] = ()
    total: bytes = b""
    """M, once n' - t' say it alike."""
    candidates: tuple[int, ...] = ()
    q: tuple[int, ...] = ()
    blamed: tuple[int, ...] = ()
    """Dealers off the polynomial of constants on which k + t agree."""
    hash: bytes = b""
    holders: int = 0
    final_height: int = 0
    final_ms: int = 0
    before: bytes = b""
    """rid of the attempt before this one, which failed."""


class ReshareSigned(Record, frozen=True):
    """Signed RDEALs and RTESTs by dealer, b"" for none: evidence, kept while somebody may complain."""

    deals: tuple[bytes, ...]
    tests: tuple[bytes, ...]


class ReshareCase(Record, frozen=True):
    """What else a conviction in a resharing is judged by."""

    from_epoch: int
    to_epoch: int
    first_index: int
    count: int
    mask_index: int
    attempt: int
    tests: tuple[bytes, ...]
    """Signed RTESTs: the dealer's, and for a wrong constant those of all dealers that agree."""


class Moving(Record, frozen=True):
    """How far the batches of one hand-over are. Batches lie side by side in [0, next_index): a cursor is enough."""

    from_epoch: int
    to_epoch: int
    cursor: int = 0
    """First index of the next batch that no resharing was started for."""
    open: tuple[bytes, ...] = ()
    again: tuple[bytes, ...] = ()
    """rids that failed and whose batch awaits its next attempt."""
    batches_done: int = 0
    keys_done: int = 0
    waiting_height: int = 0
    waiting_ms: int = 0
    """Since when n' - t' of the next members have an encryption key and the rest is awaited."""
    failure: str = ""
    """Name of what it can not go on for; empty while it can."""


class Short(Record, frozen=True):
    """Runs of batches, as key indices, that some new member could hold and does not yet."""

    spans: tuple[Span, ...] = ()


class Sweep(Record, frozen=True):
    """Batches in [cursor, end) whose bulky records of `epoch` are dropped, a few in each block."""

    epoch: int
    tiles: int
    """An epoch that has all of these batches, to go from one to the next."""
    end: int
    is_void: bool
    """The epoch never came: its batches go altogether."""
    cursor: int = 0


class Sweeps(Record, frozen=True):
    waiting: tuple[Sweep, ...] = ()
