"""read.sock: the same queries as ABCI Query for the node's own processes, and a push after each Commit.

It answers from committed state, so also while consensus is halted. Pushes are hints: a subscriber that does
not keep up loses the oldest ones.
"""

from __future__ import annotations

import base64
from collections import deque
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import TaskGroup

from abci_app.abci.application import Application
from abci_app.queries import queries
from abci_app.rules.execution import Finalized
from abci_app.snapshots.exports import ExportDesk
from abci_app.state import journal, proofs
from authnet_core.errors import AuthnetError, Code, DecodeError
from authnet_runtime import metrics, rpc
from authnet_runtime.rpc import Connection

_BACKLOG = 256


def block_note(finalized: Finalized) -> dict[str, Any]:
    """What subscribers are told about a committed block."""
    meta = finalized.pending.meta
    events = [{"type": event.type, "attributes": dict(event.attributes)} for event in finalized.all_events]
    return {
        "height": meta.height,
        "time_ms": meta.time_ms,
        "app_hash": meta.app_hash.hex(),
        "events": events,
        "refused": finalized.refused,
    }


class Subscriber:
    """One connection's backlog of block notes."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._notes: deque[dict[str, Any]] = deque(maxlen=_BACKLOG)
        self._news = anyio.Event()

    def push(self, note: dict[str, Any]) -> None:
        self._notes.append(note)
        self._news.set()

    async def run(self) -> None:
        """Send notes until the connection closes."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._send)
            await self._connection.closed.wait()
            group.cancel_scope.cancel()

    async def _send(self) -> None:
        try:
            while True:
                while self._notes:
                    await self._notify(self._notes.popleft())
                self._news = anyio.Event()
                await self._news.wait()
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
            return

    async def _notify(self, note: dict[str, Any]) -> None:
        try:
            await self._connection.notify("block", note)
        except DecodeError:
            # More than a frame holds. They are hints: the height alone makes a reader look.
            await self._connection.notify("block", {**note, "events": [], "refused": {}})


class ReadServer:
    """Serves read.sock for one application."""

    def __init__(self, app: Application, group: TaskGroup) -> None:
        self._app, self._group = app, group
        self._subscribers: list[Subscriber] = []
        self._exports = ExportDesk(app.store, app.shelf)

    def on_commit(self, finalized: Finalized) -> None:
        """Tell the subscribers."""
        if not self._subscribers:
            return
        note = block_note(finalized)
        for subscriber in self._subscribers:
            subscriber.push(note)

    async def serve(self, path: Path, readers: frozenset[int]) -> None:
        """Serve the users `readers` until cancelled."""
        methods = {
            "query": self._query,
            "subscribe": self._subscribe,
            "metrics": self._metrics,
            "export_heights": self._export_heights,
            "export": self._export,
            "export_chunk": self._export_chunk,
            "journal": self._journal,
        }
        await rpc.serve(path, methods, peers=readers)

    async def _query(self, params: dict[str, Any], connection: Connection) -> Any:
        path, height, prove = params.get("path"), params.get("height", 0), params.get("prove", False)
        if not isinstance(path, str) or type(height) is not int or not 0 <= height < 2**63:
            raise AuthnetError(Code.BAD_PARAMS, "query takes path, height and prove")
        found = queries.answer(self._app.store, path, height, prove is True)
        carried: dict[str, Any] = {"height": found.height}
        if prove is True:
            carried["app_hash"] = found.app_hash.hex()
            carried["proof"] = [proofs.to_json(proof) for proof in found.proofs]
        if found.refusal is not None:
            raise AuthnetError(found.refusal.code, found.refusal.message, **carried)
        return {"code": 0, **carried, "value": found.view}

    async def _subscribe(self, params: dict[str, Any], connection: Connection) -> Any:
        subscriber = Subscriber(connection)
        self._subscribers.append(subscriber)
        self._group.start_soon(self._follow, subscriber)
        meta = self._app.meta
        # A state that was handed over has no block time of its own: the next block, which is on its way, has one.
        if meta.height == 0 or meta.time_ms == 0:
            return None
        return {"height": meta.height, "time_ms": meta.time_ms, "app_hash": meta.app_hash.hex(), "events": []}

    async def _follow(self, subscriber: Subscriber) -> None:
        try:
            await subscriber.run()
        finally:
            self._subscribers.remove(subscriber)

    async def _metrics(self, params: dict[str, Any], connection: Connection) -> Any:
        return metrics.render()

    async def _export_heights(self, params: dict[str, Any], connection: Connection) -> Any:
        return self._exports.heights()

    async def _export(self, params: dict[str, Any], connection: Connection) -> Any:
        return await self._exports.header(_whole(params, "height"))

    async def _export_chunk(self, params: dict[str, Any], connection: Connection) -> Any:
        export = await self._exports.get(_whole(params, "height"))
        return base64.b64encode(export.chunk(_whole(params, "index"))).decode()

    async def _journal(self, params: dict[str, Any], connection: Connection) -> Any:
        return journal.read(self._app.store, _whole(params, "first"))


def _whole(params: dict[str, Any], name: str) -> int:
    number = params.get(name)
    if type(number) is not int or not 0 <= number < 2**63:
        raise AuthnetError(Code.BAD_PARAMS, f"{name} must be a whole number")
    return number
