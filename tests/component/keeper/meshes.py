"""Meshes of keepers in one process, over real sockets: what the tests of links are made of."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import trio

from authnet_core.protocol.views import EpochView, MemberView
from p2p_dkg.network.directory import Peer
from p2p_dkg.network.frames import PeerMessage
from p2p_dkg.network.host import peer_id_of
from p2p_dkg.network.mesh import Mesh

CHAIN = "test-1"
SID = b"s" * 32
Test = Callable[[], Awaitable[None]]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


STRANGER, *SEEDS = sorted((bytes([number]) * 32 for number in range(1, 11)), key=peer_id_of)
"""In the order of their peer ids, so that the lower index dials here, and the stranger everybody."""


def seed_of(index: int) -> bytes:
    return SEEDS[index - 1]


def identity_of(seed: bytes) -> str:
    return "02" + seed.hex()


def address_of(port: int) -> str:
    return f"/ip4/127.0.0.1/tcp/{port}"


def epoch_of(ports: list[int], *, epoch: int = 1, committee: str = "aa" * 32) -> EpochView:
    members = tuple(
        MemberView(
            index=i, operator="", identity=identity_of(seed_of(i)), consensus="", peer_id=peer_id_of(seed_of(i)),
            p2p_addr=address_of(port), comet_addr="", endpoint="",
        )
        for i, port in enumerate(ports, start=1)
    )  # fmt: skip
    return EpochView(epoch=epoch, n=len(ports), k=2, t=0, status="serving", members=members, committee_hash=committee)


class Node:
    """A mesh and what reached it."""

    def __init__(self, index: int, port: int, seed: bytes | None = None) -> None:
        self.index, self.seed = index, seed or seed_of(index)
        self.mesh = Mesh(self.seed, address_of(port), identity_of(seed_of(index)))
        self.got: list[tuple[int | None, PeerMessage]] = []
        self.mesh.handle_messages(self._take)
        self.scope = trio.CancelScope()

    async def _take(self, sender: Peer, message: PeerMessage) -> None:
        self.got.append((sender.index_in(1), message))

    async def run(self, *, task_status: Any = trio.TASK_STATUS_IGNORED) -> None:
        with self.scope:
            await self.mesh.run(task_status=task_status)

    def join(self, epoch: EpochView, chain_id: str = CHAIN) -> None:
        self.mesh.set_committees(chain_id, [epoch])


@asynccontextmanager
async def running(*nodes: Node) -> AsyncIterator[trio.Nursery]:
    async with trio.open_nursery() as nursery:
        for node in nodes:
            await nursery.start(node.run)
        yield nursery
        nursery.cancel_scope.cancel()


async def until(condition: Callable[[], bool], within: float = 15.0) -> None:
    with trio.fail_after(within):
        while not condition():  # noqa: ASYNC110 - what is watched has no event to wait for
            await trio.sleep(0.01)


def run(test: Callable[[], Awaitable[None]]) -> None:
    trio.run(test)
