"""Reading the chain through abci_app's read.sock: typed queries and a stream of committed blocks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import msgspec

from authnet_core.errors import AuthnetError, Code
from authnet_runtime.rpc_client import RpcClient

T = TypeVar("T")
_SUBSCRIBE = "subscribe"
_EXPORT_S = 600.0
_ABSENT = frozenset({Code.NOT_FOUND, Code.ACCOUNT_NOT_FOUND, Code.UNKNOWN_SESSION, Code.VERIFIER_UNKNOWN})


class Event(msgspec.Struct, frozen=True):
    """Something that happened in a block: a hint, never the truth."""

    type: str
    attributes: dict[str, str] = {}


class BlockNote(msgspec.Struct, frozen=True):
    """Pushed after each Commit, and once after each (re)connect."""

    height: int
    time_ms: int
    app_hash: str
    events: list[Event] = []
    refused: dict[str, str] = {}
    """Hash (hex) and code of the block's transactions that had no effect."""
    is_first: bool = False
    """The first one after a (re)connect: abci_app may have been put on another chain meanwhile."""


class ChainReader:
    """One connection to read.sock. Use as an async context manager; survives restarts of abci_app."""

    def __init__(self, read_sock: Path) -> None:
        self._rpc = RpcClient(read_sock, subscribe=_SUBSCRIBE)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> ChainReader:
        await self._stack.enter_async_context(self._rpc)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(kind, error, trace)

    async def query(self, path: str, type: type[T], *, height: int = 0) -> T | None:
        """The value at `path` in the newest (or given) committed state, or None when it is absent.

        Raises AuthnetError: UNAVAILABLE while abci_app is down, else the chain's own refusal.
        """
        try:
            answer = await self.raw(path, height=height)
        except AuthnetError as refusal:
            if refusal.code in _ABSENT:
                return None
            raise
        return msgspec.convert(answer["value"], type, str_keys=True)

    async def raw(self, path: str, *, height: int = 0, prove: bool = False) -> dict[str, Any]:
        """The whole answer: {height, value, proof?}. Raises AuthnetError."""
        answer: dict[str, Any] = await self._rpc.call("query", {"path": path, "height": height, "prove": prove})
        return answer

    async def blocks(self) -> AsyncIterator[BlockNote]:
        """Yield committed blocks, the newest one first after each (re)connect."""
        async for method, params in self._rpc.notifications():
            if params is not None:
                yield msgspec.convert({**params, "is_first": method == _SUBSCRIBE}, BlockNote)

    async def export(self, height: int) -> dict[str, Any]:
        """The header of the exported state of `height`, with its `export_hash`. Raises AuthnetError."""
        header: dict[str, Any] = await self._rpc.call("export", {"height": height}, timeout=_EXPORT_S)
        return header

    async def metrics(self) -> str:
        """The Prometheus text of abci_app."""
        return str(await self._rpc.call("metrics"))
