"""A hand-over between keepers that reach each other by real libp2p links on loopback: everything goes over the wire."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio

from authnet_core.protocol.selftest import SAMPLE
from p2p_dkg.network.host import peer_id_of
from p2p_dkg.network.mesh import Mesh
from tests.component.keeper.meshes import address_of, free_port
from tests.component.keeper.test_sessions import run
from tests.component.keeper.two_committees import TwoCommittees
from tests.component.keeper.world import Node, until

LONG = 300.0
pytestmark = [pytest.mark.timeout(900), pytest.mark.usefixtures("quick_disk")]
PARTLY = (4, 5, 6, 7, 8)
EMPTY = ("wrong", "off", "silent", "lacking", "untested")


class LinkedNode(Node):
    """A keeper with a host of its own."""

    port = 0

    def make_mesh(self) -> Any:
        return Mesh(self.keystore.transport_seed, address_of(self.port), self.keystore.identity.pub.hex())

    async def run_mesh(self, *, task_status: Any = trio.TASK_STATUS_IGNORED) -> None:
        await self.mesh.run(task_status=task_status)


class LinkedWorld(TwoCommittees):
    kind = LinkedNode

    def __init__(self, folder: Path, new: tuple[int, ...]) -> None:
        super().__init__(folder, new)
        self.seeds = {}
        for number, node in self.nodes.items():
            assert isinstance(node, LinkedNode)
            node.port = free_port()
            self.seeds[number] = node.open().transport_seed

    def peer_id(self, number: int) -> str:
        return peer_id_of(self.seeds[number])

    def address(self, number: int) -> str:
        node = self.nodes[number]
        assert isinstance(node, LinkedNode)
        return address_of(node.port)


def test_keys_move_over_real_links_and_links_follow_the_committees(tmp_path: Path) -> None:
    world = LinkedWorld(tmp_path, PARTLY)

    async def check(nursery: trio.Nursery) -> None:
        await world.rotate(nursery)
        await until(lambda: world.epoch == 2, LONG)
        await until(lambda: all(len(batch.holders) == 5 for batch in world.batches(2)), LONG)
        assert world.check_keys(2, PARTLY) >= 24
        await until(lambda: len(world.nodes[8].mesh.connected(2)) == 4, LONG)
        await until(lambda: all(world.nodes[j].runner.membership.body_epoch == 2 for j in PARTLY), LONG)
        nobody: Any = None
        tested = await world.nodes[8].self_test.run({"epoch": 2}, nobody)
        assert (tested["keys"], [tested[what] for what in EMPTY]) == (SAMPLE, [[]] * len(EMPTY))
        old = world.chain.query("/epoch/1", dict)
        world.chain.block(step_ms=max(200, old["grace_ends_ms"] - world.chain.time_ms))
        # after the grace a node that is in no committee has no link, and nobody has one with it
        await until(lambda: world.nodes[1].mesh.peers() == [], LONG)
        await until(lambda: len(world.nodes[8].mesh.peers()) == 4, LONG)

    run(world, check)
