"""Convictions in a resharing: of old dealers whose constant is not their share's, or whose share fails the test."""

from __future__ import annotations

from abci_app import batch_records as b
from abci_app.events import Event
from abci_app.state import State


def convict_liars(state: State, reshare: b.Reshare) -> list[Event]:
    """Dealers off the polynomial of constants on which k + t agree."""
    return []
