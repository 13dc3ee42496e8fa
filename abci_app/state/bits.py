"""Bitmaps of parties: bit (j - 1) stands for party j."""

from __future__ import annotations


def bit(party: int) -> int:
    """The bitmap that holds `party` alone."""
    return 1 << (party - 1)


def parties(bitmap: int) -> tuple[int, ...]:
    """Parties in a bitmap, ascending."""
    return tuple(place + 1 for place in range(bitmap.bit_length()) if bitmap >> place & 1)
