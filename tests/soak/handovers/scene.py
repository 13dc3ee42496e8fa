"""A network that changes its committee, seen and struck from outside: any living node answers, any process may die."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.views import EpochView, StatusView
from authnet_runtime.rpc_once import call_once, query_once
from localnet.members import read_processes
from localnet.places import Places, load
from localnet.stages import is_open
from tests.e2e.net import Net, wait_for
from tests.soak.handovers.plan import NODE

V = TypeVar("V")
BACK_S = 60.0
NEAR = 3
"""Blocks that a node which is back may be behind the others."""
_ASK_S = 2.0
SOCKETS = {"p2p_dkg": ("ops.sock", "status"), "epoch_manager": ("epoch.sock", "status")}
_SILENT = (Code.UNAVAILABLE, Code.TIMEOUT)


@dataclass
class Scene:
    """One localnet. Node indexes are the localnet's, which go on counting."""

    net: Net
    slowest_return_s: float = 0.0
    _witness: int = field(default=1, init=False)

    @property
    def places(self) -> Places:
        """As localnet.json is now."""
        found = load(self.net.dir)
        assert found is not None
        return found

    def ask(self, path: str, kind: type[V], avoid: int = 0) -> V | None:
        """The view at `path` at a living node other than `avoid`, None if it is absent. The same node is asked as long
        as it answers, so that what is seen does not go back."""
        end = time.monotonic() + BACK_S
        while time.monotonic() < end:
            indexes = [index for index in self.places.indexes if index != avoid]
            for index in sorted(indexes, key=lambda index: index != self._witness):
                try:
                    value = query_once(self._run(index) / "read.sock", path, _ASK_S)
                except AuthnetError as refusal:
                    if refusal.code is Code.NOT_FOUND:
                        return None
                    if refusal.code not in _SILENT:
                        raise
                    continue
                self._witness = index
                return msgspec.convert(value, kind, str_keys=True)
        raise AssertionError(f"no node has answered for {BACK_S:g} s")

    def need(self, path: str, kind: type[V], avoid: int = 0) -> V:
        found = self.ask(path, kind, avoid)
        assert found is not None, f"the chain has no {path}"
        return found

    def strike(self, victim: int, kind: str) -> bool:
        """kill -9 and wait until it is back. False if the process does not run now."""
        before = self._living(victim)
        if not before or (kind != NODE and kind not in before):
            return False
        if self._witness == victim:
            self._witness = 0
        had_chain = self.height(victim) > 0
        try:
            self._daemon("kill", {"node": victim} | ({} if kind == NODE else {"process": kind}))
        except AuthnetError as refusal:
            if refusal.code is not Code.UNAVAILABLE:
                raise
            return False
        began = time.monotonic()
        if kind == NODE:
            self._daemon("start", {"node": victim})
        struck = before if kind == NODE else {kind: before[kind]}

        def is_back() -> bool:
            return self._is_back(victim, struck, set(before), had_chain=had_chain)

        wait_for(f"{kind} of node {victim} to come back", BACK_S, is_back)
        self.slowest_return_s = max(self.slowest_return_s, time.monotonic() - began)
        return True

    def kill(self, victim: int) -> None:
        """kill -9 of a whole node, which stays down."""
        self._daemon("kill", {"node": victim})

    def start(self, victim: int) -> None:
        self._daemon("start", {"node": victim})

    def serving(self, avoid: int = 0) -> EpochView:
        return self.need("/epoch/serving", EpochView, avoid)

    def now_ms(self, avoid: int = 0) -> int:
        """Time of the newest block."""
        return self.need("/status", StatusView, avoid).time_ms

    def _is_back(self, victim: int, struck: dict[str, int], expected: set[str], *, had_chain: bool) -> bool:
        places = self.places
        if victim in places.retired:
            return True  # it had nothing left to do, and was stopped
        living = self._living(victim)
        if any(living.get(name) in (None, pid) for name, pid in struck.items()) or not expected <= living.keys():
            return False
        if not all(self._speaks(victim, name) for name in expected):
            return False
        if had_chain and self.height(victim) < self.need("/status", StatusView, victim).height - NEAR:
            return False
        if victim in places.committee(self.serving(victim).epoch):
            return is_open(places, victim)
        return True

    def _speaks(self, index: int, process: str) -> bool:
        """Whether a process answers at its own socket."""
        if process not in SOCKETS:
            return True
        sock, method = SOCKETS[process]
        try:
            call_once(self._run(index) / sock, method, timeout=_ASK_S)
        except AuthnetError:
            return False
        return True

    def _living(self, index: int) -> dict[str, int]:
        """Process -> pid."""
        listed = read_processes(self._run(index) / "supervisor.json")
        return {str(p["name"]): int(p["pid"]) for p in listed if p["pid"] and _lives(int(p["pid"]))}

    def height(self, index: int) -> int:
        """Of a node's own chain, 0 while it does not answer."""
        try:
            return int(query_once(self._run(index) / "read.sock", "/status", _ASK_S)["height"])
        except AuthnetError:
            return 0

    def _run(self, index: int) -> Path:
        return self.net.dir / f"node{index}" / "run"

    def _daemon(self, method: str, params: dict[str, Any]) -> Any:
        return call_once(self.net.dir / "run" / "daemon.sock", method, params, 60)


def _lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return False
    return state != "Z"
