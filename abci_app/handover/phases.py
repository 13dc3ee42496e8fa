"""Names: phases of a hand-over, states of an epoch, outcomes."""

from __future__ import annotations

from typing import Final

ANNOUNCED: Final = "announced"
JOINING: Final = "joining"
RESHARING: Final = "resharing"
SWITCHING: Final = "switching"
"""Every key has moved; the last members of the next committee are awaited."""

NEXT: Final = "next"
SERVING: Final = "serving"
RETIRED: Final = "retired"
ABORTED: Final = "aborted"

SWITCHED: Final = "switched"
REJECTED: Final = "rejected"
TIMED_OUT: Final = "timed-out"
