"""Named places at which a test lets the process die, to prove that a crash there loses nothing.

`AUTHNET_FAIL_AT=name` or `name:3` (the third time) ends the process with exit code 99. Only chains whose
genesis says `dev` listen to it.
"""

from __future__ import annotations

import os
from typing import Final

POINTS: Final = (
    "finalize_begin",
    "finalize_transactions",
    "finalize_end",
    "commit_before_write",
    "commit_after_write",
    "commit_before_reply",
)
RESTORE_POINTS: Final = ("stage_begun", "stage_chunk", "stage_before_finish", "stage_after_finish")
"""While a snapshot is put together. The chain is not known yet, so only a caller in the same process arms them."""


class Faults:
    """Counts down to the chosen point."""

    def __init__(self, wanted: str = "") -> None:
        name, _, times = wanted.partition(":")
        if name and name not in POINTS + RESTORE_POINTS:
            raise ValueError(f"AUTHNET_FAIL_AT: unknown point {name!r}; one of {', '.join(POINTS + RESTORE_POINTS)}")
        self._name = name
        self._left = int(times) if times else 1
        self.armed = False
        """Set once the chain is known to be a development one."""

    def reach(self, name: str) -> None:
        """Die here if this is the chosen point and its time has come."""
        if not self.armed or name != self._name:
            return
        self._left -= 1
        if self._left == 0:
            os._exit(99)
