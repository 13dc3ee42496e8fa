"""Carries faults out on the processes of a localnet and takes them back. Blocking; needs no privilege.

Touches only processes that this localnet's supervisors list, its proxies, its daemon and its anvil. Healing what is
whole is harmless, so that an interrupted run can always be cleaned up.
"""

from __future__ import annotations

import json
import os
import resource
import shlex
import signal
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from authnet_core.errors import AuthnetError, Code
from authnet_runtime.rpc_once import call_once
from localnet import ethereum, stages
from localnet.chaos.launcher import set_clock
from localnet.chaos.schedule import Fault, Kind
from localnet.discovery import ask_chain
from localnet.members import read_processes
from localnet.places import Places

ON_DISK = ("p2p_dkg", "abci_app", "cometbft")
"""Processes that a disk holds up, and that a full one ends."""
STOPPED_S, RUNNING_S = 0.15, 0.05
"""A slow disk: three quarters of the time nothing goes on."""
LIMIT_EVERY_S = 0.1
LIAR_S = 60.0
HAND_OVER_S = 90.0
REORG_DEPTH = 2
"""A block of the local Ethereum chain is final two blocks later."""


class Actions:
    """Faults on one network."""

    def __init__(self, places: Places, liar: Path | None = None) -> None:
        self._places, self._liar = places, liar
        self._isolated: set[int] = set()
        self._delays: dict[int, int] = {}
        self._pulses: dict[Fault, _Pulses] = {}
        self.announced = 0
        """The epoch of the hand-over that was begun last."""

    def apply(self, fault: Fault) -> None:
        """Make it happen. Raises AuthnetError or OSError when that is not possible."""
        match fault.kind:
            case Kind.KILL_PROCESS:
                self.ask("kill", node=fault.node, process=fault.what)
            case Kind.KILL_NODE:
                self.ask("kill", node=fault.node)
            case Kind.STOP_PROCESS:
                _signal(self._pids(fault.node, (fault.what,)), signal.SIGSTOP)
            case Kind.STOP_NODE:
                _signal(self._all_pids(fault.node), signal.SIGSTOP)
            case Kind.SLOW_DISK:
                self._start_pulses(fault, self._hold_up)
            case Kind.DISK_FULL:
                self._start_pulses(fault, self._fill_disk)
            case Kind.LIAR:
                self._start_liar(fault)
            case Kind.CLOCK:
                set_clock(self._places.node_dir(fault.node), float(fault.what))
            case Kind.ISOLATE | Kind.DELAY:
                self._change_links(fault, broken=True)
            case _:
                self._apply_outside(fault.kind)

    def _apply_outside(self, kind: Kind) -> None:
        match kind:
            case Kind.JWKS_ROTATION:
                self.ask("rotate_keys")
            case Kind.JWKS_OUTAGE:
                self.ask("provider", out=True)
            case Kind.ETH_RESTART:
                self.ask("ethereum_kill")
            case Kind.ETH_REORG:
                ethereum.call(self._places.eth_rpc, "anvil_reorg", REORG_DEPTH, [])
            case Kind.HAND_OVER:
                self._hand_over()

    def heal(self, fault: Fault) -> None:
        """Take it back; what ends by itself needs nothing."""
        match fault.kind:
            case Kind.KILL_NODE:
                self._start(fault.node)
            case Kind.LIAR:
                self.ask("kill", node=fault.node)
                self._start(fault.node)
            case Kind.STOP_PROCESS | Kind.STOP_NODE:
                _signal(self._all_pids(fault.node), signal.SIGCONT)
            case Kind.SLOW_DISK | Kind.DISK_FULL:
                if (pulses := self._pulses.pop(fault, None)) is not None:
                    pulses.end()
            case Kind.CLOCK:
                set_clock(self._places.node_dir(fault.node), 0.0)
            case Kind.ISOLATE | Kind.DELAY:
                self._change_links(fault, broken=False)
            case Kind.JWKS_OUTAGE:
                self.ask("provider", out=False)

    def ask(self, method: str, **params: Any) -> Any:
        """A call to the localnet's daemon. Raises AuthnetError."""
        return call_once(self._places.daemon_sock, method, params, timeout=30.0)

    # ---- nodes

    def _start(self, node: int) -> None:
        try:
            self.ask("start", node=node)
        except AuthnetError as refusal:
            if refusal.code is not Code.ALREADY_DONE:
                raise

    def _start_liar(self, fault: Fault) -> None:
        if self._liar is None:
            raise AuthnetError(Code.BAD_PARAMS, "there is no program that lies")
        self.ask("kill", node=fault.node)
        program = shlex.join([str(self._liar), fault.what])
        self.ask("start", node=fault.node, programs={"p2p_dkg": program})
        # A liar that is still starting harms nobody: what follows is counted from when it serves.
        deadline = time.monotonic() + LIAR_S
        while not stages.is_open(self._places, fault.node) and time.monotonic() < deadline:
            time.sleep(LIMIT_EVERY_S)

    def _hand_over(self) -> None:
        """To the same nodes. Until all have registered nothing can be harmed that the chain knows of."""
        self.announced = int(call_once(self._places.daemon_sock, "rotate", {"refresh": True}, HAND_OVER_S)["epoch"])
        deadline = time.monotonic() + HAND_OVER_S
        while ask_chain(self._places, "/epoch/current")["epoch"] < self.announced and self._is_unknown():
            if time.monotonic() > deadline:
                raise AuthnetError(Code.TIMEOUT, f"the chain knows nothing of epoch {self.announced}")
            time.sleep(LIMIT_EVERY_S)

    def _is_unknown(self) -> bool:
        try:
            ask_chain(self._places, "/handover")
        except AuthnetError as absent:
            return absent.code is Code.NOT_FOUND
        return False

    def _pids(self, node: int, names: Iterable[str]) -> list[int]:
        listed = read_processes(self._places.node_dir(node) / "run" / "supervisor.json")
        return [int(p["pid"]) for p in listed if p["name"] in names and p["pid"]]

    def _all_pids(self, node: int) -> list[int]:
        """The supervisor first: it must not take its children's silence for an end."""
        path = self._places.node_dir(node) / "run" / "supervisor.json"
        try:
            found = json.loads(path.read_text())
        except (OSError, ValueError):
            return []
        return [int(found["pid"]), *(int(p["pid"]) for p in found["processes"] if p["pid"])]

    # ---- disks

    def _start_pulses(self, fault: Fault, beat: Callable[[int, bool], float]) -> None:
        self._pulses[fault] = _Pulses(lambda on: beat(fault.node, on))

    def _hold_up(self, node: int, on: bool) -> float:
        """Stop and continue: as if every write waited."""
        pids = self._pids(node, ON_DISK)
        if on:
            _signal(pids, signal.SIGSTOP)
            time.sleep(STOPPED_S)
        _signal(pids, signal.SIGCONT)
        return RUNNING_S

    def _fill_disk(self, node: int, on: bool) -> float:
        """No file of these processes may grow, also after a restart."""
        for pid in self._pids(node, ON_DISK):
            with suppress(OSError):
                _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (0 if on else hard, hard))
        return LIMIT_EVERY_S

    # ---- links

    def _change_links(self, fault: Fault, *, broken: bool) -> None:
        if fault.kind is Kind.DELAY:
            self._delays.pop(fault.node, None)
            self._delays |= {fault.node: int(fault.what)} if broken else {}
        else:
            self._isolated.discard(fault.node)
            self._isolated |= {fault.node} if broken else set()
        everybody = self._places.indexes
        cut = [[i, j] for i in self._isolated for j in everybody if i != j]
        delay = [[i, j, ms] for i, ms in self._delays.items() for j in everybody if i != j]
        call_once(self._places.links_sock, "set", {"cut": cut, "delay": delay}, timeout=10.0)


class _Pulses:
    """Does something again and again in a thread, and the opposite once at the end."""

    def __init__(self, beat: Callable[[bool], float]) -> None:
        self._beat = beat
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        pause = 0.0
        while not self._over.wait(pause):
            pause = self._beat(True)

    def end(self) -> None:
        self._over.set()
        self._thread.join()
        self._beat(False)


def _signal(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
