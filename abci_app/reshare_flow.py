"""How the keys move while one committee hands over to the next: called by handover.py, batch by batch.

A network without keys has nothing to move.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from abci_app import records_handover as rh
from abci_app.events import Event
from abci_app.state import Reader, State


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the keys have moved."""

    batches: int = 0
    batches_done: int = 0
    keys: int = 0
    keys_done: int = 0
    is_settled: bool = True
    """All batches there are have moved, no session is open and no final one lacks keys: nothing more can come."""

    @property
    def is_moved(self) -> bool:
        """Every batch that exists by now has moved; sessions may still be open."""
        return self.batches_done == self.batches


@dataclass(frozen=True, slots=True)
class Moved:
    """What a block did. `failed` names why the hand-over can not be completed, "" while it can."""

    events: list[Event] = field(default_factory=list)
    failed: str = ""


def start_clocks(state: State, handover: rh.Handover) -> None:
    """At the start of each block of a hand-over: phases opened in an earlier block get their t0."""


def advance(state: State, handover: rh.Handover) -> Moved:
    """At the end of each block in the phases resharing and switching, after the sessions have moved.

    May write the hand-over's record (`next_counter`); the caller reads it again.
    """
    return Moved()


def measure(state: Reader, handover: rh.Handover) -> Progress:
    """A function of the state alone, for advance's caller and for queries, in any phase."""
    return Progress()


def cancel(state: State, handover: rh.Handover) -> list[Event]:
    """The hand-over ended without a switch: drop what is under way. May run in the middle of a block."""
    return []


def settle(state: State, handover: rh.Handover) -> list[Event]:
    """The switch: the next committee's batches become the pool's. CURRENT_EPOCH still names the former one."""
    return []
