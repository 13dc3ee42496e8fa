"""The supervisor of one node: start in order, restart what ends, stop all on SIGTERM, give up when it can not go on.

Single thread, woken by signals; every exit of a child leads to a new start, whatever its code (cometbft ends
with code 0 when its app dies). May touch: the node's run/ and logs/, its own children.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from authnet.supervisor import comet_config, plan, stuck
from authnet.supervisor.children import Child

REFUSALS_TO_GIVE_UP = 3
"""A child that ends with code 2 (configuration) so often in a row will not get better by itself."""
GATE_POLL_S = 0.03
IDLE_POLL_S = 5.0


class Supervisor:
    """Runs one node until SIGTERM."""

    def __init__(
        self,
        node: plan.Node,
        first_env: Mapping[str, Mapping[str, str]],
        programs: Mapping[str, str],
        tether: int | None,
    ) -> None:
        """Raises PlanError for programs that this node may not run."""
        self.node = node
        self._tether = tether
        self.first_env = dict(first_env)
        self.children = plan.children(node, programs)
        self.stopping = False
        self._stuck = stuck.StuckWatch()
        self._look_at = 0.0
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)

    def run(self) -> int:
        """Supervise; the exit code of the whole."""
        signal.set_wakeup_fd(self._wake_write)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_stop)
        failure = ""
        while not self.stopping and not failure:
            changed, failure = self._turn()
            if changed:
                self._write_state()
            if not self.stopping and not failure:
                self._wait()
        if failure:
            _say(failure)
        self._stop_all()
        return 1 if failure else 0

    def _on_stop(self, *_: object) -> None:
        self.stopping = True

    def _turn(self) -> tuple[bool, str]:
        """One look at everything. Returns (whether something changed, why we must give up)."""
        changed = False
        self._end_stuck()
        for child in self.children.values():
            child.insist()
            if (code := child.reap()) is not None:
                changed = True
                _say(f"{child.name} ended with code {code}")
                self._end_partner(child)
                if child.refusals >= REFUSALS_TO_GIVE_UP:
                    return True, f"{child.name} refuses to start; its log says why: {child.log}"
        for child in self.children.values():
            if self._is_due(child):
                try:
                    plan.before_start(child.name, self.node)
                    child.start(self.first_env.pop(child.name, {}))
                except OSError as error:
                    return True, f"{child.name} can not be started: {error}"
                changed = True
                _say(f"{child.name} started, pid {child.pid}")
        return changed, ""

    def _end_stuck(self) -> None:
        """A CometBFT that stands still while its peers go on is started again with its app."""
        now, comet = time.monotonic(), self.children["cometbft"]
        if now < self._look_at or comet.process is None or comet.kill_at:
            return
        self._look_at = now + stuck.EVERY_S
        has_new_peers = comet_config.has_new_peers(self.node.folder)
        sock = self.node.socket("comet.sock")
        is_stuck = self._stuck.is_stuck(now, *stuck.heights(sock), has_new_peers=has_new_peers)
        if is_stuck and (has_new_peers or not stuck.is_syncing(sock)):
            _say("cometbft stands still while its peers go on, or has new peers; it is started again")
            comet.ask_to_end()

    def _end_partner(self, child: Child) -> None:
        if child.name in plan.PAIR:
            for name in plan.PAIR - {child.name}:
                self.children[name].ask_to_end(grace_s=1.5)

    def _is_running(self, name: str) -> bool:
        child = self.children[name]
        return child.process is not None and not child.kill_at

    def _is_due(self, child: Child) -> bool:
        if child.process is not None or time.monotonic() < child.not_before:
            return False
        if child.name == "abci_app" and self.children["cometbft"].process is not None:
            return False
        return plan.may_start(child.name, self.node, self._is_running)

    def _wait(self) -> None:
        """Sleep until a signal; not long while something waits to be started or to be killed."""
        restless = any(child.process is None or child.kill_at for child in self.children.values())
        watched = [self._wake_read] if self._tether is None else [self._wake_read, self._tether]
        ready, _, _ = select.select(watched, [], [], GATE_POLL_S if restless else IDLE_POLL_S)
        if self._tether in ready:
            # Whoever started us is gone: nobody writes into this pipe.
            self.stopping = True
        try:
            os.read(self._wake_read, 4096)
        except BlockingIOError:
            for child in self.children.values():
                child.rotate_log()

    def _stop_all(self) -> None:
        """Everything but abci_app first: cometbft must not see its app go."""
        for child in self.children.values():
            if child.name != "abci_app":
                child.ask_to_end()
        while any(child.process is not None for child in self.children.values()):
            if self.children["cometbft"].process is None:
                self.children["abci_app"].ask_to_end()
            for child in self.children.values():
                child.insist()
                child.reap()
            time.sleep(0.02)
        for names in plan.SOCKETS.values():
            for name in names:
                self.node.socket(name).unlink(missing_ok=True)
        (self.node.folder / "run" / "supervisor.json").unlink(missing_ok=True)

    def _write_state(self) -> None:
        """run/supervisor.json, replaced in one step."""
        path = self.node.folder / "run" / "supervisor.json"
        processes = [
            {"name": child.name, "pid": child.pid, "restarts": max(child.restarts, 0)}
            for child in self.children.values()
        ]
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps({"schema": 1, "pid": os.getpid(), "processes": processes}) + "\n")
        fresh.replace(path)


def run(
    config: Path,
    first_env: Mapping[str, Mapping[str, str]],
    programs: Mapping[str, str],
    tether: int | None = None,
) -> int:
    """Run the node of `config` until SIGTERM, or until the pipe `tether` closes.

    2: it may not start, 1: it could not go on.
    """
    try:
        node = plan.load(config)
    except plan.PlanError as error:
        _say(str(error))
        return 2
    lock = os.open(node.folder / "run" / "supervisor.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        _say(f"another supervisor runs the node in {node.folder}")
        return 2
    try:
        supervisor = Supervisor(node, first_env, programs, tether)
    except plan.PlanError as error:
        _say(str(error))
        return 2
    return supervisor.run()


def _say(text: str) -> None:
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    print(json.dumps({"timestamp": stamp, "process": "supervisor", "event": text}), file=sys.stderr, flush=True)
