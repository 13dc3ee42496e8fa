"""CPU time and memory of processes, from /proc: what the kernel says, not what a process says of itself."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from localnet.procs import anon_mb, rss_mb

K = TypeVar("K")
_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int) -> float:
    """User and system time of a process and all its threads so far; 0 if it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS


def cpu_of(pids: Iterable[int]) -> float:
    return sum(cpu_s(pid) for pid in pids)


@dataclass(frozen=True)
class Sample:
    """CPU seconds of each watched process at one moment (wall clock, seconds)."""

    at: float
    cpu: Mapping[int, float]


class Watch:
    """Samples processes in a thread while something else runs. `find` names them afresh every second."""

    def __init__(self, find: Callable[[], Iterable[int]], every_s: float = 0.1) -> None:
        self._find, self._every_s = find, every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.samples: list[Sample] = []

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        pids: list[int] = []
        looked = 0.0
        while not self._stop.is_set():
            if time.monotonic() - looked > 1.0:
                pids, looked = list(self._find()), time.monotonic()
            self.samples.append(Sample(time.time(), {pid: cpu_s(pid) for pid in pids}))
            self._stop.wait(self._every_s)

    def between(self, start: float, end: float) -> float:
        """CPU seconds that all watched processes took from `start` to `end`, to the next sample outward."""
        before = [s for s in self.samples if s.at <= start][-1:] or self.samples[:1]
        after = [s for s in self.samples if s.at >= end][:1] or self.samples[-1:]
        if not before or not after:
            return 0.0
        return sum(max(0.0, cpu - before[0].cpu.get(pid, 0.0)) for pid, cpu in after[0].cpu.items() if cpu)


class Peaks:
    """The most memory that any process of each group had, in MB, while something else ran."""

    def __init__(self, find: Callable[[], Mapping[str, Iterable[int]]], every_s: float = 0.25) -> None:
        """`find` names the groups' processes afresh at each look."""
        self._find, self._every_s = find, every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.most: dict[str, float] = {}
        self.most_anon: dict[str, float] = {}

    def __enter__(self) -> Peaks:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            for name, pids in self._find().items():
                for most, measure in ((self.most, rss_mb), (self.most_anon, anon_mb)):
                    most[name] = max(most.get(name, 0.0), *(round(measure(pid), 1) for pid in pids))


class Shares:
    """How the CPU time of a stretch divides between named groups of processes."""

    def __init__(self, groups: Mapping[str, Iterable[int]]) -> None:
        self._groups = {name: list(pids) for name, pids in groups.items()}
        self._began = time.monotonic()
        self._before = {name: cpu_of(pids) for name, pids in self._groups.items()}

    def stop(self) -> dict[str, float]:
        """Cores taken by each group since the start."""
        took = time.monotonic() - self._began
        return {name: (cpu_of(pids) - self._before[name]) / took for name, pids in self._groups.items()}
