"""A keeper of both committees that loses its power at every step of a hand-over, one after another.

It goes on from what is on its disk, deals once, answers one challenge, and holds its new shares in the end.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from authnet_core.wire import authnet_pb2 as pb
from tests.component.keeper import world as world_module
from tests.component.keeper.test_sessions import run
from tests.component.keeper.two_committees import TwoCommittees
from tests.component.keeper.world import CutPoints, PowerCut, until

OVERLAP = (2, 6, 7, 8, 9)
VICTIM = 2
pytestmark = [pytest.mark.timeout(900), pytest.mark.usefixtures("quick_disk")]
PATIENT = {"t_d_ms": 60_000, "t_test_ms": 60_000, "t_ack_ms": 60_000, "t_ready_ms": 60_000, "reshares_in_flight": 1}
"""Every phase ends when all have spoken: the chain waits for the victim."""
STEPS = {
    "dealing": ["reshare:store:deal", "reshare:store:bundle", "submit:rdeal:before", "submit:rdeal:after"],
    "testing": ["reshare:store:test", "submit:rtest:before", "submit:rtest:after"],
    "receiving": ["reshare:store:bundle/3", "submit:rack:before", "submit:rack:after"],
    "keeping": ["reshare:store:shares", "reshare:store:ready", "submit:ready:before", "submit:ready:after"],
    "erasing": ["reshare:erase:brief", "reshare:erase:retained"],
    "joining": ["submit:ready_node:before", "submit:ready_node:after"],
}


class CutSequence(CutPoints):
    """Points that cut the power in this order, once each."""

    def __init__(self, points: list[str]) -> None:
        super().__init__()
        self.points = list(points)

    def reach(self, name: str) -> None:
        self.passed.append(name)
        if self.points and self.points[0] == name:
            self.points.pop(0)
            raise PowerCut(name)


class Broadcasts:
    """Everything that any node handed to its CometBFT."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bodies: list[tuple[bytes, pb.TxBody]] = []
        real = world_module.Comet.broadcast

        async def broadcast(comet: world_module.Comet, tx: bytes) -> tuple[int, str]:
            signed = pb.SignedTx.FromString(tx)
            self.bodies.append((signed.signer, pb.TxBody.FromString(signed.body)))
            return await real(comet, tx)

        monkeypatch.setattr(world_module.Comet, "broadcast", broadcast)

    def of(self, signer: bytes, kind: str) -> dict[bytes, set[bytes]]:
        """rid -> the different messages of a kind that a node ever signed."""
        found: dict[bytes, set[bytes]] = {}
        for pub, body in self.bodies:
            if pub == signer and body.WhichOneof("kind") == kind:
                message = getattr(body, kind)
                found.setdefault(message.rid, set()).add(message.SerializeToString(deterministic=True))
        return found


@pytest.mark.parametrize("steps", list(STEPS))
def test_a_power_cut_at_any_step_of_a_hand_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: str) -> None:
    world = TwoCommittees(tmp_path, OVERLAP, **PATIENT)
    sent = Broadcasts(monkeypatch)
    victim = world.nodes[VICTIM]
    points = STEPS[steps]
    victim.faults = CutSequence(points)

    async def check(nursery: trio.Nursery) -> None:
        await world.rotate(nursery)
        await until(lambda: world.epoch == 2, 300)
        await until(lambda: victim.deaths == points, 200)
        await until(lambda: all(len(batch.holders) == 5 for batch in world.batches(2)), 200)
        await until(lambda: victim.is_bound and victim.runner.membership.body_epoch == 2, 200)
        assert world.check_keys(2, OVERLAP) >= 24
        for kind in ("rdeal", "rtest"):
            signed = sent.of(world.signers[VICTIM].pub, kind)
            assert signed, kind
            assert all(len(messages) == 1 for messages in signed.values()), f"two different {kind} of one resharing"
        await until(lambda: not set(victim.keystore.sessions()) & {bytes.fromhex(b.id) for b in world.batches(2)}, 200)

    run(world, check)
