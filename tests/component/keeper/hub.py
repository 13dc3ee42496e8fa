"""Messages between keepers in one process, as libp2p would carry them: to everybody in a committee of both."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import trio

from authnet_core.protocol.dkg.messages import Message
from authnet_core.protocol.views import EpochView
from p2p_dkg.network.directory import Directory


class Hub:
    """Carries messages between the keepers that are up."""

    def __init__(self) -> None:
        self.meshes: dict[int, HubMesh] = {}
        self.drop: Callable[[int, int, Message], bool] = lambda sender, to, message: False


class _HubHost:
    peer_id = "hub"


class HubMesh:
    """What a keeper sees as its Mesh: everybody that is up and in a committee of both is reached."""

    def __init__(self, hub: Hub, index: int, identity: str) -> None:
        self._hub, self.index, self.identity = hub, index, identity
        self.host = _HubHost()
        self._directory = Directory()
        self._inbox_in, self._inbox_out = trio.open_memory_channel[tuple[str, Message]](math.inf)
        self._handler: Any = None
        self._points: Any = None

    def handle_messages(self, handler: Any) -> None:
        self._handler = handler

    def set_committees(self, chain_id: str, committees: Sequence[EpochView]) -> None:
        self._directory = Directory(chain_id, committees, self.identity)
        self._hub.meshes[self.index] = self

    def send(self, epoch: int, to: int, message: Message) -> None:
        peer = self._directory.peers.get(self._directory.members(epoch).get(to, ""))
        mesh = next((m for m in self._hub.meshes.values() if peer is not None and m.identity == peer.identity), None)
        if mesh is not None and not self._hub.drop(self.index, mesh.index, message):
            mesh._inbox_in.send_nowait((self.identity, message))

    def send_all(self, epoch: int, message: Message) -> None:
        for to in self._directory.members(epoch):
            self.send(epoch, to, message)

    def answer_points(self, source: Any) -> None:
        self._points = source

    async def ask_points(self, epoch: int, indexes: Sequence[int]) -> dict[int, tuple[bytes, ...]]:
        found = {}
        for to, peer_id in self._directory.members(epoch).items():
            mesh = next((m for m in self._hub.meshes.values() if f"peer{m.index}" == peer_id), None)
            asker = mesh and next((p for p in mesh._directory.peers.values() if p.identity == self.identity), None)
            points = asker and await mesh._points(asker, epoch, indexes)  # type: ignore[union-attr]
            if points:
                found[to] = points
        return found

    def peers(self) -> list[dict[str, object]]:
        return []

    async def run(self) -> None:
        async for sender, message in self._inbox_out:
            peer = next((peer for peer in self._directory.peers.values() if peer.identity == sender), None)
            if peer is not None:
                await self._handler(peer, message)
