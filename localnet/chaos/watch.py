"""What the nodes say while things break: heights, app hashes, who is back. Reads their sockets, changes nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio
import anyio.to_thread

from authnet_core.errors import AuthnetError, Code
from authnet_runtime.retained import all_retained, hold_all
from authnet_runtime.rpc_once import query_once
from localnet import stages
from localnet.chaos.lights import Light
from localnet.chaos.record import Record
from localnet.places import Places

EVERY_S = 1.0
ASK_S = 1.0
BEHIND = 3
"""Blocks by which a node may be behind the others and still count as back."""


class Watch:
    """All nodes of one localnet."""

    def __init__(self, places: Places, record: Record) -> None:
        self._places, self._record = places, record
        self._hashes: dict[int, tuple[int, str]] = {}
        self._workers = ThreadPoolExecutor(places.nodes)
        self.heights: dict[int, int] = {}

    async def run(self) -> None:
        """Compare app hashes until cancelled."""
        while True:
            self.compare(await anyio.to_thread.run_sync(self._statuses))
            await anyio.sleep(EVERY_S)

    def compare(self, statuses: dict[int, dict[str, Any]]) -> None:
        """Each (height, app hash) against what another node said of that height."""
        for node, status in statuses.items():
            height, app_hash = int(status["height"]), str(status["app_hash"])
            self.heights[node] = height
            first, known = self._hashes.setdefault(height, (node, app_hash))
            text = f"height {height}: node {first} has {known[:12]}, node {node} {app_hash[:12]}"
            self._record.check(Light.HASHES, known == app_hash, text)

    def _statuses(self) -> dict[int, dict[str, Any]]:
        found = self._workers.map(lambda index: (index, self._ask(index, "/status")), self._places.indexes)
        return {index: status for index, status in found if isinstance(status, dict)}

    def _ask(self, index: int, path: str) -> Any:
        try:
            return self._query(index, path)
        except AuthnetError:
            return None

    def _query(self, index: int, path: str) -> Any:
        return query_once(self._places.node_dir(index) / "run" / "read.sock", path, timeout=ASK_S)

    def missing(self) -> list[str]:
        """Why not all nodes are back, one sentence each; empty when they are. Blocking."""
        statuses = self._statuses()
        if phase := self._moving(statuses):
            return [f"a hand-over is {phase}"]
        self.heights.update({index: int(status["height"]) for index, status in statuses.items()})
        newest = max((int(status["height"]) for status in statuses.values()), default=0)
        with_all = self._with_all_shares(statuses)
        doors = dict(self._workers.map(lambda i: (i, stages.is_open(self._places, i)), self._places.indexes))
        found = []
        for index in self._places.indexes:
            if index not in statuses:
                found.append(f"node {index} does not answer")
            elif int(statuses[index]["height"]) < newest - BEHIND:
                found.append(f"node {index} is at height {statuses[index]['height']} of {newest}")
            elif not doors[index]:
                found.append(f"the door of node {index} is not open")
            elif index not in with_all:
                found.append(f"node {index} lacks shares")
        return found

    def _moving(self, statuses: dict[int, dict[str, Any]]) -> str:
        """Phase of a hand-over under way, and whether some node has yet to catch up after one; "" without."""
        if not statuses:
            return ""
        newest = max(statuses, key=lambda index: int(statuses[index]["height"]))
        try:
            return str(self._query(newest, "/handover")["phase"])
        except AuthnetError as absent:
            if absent.code is not Code.NOT_FOUND:
                return absent.code.value
        reshares = self._ask(newest, "/reshares") or {}
        return "over, but a node has yet to catch up" if reshares.get("retained") else ""

    def _with_all_shares(self, statuses: dict[int, dict[str, Any]]) -> set[int]:
        """Holders of every final session, as the most advanced node's chain says."""
        if not statuses:
            return set()
        newest = max(statuses, key=lambda index: int(statuses[index]["height"]))
        try:
            sessions = all_retained(lambda path: self._query(newest, path))
        except AuthnetError:
            return set()
        return {index for index in self._places.indexes if hold_all(sessions, index)}
