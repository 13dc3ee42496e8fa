"""Named points at which a development keeper ends as if its power had gone: AUTHNET_FAIL_AT=NAME, exit code 77."""

from __future__ import annotations

import os

EXIT_CODE = 77
VARIABLE = "AUTHNET_FAIL_AT"


class FaultPoints:
    """`reach(name)` ends the process at once if this is the point asked for. Inert unless `dev`."""

    def __init__(self, dev: bool) -> None:
        self._point = os.environ.get(VARIABLE, "") if dev else ""

    @property
    def armed(self) -> bool:
        """Whether a point is set, so that steps must not be merged."""
        return bool(self._point)

    def reach(self, name: str) -> None:
        """Pass a point by name."""
        if name == self._point:
            os._exit(EXIT_CODE)
