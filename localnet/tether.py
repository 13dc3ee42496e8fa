"""`python -m localnet.tether PROGRAM ARG...`: become PROGRAM, and be killed when the parent dies."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(argv: list[str]) -> None:
    """Never returns: it is PROGRAM from here on."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    os.execv(argv[0], argv)  # noqa: S606 - no shell wanted


if __name__ == "__main__":
    main(sys.argv[1:])
