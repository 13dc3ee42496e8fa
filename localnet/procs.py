"""What /proc says about processes of this machine: memory, parents, and which belong to a localnet.

Every process of a localnet inherits AUTHNET_LOCALNET=<folder>; nothing without this mark is ever signalled.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

MARK = "AUTHNET_LOCALNET"
_PROC = Path("/proc")


def marked(folder: Path) -> list[int]:
    """Running processes of the localnet in `folder`, this one left out."""
    pids = (int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit())
    return [pid for pid in pids if pid != os.getpid() and is_marked(pid, folder)]


def is_marked(pid: int, folder: Path) -> bool:
    """Whether `pid` is a running process of the localnet in `folder`."""
    try:
        environ = (_PROC / str(pid) / "environ").read_bytes()
    except PermissionError:
        return _is_closed_member(pid, folder)
    except OSError:
        return False
    return f"{MARK}={folder}".encode() in environ.split(b"\0") and not _is_zombie(pid)


def _is_closed_member(pid: int, folder: Path) -> bool:
    """A keeper lets nobody read its memory or environment; its command line names its node."""
    try:
        words = (_PROC / str(pid) / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    is_ours = _status_number(pid, "Uid:") == os.getuid()
    return is_ours and any(word.startswith(f"{folder}/node".encode()) for word in words) and not _is_zombie(pid)


def rss_mb(pid: int) -> float:
    """Resident memory in MB, 0 if it has ended."""
    return _status_number(pid, "VmRSS:") / 1024


def anon_mb(pid: int) -> float:
    """Of these what is its own: without pages of files (code, tables of a database) that the kernel may drop."""
    return _status_number(pid, "RssAnon:") / 1024


def make_way(pid: int, steps: int) -> None:
    """Let a process that was just started, and what it will start, be so much nicer than this one."""
    with suppress(ProcessLookupError):
        os.setpriority(os.PRIO_PROCESS, pid, os.getpriority(os.PRIO_PROCESS, 0) + steps)


def parent(pid: int) -> int:
    """The parent's pid, 0 if it has ended."""
    return _status_number(pid, "PPid:")


def end(pids: Iterable[int], folder: Path, grace_s: float) -> list[int]:
    """SIGTERM, then SIGKILL after `grace_s`; returns those that had to be killed."""
    waiting = [pid for pid in pids if is_marked(pid, folder)]
    for pid in waiting:
        _signal(pid, signal.SIGTERM)
    waiting = wait_gone(waiting, folder, grace_s)
    for pid in waiting:
        _signal(pid, signal.SIGKILL)
    wait_gone(waiting, folder, 5.0)
    return waiting


def wait_gone(pids: Iterable[int], folder: Path, timeout_s: float) -> list[int]:
    """Wait until all have ended; returns those that have not."""
    deadline = time.monotonic() + timeout_s
    left = list(pids)
    while (left := [pid for pid in left if is_marked(pid, folder)]) and time.monotonic() < deadline:
        time.sleep(0.02)
    return left


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _is_zombie(pid: int) -> bool:
    try:
        return "\nState:\tZ" in (_PROC / str(pid) / "status").read_text()
    except OSError:
        return True


def _status_number(pid: int, field: str) -> int:
    try:
        lines = (_PROC / str(pid) / "status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(field)), 0)
