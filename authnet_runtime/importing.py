"""Importing a large library quickly. Standard library only."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quick_imports() -> Iterator[None]:
    """Import inside the block: the garbage collector rests meanwhile.

    Imports make objects by the ten thousand and next to no garbage, and the collector would walk through all of them
    again and again: a third of a keeper's start. What is there afterwards stays, and is not looked at any more.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
