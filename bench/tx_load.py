"""A transaction loader for one CometBFT: pre-made transactions over its RPC unix socket, many outstanding.

The same loader drives our application and CometBFT's own kvstore, so that the ratio is of the applications. HTTP is
written by hand: a general client would cost more than what is measured.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CONNECTIONS = 24
_TAKEN = re.compile(rb'"code":\s*0[,}\s]')


@dataclass(frozen=True)
class LoadRun:
    """What became of one load."""

    sent: int
    refused: int
    committed: int
    seconds: float
    """From the first broadcast to the commit of the last transaction."""
    blocks: int

    @property
    def per_s(self) -> float:
        return self.committed / self.seconds if self.seconds else 0.0


class Rpc:
    """One keep-alive connection. Calls in turn."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def call(self, method: str, params: dict[str, str] | None = None) -> dict[str, Any]:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params or {}}).encode()
        answer = json.loads(await self._post(body))
        return answer["result"] if "result" in answer else {"error": answer.get("error")}

    async def broadcast(self, body: bytes) -> bool:
        """True if CheckTx took it."""
        return _TAKEN.search(await self._post(body)) is not None

    async def _post(self, body: bytes) -> bytes:
        if self._writer is None or self._reader is None:
            self._reader, self._writer = await asyncio.open_unix_connection(str(self._path), limit=1 << 24)
        head = b"POST / HTTP/1.1\r\nHost: c\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
        self._writer.write(head + body)
        headers = await self._reader.readuntil(b"\r\n\r\n")
        lowered = headers.lower()
        if b"transfer-encoding: chunked" in lowered:
            return await self._chunks(self._reader)
        size = int(lowered.partition(b"content-length:")[2].partition(b"\r\n")[0])
        return await self._reader.readexactly(size)

    @staticmethod
    async def _chunks(reader: asyncio.StreamReader) -> bytes:
        found = bytearray()
        while True:
            size = int(await reader.readuntil(b"\r\n"), 16)
            found += (await reader.readexactly(size + 2))[:size]
            if not size:
                return bytes(found)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


def request_of(tx: bytes) -> bytes:
    """The broadcast_tx_sync request, made before the clock starts."""
    params = {"tx": base64.b64encode(tx).decode()}
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": "broadcast_tx_sync", "params": params}).encode()


async def height_of(rpc: Rpc) -> int:
    return int((await rpc.call("status"))["sync_info"]["latest_block_height"])


async def run_load(socket: Path, requests: Sequence[bytes], limit_s: float = 60.0) -> LoadRun:
    """Send everything over CONNECTIONS connections, then wait until the blocks hold what CheckTx took."""
    watcher = Rpc(socket)
    first = await height_of(watcher) + 1
    queue = iter(requests)
    taken = [0]
    began = time.monotonic()

    async def lane() -> None:
        rpc = Rpc(socket)
        for body in queue:
            is_taken = await rpc.broadcast(body)
            taken[0] += is_taken
        rpc.close()

    lanes = [asyncio.create_task(lane()) for _ in range(CONNECTIONS)]
    counted, height, last_at = 0, first - 1, began
    while time.monotonic() - began < limit_s:
        newest = await height_of(watcher)
        while height < newest:
            height += 1
            found = await watcher.call("block", {"height": str(height)})
            counted += len(found["block"]["data"]["txs"] or [])
            last_at = time.monotonic()
        if counted >= taken[0] and all(task.done() for task in lanes):
            break
        await asyncio.sleep(0.02)
    await asyncio.gather(*lanes)
    watcher.close()
    return LoadRun(len(requests), len(requests) - taken[0], counted, last_at - began, height - first + 1)
