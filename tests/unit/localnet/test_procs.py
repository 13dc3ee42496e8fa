"""Only processes that carry a localnet's mark are ever seen, let alone signalled."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from localnet import procs

SLEEP = "import time, sys; print('up', flush=True); time.sleep(60)"
CLOSED = "import ctypes; ctypes.CDLL(None).prctl(4, 0); " + SLEEP
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEP


class Started:
    """Children of the test, killed at its end."""

    def __init__(self) -> None:
        self.all: list[subprocess.Popen[bytes]] = []

    def run(self, code: str, mark: str = "", *words: str) -> subprocess.Popen[bytes]:
        environ = {**os.environ, **({procs.MARK: mark} if mark else {})}
        child = subprocess.Popen([sys.executable, "-c", code, *words], env=environ, stdout=subprocess.PIPE)
        self.all.append(child)
        assert child.stdout is not None
        assert child.stdout.readline() == b"up\n"
        return child


@pytest.fixture
def started() -> Iterator[Started]:
    made = Started()
    yield made
    for child in made.all:
        child.kill()
        child.communicate()


def test_a_mark_is_of_one_folder(started: Started, tmp_path: Path) -> None:
    mine = started.run(SLEEP, str(tmp_path / "a"))
    other = started.run(SLEEP, str(tmp_path / "ab"))
    unmarked = started.run(SLEEP)
    assert procs.marked(tmp_path / "a") == [mine.pid]
    assert not procs.is_marked(other.pid, tmp_path / "a")
    assert not procs.is_marked(unmarked.pid, tmp_path / "a")


def test_ending_touches_the_marked_only_and_insists(started: Started, tmp_path: Path) -> None:
    polite, stubborn = started.run(SLEEP, str(tmp_path)), started.run(STUBBORN, str(tmp_path))
    stranger = started.run(SLEEP)
    killed = procs.end([polite.pid, stubborn.pid, stranger.pid], tmp_path, grace_s=0.3)
    assert killed == [stubborn.pid]
    assert polite.wait(5) == -15
    assert stubborn.wait(5) == -9
    assert stranger.poll() is None


def test_a_zombie_does_not_run(started: Started, tmp_path: Path) -> None:
    child = started.run(SLEEP, str(tmp_path))
    child.kill()
    deadline = time.monotonic() + 5
    while procs.is_marked(child.pid, tmp_path) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert procs.marked(tmp_path) == []


def test_a_process_that_closed_itself_is_known_by_its_command_line(
    started: Started, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper = started.run(CLOSED, str(tmp_path), f"{tmp_path}/node1/node.toml")
    stranger = started.run(CLOSED, "", "/elsewhere/node1/node.toml")
    real = Path.read_bytes

    def closed(path: Path) -> bytes:
        # What anybody but root meets.
        if path.name == "environ":
            raise PermissionError
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", closed)
    assert procs.is_marked(keeper.pid, tmp_path)
    assert not procs.is_marked(stranger.pid, tmp_path)


def test_what_has_ended_has_no_memory_and_no_parent() -> None:
    assert procs.rss_mb(os.getpid()) > 1
    assert procs.parent(os.getpid()) == os.getppid()
    assert procs.rss_mb(2**22 + 1) == 0
    assert procs.parent(2**22 + 1) == 0


def test_a_process_makes_way_for_those_that_are_not_nice(started: Started) -> None:
    child = started.run(SLEEP)
    procs.make_way(child.pid, 3)
    assert os.getpriority(os.PRIO_PROCESS, child.pid) == min(19, os.getpriority(os.PRIO_PROCESS, 0) + 3)
    child.kill()
    child.wait()
    procs.make_way(child.pid, 3)  # gone: nobody to be nice
