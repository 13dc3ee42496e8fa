"""The supervisors of a localnet's nodes: start, kill, stop, and start again what ends by itself.

Each supervisor leads a process group of its own, so that "kill the node" is one signal to all of it at once.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from authnet_core.errors import AuthnetError, Code
from localnet import procs
from localnet.places import Places

PROCESSES = ("p2p_dkg", "epoch_manager", "abci_app", "cometbft", "node_api")
RESTART_AFTER_S = 1.0
YIELDS = 10
"""How much nicer nodes are than who starts them: elsewhere users have machines of their own. A client that waits for
the processor behind a hundred processes finds the network slow that answered long ago."""
LAUNCHER = Path(__file__).resolve().parent / "chaos" / "launcher.py"


@dataclass(slots=True)
class Member:
    """One node: its supervisor, if it should run."""

    index: int
    process: subprocess.Popen[bytes] | None = None
    wanted: bool = False
    programs: dict[str, str] = field(default_factory=dict)
    """What runs in the place of its processes, until it is started anew."""
    pipe: int = -1
    not_before: float = 0.0


class Members:
    """All nodes of a localnet. Used from one thread."""

    def __init__(self, places: Places, environment: dict[str, str]) -> None:
        self._places = places
        self._environment = environment
        self._members = {index: Member(index) for index in places.all_indexes}

    def add(self, index: int) -> None:
        """A node that came later; not started yet."""
        self._members.setdefault(index, Member(index))

    def start(self, index: int, env: list[str] | None = None, programs: dict[str, str] | None = None) -> None:
        """Start a node; `env` (PROC:K=V) holds for the first start of PROC. Raises AuthnetError if it runs.

        `programs`: PROC -> a Python file and its arguments to run in its place, for tests.
        """
        member = self._member(index)
        if member.process is not None and member.process.poll() is None:
            raise AuthnetError(Code.ALREADY_DONE, f"node {index} is running")
        self._release(member)
        folder = self._places.node_dir(index)
        argv = [sys.executable, "-P", "-m", "authnet.supervisor", str(folder / "node.toml")]
        for setting in env or []:
            argv += ["--env", setting]
        member.programs = stand_ins(self._places) | (programs or {})
        for process, program in member.programs.items():
            argv += ["--program", f"{process}={program}"]
        read_end, member.pipe = os.pipe()
        argv += ["--supervised-fd", str(read_end)]
        with (folder / "logs" / "supervisor.log").open("ab") as log:
            member.process = subprocess.Popen(
                argv,
                cwd=folder,
                env=os.environ | self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(read_end,),
                start_new_session=True,
            )
        os.close(read_end)
        procs.make_way(member.process.pid, YIELDS)
        member.wanted = True

    def kill(self, index: int, process: str = "") -> list[int]:
        """kill -9 of a whole node, which stays down, or of one process, which comes back. Returns the pids."""
        member = self._member(index)
        if member.process is None or member.process.poll() is not None:
            raise AuthnetError(Code.UNAVAILABLE, f"node {index} is not running")
        if process:
            return [self._kill_one(member, process)]
        member.wanted = False
        pids = [member.process.pid, *(p["pid"] for p in self.processes(index) if p["pid"])]
        os.killpg(member.process.pid, signal.SIGKILL)
        member.process.wait(10)
        procs.wait_gone(pids, self._places.dir, 5.0)
        self._release(member)
        return pids

    def _kill_one(self, member: Member, process: str) -> int:
        pid = next((int(p["pid"]) for p in self.processes(member.index) if p["name"] == process), 0)
        if process not in PROCESSES:
            raise AuthnetError(Code.BAD_PARAMS, f"a node's processes are {', '.join(PROCESSES)}")
        if not pid or member.process is None or procs.parent(pid) != member.process.pid:
            raise AuthnetError(Code.UNAVAILABLE, f"{process} of node {member.index} is not running")
        os.kill(pid, signal.SIGKILL)
        return pid

    def keep_up(self) -> None:
        """Start again what should run and does not: a supervisor that was killed or gave up."""
        now = time.monotonic()
        for member in list(self._members.values()):
            if not member.wanted or member.process is None or member.process.poll() is None:
                continue
            if not member.not_before:
                member.not_before = now + RESTART_AFTER_S
            elif now > member.not_before:
                member.not_before = 0.0
                # Its children end by themselves when its pipes close; two generations must not overlap.
                if not self._leftovers(member.index):
                    self.start(member.index, programs=member.programs)

    def _leftovers(self, index: int) -> list[int]:
        pids = [int(p["pid"]) for p in self.processes(index) if p["pid"]]
        return [pid for pid in pids if procs.is_marked(pid, self._places.dir)]

    def stop(self, index: int, grace_s: float = 12.0) -> None:
        """End one node in order; it stays down."""
        member = self._member(index)
        member.wanted = False
        self._stop([member], grace_s)

    def stop_all(self, grace_s: float = 12.0) -> None:
        """SIGTERM to every supervisor at once, SIGKILL to the groups that do not end."""
        self._stop(list(self._members.values()), grace_s)

    def _stop(self, members: list[Member], grace_s: float) -> None:
        running = [m for m in members if m.process is not None and m.process.poll() is None]
        for member in running:
            member.wanted = False
            if member.process is not None:
                member.process.terminate()
        deadline = time.monotonic() + grace_s
        for member in running:
            if member.process is None:
                continue
            try:
                member.process.wait(max(0.01, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                with suppress(ProcessLookupError):
                    os.killpg(member.process.pid, signal.SIGKILL)
                member.process.wait(5)
            self._release(member)

    def state(self, index: int) -> str:
        """up, killed (kept down on purpose) or down."""
        member = self._member(index)
        if member.process is not None and member.process.poll() is None:
            return "up"
        return "down" if member.wanted else "killed"

    def processes(self, index: int) -> list[dict[str, Any]]:
        """[{name, pid, restarts}] as the supervisor wrote them."""
        path = self._places.node_dir(index) / "run" / "supervisor.json"
        return read_processes(path)

    def supervisor_pid(self, index: int) -> int:
        member = self._member(index)
        return member.process.pid if member.process is not None and member.process.poll() is None else 0

    def _member(self, index: int) -> Member:
        if index not in self._members:
            raise AuthnetError(Code.BAD_PARAMS, f"there is no node {index}: nodes are 1 to {max(self._members)}")
        return self._members[index]

    @staticmethod
    def _release(member: Member) -> None:
        if member.pipe >= 0:
            os.close(member.pipe)
        member.pipe, member.process = -1, None


def stand_ins(places: Places) -> dict[str, str]:
    """The keeper of a proxied network dials from an address that names its node; see the launcher."""
    return {"p2p_dkg": shlex.quote(str(LAUNCHER))} if places.proxied else {}


def read_processes(path: Path) -> list[dict[str, Any]]:
    """The process list in a supervisor.json; empty while there is none."""
    try:
        found: list[dict[str, Any]] = json.loads(path.read_text())["processes"]
    except (OSError, ValueError, KeyError):
        return []
    return found
