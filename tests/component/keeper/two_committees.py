"""Keepers of two committees in one process: the old one makes keys, the registry names the next one, the keys move."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import trio

from authnet_core.crypto import secp256k1, shamir
from authnet_core.protocol.committee import Committee
from authnet_core.protocol.views import (
    BatchView,
    EpochView,
    HandoverEndView,
    HandoverView,
    KeyView,
    PoolView,
    ResharesView,
    ReshareView,
)
from authnet_core.wire import authnet_pb2 as pb
from p2p_dkg.ports import KeyShare
from p2p_dkg.runner.submit import TxDesk
from tests.component.keeper.world import CHAIN, CutPoints, World, until

OLD = (1, 2, 3, 4, 5)
DISJOINT = (6, 7, 8, 9, 10)


class TwoCommittees(World):
    """Nodes 1..5 are epoch 1; all numbers that `committees` names have a node."""

    def __init__(self, folder: Path, new: Sequence[int] = DISJOINT, **params: int) -> None:
        quick = {"pool_low": 20, "pool_high": 21, "join_wait_ms": 4_000, "serve_delay_ms": 2_000, "grace_ms": 2_000}
        super().__init__(folder, len(OLD), **{**quick, **params})
        self.new = tuple(new)
        self.running: set[int] = set()
        for number in self.new:
            if number not in self.nodes:
                self.nodes[number] = self.kind(number, folder / f"node{number}", self.chain, self.hub)
        # Read before they run: opening a keystore removes what looks like a left-over of a crash.
        self.signers = {number: node.open().identity for number, node in self.nodes.items()}

    def record(self, epoch: int, numbers: Sequence[int], *, previous: int, aborted: bool = False) -> pb.EpochRecord:
        """The registry's record of a committee of these nodes."""
        members = [
            pb.Member(
                index=index, operator=f"0x{number:040x}", identity=self.signers[number].pub,
                consensus=bytes([number]) * 32, peer_id=self.peer_id(number), p2p_addr=self.address(number),
                comet_addr=f"id{number}@127.0.0.1:1", endpoint="http://127.0.0.1:1",
            )
            for index, number in enumerate(numbers, start=1)
        ]  # fmt: skip
        c = Committee.of(len(numbers))
        return pb.EpochRecord(
            epoch=epoch, n=c.n, k=c.k, t=c.t, members=members, previous=previous, aborted=aborted
        )  # fmt: skip

    def announce(self, record: pb.EpochRecord, *, observers: Iterable[int] = OLD) -> None:
        """Let members of the present committee observe it."""
        for number in observers:
            nobody: Any = None
            desk = TxDesk(self.signers[number], nobody, lambda: self.chain.height, CutPoints())
            body = pb.TxBody(chain_id=CHAIN, version=1, epoch=self.epoch, expiry_height=self.chain.height + 20)
            body.observe.record = pb.Record(epoch=record).SerializeToString(deterministic=True)
            self.chain.mempool.append(desk._sign(body))

    async def show(self, record: pb.EpochRecord, numbers: Iterable[int]) -> None:
        """Let these nodes' epoch_managers see it in a finalized block."""
        for number in numbers:
            node = self.nodes[number]
            await until(lambda node=node: node.is_bound)  # type: ignore[misc]
            await node.runner.saw_epoch(record)

    def start(self, nursery: trio.Nursery, numbers: Iterable[int] | None = None) -> None:
        """Start these nodes, all by default, each again after a power cut."""
        for number in numbers if numbers is not None else self.nodes:
            self.running.add(number)
            nursery.start_soon(self.nodes[number].run_again)

    async def rotate(self, nursery: trio.Nursery, *, absent: Iterable[int] = ()) -> pb.EpochRecord:
        """Fill the pool, announce the next committee as epoch 2 to all that are up, and do not wait for the end."""
        self.start(nursery, [number for number in self.nodes if number not in absent])
        await until(lambda: self.pool.free >= 20, 120)
        record = self.record(2, self.new, previous=1)
        await self.show(record, self.running)
        self.announce(record)
        return record

    @property
    def epoch(self) -> int:
        """The one in charge."""
        current: EpochView = self.chain.query("/epoch/current", EpochView)
        return current.epoch

    def view(self, epoch: int) -> EpochView:
        found: EpochView = self.chain.query(f"/epoch/{epoch}", EpochView)
        return found

    @property
    def pool(self) -> PoolView:
        """Of secp256k1."""
        found: PoolView = self.chain.query("/pool", PoolView)
        return found

    @property
    def phase(self) -> str:
        """Of the hand-over, "" when there is none."""
        handover: HandoverView | None = self.chain.query("/handover", HandoverView)
        return handover.phase if handover is not None else ""

    @property
    def ended(self) -> list[HandoverEndView]:
        found: list[HandoverEndView] = self.chain.query("/handovers", list[HandoverEndView])
        return found

    def batches(self, epoch: int) -> list[BatchView]:
        found: list[BatchView] = self.chain.query(f"/batches/{epoch}/0/100", list[BatchView])
        return found

    def key_views(self) -> list[KeyView]:
        found: list[KeyView] = self.chain.query("/keys/0/500", list[KeyView])
        return found

    def open_reshares(self) -> list[ReshareView]:
        found: ResharesView = self.chain.query("/reshares", ResharesView)
        return list(found.open)

    def sent(self, kind: str, number: int) -> list[pb.TxBody]:
        """Bodies of a node's transactions of a kind that were executed."""
        pub = self.signers[number].pub
        signed = [pb.SignedTx.FromString(raw) for _, found, raw in self.chain.included if found == kind]
        return [pb.TxBody.FromString(tx.body) for tx in signed if tx.signer == pub]

    def shares(self, epoch: int, numbers: Sequence[int], batch: BatchView, position: int) -> dict[int, KeyShare]:
        """Party index in the epoch -> share of one key, of the nodes that hold it."""
        view: EpochView = self.chain.query(f"/epoch/{epoch}", EpochView)
        places = {member.identity: member.index for member in view.members}
        found = {}
        for number in numbers:
            keystore = self.nodes[number].keystore
            share = keystore.epoch(epoch).share(bytes.fromhex(batch.id), position)
            if share is not None:
                found[places[keystore.identity.pub.hex()]] = share
        return found

    def check_keys(self, epoch: int, numbers: Sequence[int], *, at_least: int | None = None) -> int:
        """Every k-subset of these nodes' shares opens every key, no k-1 do, and nonces fit. How many were checked."""
        view: EpochView = self.chain.query(f"/epoch/{epoch}", EpochView)
        keys = {key.index: key for key in self.key_views()}
        checked = 0
        for batch in self.batches(epoch):
            for position in range(batch.count):
                key = keys[batch.first_index + position]
                found = self.shares(epoch, numbers, batch, position)
                assert len(found) >= (at_least or len(numbers)), f"key {key.index}: {sorted(found)} hold it"
                check_key(key, found, view.k)
                checked += 1
        return checked


def check_key(key: KeyView, shares: dict[int, KeyShare], k: int) -> None:
    """k shares open it, k-1 do not, the nonces are alike."""
    for chosen in combinations(sorted(shares), k):
        assert opens(key, {index: shares[index].x for index in chosen}), f"key {key.index} under {chosen}"
    few = sorted(shares)[: k - 1]
    assert not opens(key, {index: shares[index].x for index in few})
    nonces = {share.nonce for share in shares.values()}
    assert len(nonces) == 1
    assert secp256k1.pub(nonces.pop() or 0).hex() == key.N


def opens(key: KeyView, xs: dict[int, int]) -> bool:
    """Whether these shares interpolate to the key."""
    x = shamir.interpolate_at_zero(xs)
    return x != 0 and secp256k1.pub(x).hex() == key.Y
