"""Handing a localnet over to another committee: new nodes, the owner's announcement, and the end of those that left.

The nodes do the rest by themselves. Used by the daemon from one thread; `begin` blocks for a second or two.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import Any

from authnet_core.crypto.hashing import keccak256
from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.committee import SUPPORTED_SIZES
from authnet_runtime.rpc_once import call_once
from localnet import ethereum, folders, lifecycle
from localnet.discovery import ask_chain
from localnet.members import Members
from localnet.places import PORT_CEILING, Places

LAST_EPOCH = "0x" + keccak256(b"lastEpoch()").hex()[:8]
ANNOUNCE_LIMIT_S = 90.0
LINGER_S = 20.0
"""Nodes of an epoch that was called off erase what they had; then they are stopped."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked of a rotation. `nodes` 0: as many as now; `overlap`: how many of the present ones stay."""

    nodes: int = 0
    overlap: int = 0
    refresh: bool = False
    notice_s: int = 0
    keep_old: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """Who follows whom: node indexes in party order. New nodes come first, so that who stays gets another party."""

    epoch: int
    present: tuple[int, ...]
    fresh: tuple[int, ...]
    stay: tuple[int, ...]

    @property
    def nodes(self) -> tuple[int, ...]:
        return (*self.fresh, *self.stay)


def draw_up(wish: Wish, epoch: int, present: tuple[int, ...], newest: int) -> Plan:
    """The plan for `epoch`; `newest` is the highest node index so far. Raises AuthnetError(BAD_PARAMS)."""
    if wish.refresh:
        if wish.overlap or wish.nodes not in (0, len(present)):
            raise AuthnetError(Code.BAD_PARAMS, "--refresh: the same nodes stay; leave --nodes and --overlap out")
        return Plan(epoch, present, (), present)
    size = wish.nodes or len(present)
    if size not in SUPPORTED_SIZES:
        raise AuthnetError(Code.BAD_PARAMS, f"--nodes: a committee has {', '.join(map(str, SUPPORTED_SIZES))} nodes")
    if not 0 <= wish.overlap <= min(size, len(present)):
        raise AuthnetError(Code.BAD_PARAMS, f"--overlap: 0 to {min(size, len(present))} of the present nodes can stay")
    stay = present[len(present) - wish.overlap :]
    fresh = tuple(range(newest + 1, newest + 1 + size - wish.overlap))
    return Plan(epoch, present, fresh, stay)


@dataclass(slots=True)
class Rotations:
    """The hand-overs of one localnet."""

    places: Places
    members: Members
    environment: dict[str, str]
    keeps: set[int] = field(default_factory=set)
    """Epochs whose former nodes are left running (`--keep-old`)."""
    _gone_since: dict[int, float] = field(default_factory=dict)

    def begin(self, wish: Wish) -> dict[str, Any]:
        """Make and start the new nodes and announce the epoch. Raises AuthnetError; then nothing was announced."""
        places = self.places
        if self._ask("/handover") is not None:
            raise AuthnetError(Code.BUSY, "a hand-over is under way; wait for its end or call it off")
        current = ask_chain(places, "/epoch/current")["epoch"]
        present = places.committee(current)
        if not present:
            raise AuthnetError(Code.INTERNAL, f"localnet.json does not name the nodes of epoch {current}")
        plan = draw_up(wish, self._next_epoch(), present, places.all_indexes[-1])
        self._make(plan)
        if wish.keep_old:
            self.keeps.add(current)
        for index in plan.fresh:
            self.members.add(index)
            self.members.start(index)
        self._announce(plan, wish.notice_s)
        return {
            "epoch": plan.epoch,
            "from_epoch": current,
            "nodes": list(plan.nodes),
            "new": list(plan.fresh),
            "stayed": list(plan.stay),
            "left": [index for index in plan.present if index not in plan.nodes],
        }

    def abort(self, epoch: int) -> dict[str, Any]:
        """The owner calls the newest epoch off."""
        self._as_owner("abort", str(epoch))
        return {"epoch": epoch}

    def retire(self) -> list[int]:
        """Stop the nodes that are no longer needed; returns them. Called now and then; blocking."""
        views = {epoch: self._ask(f"/epoch/{epoch}") for epoch in (1, *self.places.committees)}
        ended = [i for i in self.places.indexes if self.members.state(i) == "up" and self._is_done(i, views)]
        for index in ended:
            self.members.stop(index)
        if ended:
            self.places.retired.update(ended)
            self.places.save()
        return ended

    def _is_done(self, index: int, views: dict[int, Any]) -> bool:
        """Whether a node has no part in any epoch any more: it erased what it had of former ones."""
        epochs = [epoch for epoch in views if index in self.places.committee(epoch)]
        if self.keeps & set(epochs):
            return False
        return all(self._is_over(views[epoch], self.places.committee(epoch).index(index) + 1) for epoch in epochs)

    def _is_over(self, view: dict[str, Any] | None, party: int) -> bool:
        if view is None:
            return False
        if view["status"] == "retired":
            return party in view["erased"]
        if view["status"] != "aborted":
            return False
        return time.monotonic() - self._gone_since.setdefault(view["epoch"], time.monotonic()) > LINGER_S

    def _next_epoch(self) -> int:
        try:
            where = {"to": self.places.registry()["address"], "data": LAST_EPOCH}
            return int(ethereum.call(self.places.eth_rpc, "eth_call", where, "latest"), 16) + 1
        except (OSError, ValueError) as error:
            raise AuthnetError(Code.UNAVAILABLE, f"the local Ethereum chain does not answer: {error}") from None

    def _make(self, plan: Plan) -> None:
        """Folders of the new nodes, and localnet.json that names them. Raises AuthnetError(BAD_PARAMS)."""
        places = self.places
        ports = places.ports_of(plan.fresh)
        if ports and max(ports) >= PORT_CEILING:
            raise AuthnetError(Code.BAD_PARAMS, f"the new nodes' ports would lie above {PORT_CEILING}")
        if taken := lifecycle.taken(ports):
            raise AuthnetError(Code.BAD_PARAMS, f"in use on 127.0.0.1: {', '.join(taken)}")
        folders.make_later(places, plan.fresh, plan.epoch)
        places.committees[plan.epoch] = plan.nodes
        places.save()
        if places.proxied:
            call_once(places.links_sock, "welcome", {}, timeout=10.0)

    def _announce(self, plan: Plan, notice_s: int) -> None:
        try:
            self._as_owner(str(plan.epoch), str(notice_s))
        except AuthnetError:
            for index in plan.fresh:
                self.members.stop(index)
            self.places.retired.update(plan.fresh)
            self.places.save()
            raise

    def _as_owner(self, *arguments: str) -> None:
        argv = [sys.executable, "-P", "-m", "localnet.announce", str(self.places.dir), *arguments]
        done = subprocess.run(
            argv,
            env=os.environ | self.environment,
            capture_output=True,
            text=True,
            timeout=ANNOUNCE_LIMIT_S,
            check=False,
        )
        if done.returncode:
            reason = done.stderr.strip().rpartition("\n")[2]
            raise AuthnetError(Code.REGISTRY_REFUSED, f"the owner's transaction failed: {reason}")

    def _ask(self, path: str) -> Any:
        try:
            return ask_chain(self.places, path)
        except AuthnetError:
            return None
