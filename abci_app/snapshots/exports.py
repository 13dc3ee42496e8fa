"""Exporting the state of a height: served to this node's operator and keeper over read.sock."""

from __future__ import annotations

from collections.abc import Iterator

import anyio.lowlevel
import msgspec

from abci_app.snapshots import chunks
from abci_app.snapshots.export_file import Header
from abci_app.snapshots.shelf import Shelf
from abci_app.snapshots.survival import Survivors
from abci_app.state.store import Snapshot, Store
from authnet_core.errors import AuthnetError, Code


class Export:
    """One state as a new chain would begin with it. `close` it in the end."""

    def __init__(self, state: Snapshot, header: Header, starts: list[bytes]) -> None:
        self._state, self.header, self._starts = state, header, starts

    def chunk(self, index: int) -> bytes:
        """A chunk. Raises AuthnetError(BAD_PARAMS)."""
        if not 0 <= index < len(self._starts):
            raise AuthnetError(Code.BAD_PARAMS, "the export has no such chunk")
        return next(chunks.cut(Survivors(self._state).entries(self._starts[index])))[1]

    def chunks(self) -> Iterator[bytes]:
        """All of them."""
        return (self.chunk(index) for index in range(len(self._starts)))

    def close(self) -> None:
        self._state.close()


async def make(state: Snapshot) -> Export:
    """Read a state once, giving way to everything else after each chunk. Raises AuthnetError(EXPORT_INVALID)."""
    survivors = Survivors(state)
    starts, hashes = list[bytes](), list[str]()
    try:
        for first, chunk in chunks.cut(survivors.entries()):
            starts.append(first)
            hashes.append(chunks.chunk_hash(chunk).hex())
            await anyio.lowlevel.checkpoint()
    except BaseException:
        state.close()
        raise
    header = Header(
        network_id=survivors.genesis.network_id,
        chain_id=survivors.genesis.chain_id,
        height=state.meta.height,
        time_ms=state.meta.time_ms,
        app_hash=state.meta.app_hash.hex(),
        chunks=tuple(hashes),
    )
    return Export(state, header, starts)


class ExportDesk:
    """Exports of the heights that this node still has; the last one asked for is kept."""

    def __init__(self, store: Store, shelf: Shelf | None) -> None:
        self._store, self._shelf = store, shelf
        self._kept: Export | None = None
        self._lock = anyio.Lock()

    def heights(self) -> list[int]:
        """Heights that can be exported, in order."""
        shelved = [] if self._shelf is None else [offer.height for offer in self._shelf.offers()]
        return sorted({*self._store.heights(), *shelved} - {0})

    async def get(self, height: int) -> Export:
        """The export of a height. Raises AuthnetError: HEIGHT_UNAVAILABLE, EXPORT_INVALID."""
        async with self._lock:
            if self._kept is None or self._kept.header.height != height:
                made = await make(self._state(height))
                self.close()
                self._kept = made
            return self._kept

    async def header(self, height: int) -> dict[str, object]:
        """The header as JSON, with the name of the export."""
        header = (await self.get(height)).header
        return {**msgspec.to_builtins(header), "export_hash": header.hash.hex()}

    def _state(self, height: int) -> Snapshot:
        held = None if self._shelf is None else self._shelf.at(height)
        state = held.state if held is not None else self._store.at(height)
        if state is None or height == 0:
            raise AuthnetError(Code.HEIGHT_UNAVAILABLE, f"the state of height {height} is not kept")
        return state.retain()

    def close(self) -> None:
        """Let go of what is kept."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None
