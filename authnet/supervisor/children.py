"""One child process: start it tied to us, ask it to end, insist.

A child holds the read end of a pipe whose write end only we have: when we die the pipe closes and the child
ends itself. A stock binary does not know that rule; the kernel kills it for us (PR_SET_PDEATHSIG).
May touch: its own log file, processes it started.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

PR_SET_PDEATHSIG = 1
BACKOFF_FIRST_S = 0.1
BACKOFF_MOST_S = 3.0
HEALTHY_AFTER_S = 10.0
"""A child that lived this long starts again at once."""
LOG_LIMIT = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Program:
    """What to run and how it wants to end."""

    name: str
    argv: tuple[str, ...]
    tethered: bool
    """Whether it understands --supervised-fd."""
    user: str = ""
    grace_s: float = 5.0
    yields: int = 0
    """How much nicer than ourselves it runs: on a busy machine whoever logs in comes before it."""


@dataclass(slots=True)
class Child:
    """A program with its present process, if any."""

    program: Program
    node: Path
    process: subprocess.Popen[bytes] | None = None
    restarts: int = -1
    """Starts after the first one."""
    started: float = 0.0
    not_before: float = 0.0
    kill_at: float = 0.0
    refusals: int = 0
    """Exits with code 2 (configuration) in a row."""
    _pipe: int = -1
    _quick_deaths: int = field(default=0)

    @property
    def name(self) -> str:
        return self.program.name

    @property
    def pid(self) -> int:
        return self.process.pid if self.process else 0

    @property
    def log(self) -> Path:
        return self.node / "logs" / f"{self.name}.log"

    def start(self, extra_env: Mapping[str, str]) -> None:
        """Start it. Raises OSError if the program is not there."""
        env = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"} | dict(extra_env)
        read_end, self._pipe = os.pipe()
        argv = list(self.program.argv)
        if self.program.tethered:
            argv += ["--supervised-fd", str(read_end)]
        options: dict[str, str] = {"user": self.program.user} if self.program.user else {}
        try:
            with self.log.open("ab") as log:
                self.process = subprocess.Popen(
                    argv,
                    cwd=self.node,
                    env=env,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=(read_end,) if self.program.tethered else (),
                    preexec_fn=None if self.program.tethered else _die_with_parent,  # noqa: PLW1509 - no threads here
                    **options,  # type: ignore[call-overload]
                )
        except OSError:
            os.close(self._pipe)
            raise
        finally:
            os.close(read_end)
        with suppress(ProcessLookupError):
            own = os.getpriority(os.PRIO_PROCESS, 0)
            os.setpriority(os.PRIO_PROCESS, self.process.pid, own + self.program.yields)
        self.started, self.kill_at = time.monotonic(), 0.0
        self.restarts += 1

    def reap(self) -> int | None:
        """The exit code if it has ended since it was started, else None."""
        if self.process is None or (code := self.process.poll()) is None:
            return None
        now = time.monotonic()
        asked, self.kill_at = self.kill_at > 0, 0.0
        self.process = None
        os.close(self._pipe)
        self.refusals = self.refusals + 1 if code == 2 else 0
        self._quick_deaths = 0 if asked or now - self.started > HEALTHY_AFTER_S else self._quick_deaths + 1
        wait = BACKOFF_FIRST_S * 2 ** min(self._quick_deaths - 1, 10) if self._quick_deaths else 0.0
        self.not_before = now + min(wait, BACKOFF_MOST_S)
        return code

    def ask_to_end(self, grace_s: float | None = None) -> None:
        """SIGTERM now, SIGKILL when its grace is over (see `insist`). Asking twice changes nothing."""
        if self.process is None or self.kill_at:
            return
        self.kill_at = time.monotonic() + (self.program.grace_s if grace_s is None else grace_s)
        self.process.send_signal(signal.SIGTERM)

    def insist(self) -> None:
        """Kill it if it was asked to end and did not."""
        if self.process is not None and self.kill_at and time.monotonic() > self.kill_at:
            self.process.kill()

    def rotate_log(self, limit: int = LOG_LIMIT) -> None:
        """Keep one older log. Copy and truncate: the child appends to the same open file throughout."""
        try:
            if self.log.stat().st_size < limit:
                return
            self.log.with_suffix(".log.1").write_bytes(self.log.read_bytes())
            os.truncate(self.log, 0)
        except FileNotFoundError:
            return


def _die_with_parent() -> None:
    """Runs in the child between fork and exec."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
