"""An ABCI client that speaks CometBFT's framing, and a server of a World's application in this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from abci_app.abci import server
from abci_app.abci.dispatch import Dispatcher
from abci_app.abci.framing import Frames, pack
from abci_app.pb.tendermint.abci import types_pb2 as pb
from abci_app.pb.tendermint.crypto import keys_pb2
from tests.unit.abci.world import CHAIN, START_MS, app_state_json, consensus_key


class Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self._frames = Frames()
        self._ready: list[pb.Response] = []

    @staticmethod
    async def connect(path: Path) -> Client:
        return Client(*await asyncio.open_unix_connection(str(path)))

    def post(self, *requests: pb.Request) -> None:
        self.writer.write(b"".join(pack(request.SerializeToString()) for request in requests))

    async def take(self) -> pb.Response:
        while not self._ready:
            received = await self.reader.read(65_536)
            if not received:
                raise EOFError
            self._ready += [pb.Response.FromString(frame) for frame in self._frames.feed(received)]
        return self._ready.pop(0)

    async def call(self, **request: Any) -> pb.Response:
        self.post(pb.Request(**request), pb.Request(flush=pb.RequestFlush()))
        response = await asyncio.wait_for(self.take(), 10)
        assert (await self.take()).WhichOneof("value") == "flush"
        return response

    def close(self) -> None:
        self.writer.close()


@asynccontextmanager
async def serving(path: Path, dispatcher: Dispatcher) -> AsyncIterator[None]:
    ready = asyncio.Event()
    task = asyncio.create_task(server.serve(path, dispatcher, ready.set))
    await ready.wait()
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def init_chain(n: int = 5) -> pb.RequestInitChain:
    validators = [
        pb.ValidatorUpdate(pub_key=keys_pb2.PublicKey(ed25519=consensus_key(j)), power=1) for j in range(1, n + 1)
    ]
    request = pb.RequestInitChain(chain_id=CHAIN, validators=validators, app_state_bytes=app_state_json(n))
    request.time.seconds = START_MS // 1000
    return request


def finalize(height: int, *txs: bytes) -> pb.RequestFinalizeBlock:
    request = pb.RequestFinalizeBlock(height=height, txs=txs)
    request.time.seconds = START_MS // 1000 + height
    return request
