"""What a block tells the world: hints for subscribers, never hashed, never read back."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Event:
    type: str
    attributes: tuple[tuple[str, str], ...]


def event(kind: str, **attributes: str | int) -> Event:
    """An event of `kind`; integers become decimal text."""
    return Event(kind, tuple((name, str(value)) for name, value in attributes.items()))
