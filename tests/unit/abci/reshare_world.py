"""A chain whose keys are real, so that they can be reshared on it: dealing, answering and acknowledging by hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from authnet_core.crypto.secp256k1 import Q, pub, scalar_bytes
from authnet_core.crypto.shamir import evaluate, interpolate_at_zero
from authnet_core.errors import Code
from authnet_core.protocol.committee import Committee
from authnet_core.protocol.reshare import check, complaint, strings, sums
from authnet_core.protocol.reshare.deal import Dealing, answer, make_dealing
from authnet_core.protocol.reshare.messages import ReshareTest
from authnet_core.protocol.reshare.params import PublicKeys, ReshareParams
from authnet_core.protocol.reshare.picture import params_of
from authnet_core.protocol.views import ReshareView
from authnet_core.wire import authnet_pb2 as wire
from tests.unit.abci.handover_world import NEW, announce, enckey_tx, next_record, phase, ready_tx
from tests.unit.abci.world import CHAIN, World, secret, verifier_record

SMALL = {"first_rows": 6, "rows": 6, "sessions_in_flight": 1, "pool_low": 20, "pool_high": 20}
"""18 keys, one of them a mask, a batch for a committee of five, and two batches of them."""


def number(*parts: object) -> int:
    return int.from_bytes(secret(*parts), "big") % Q


@dataclass
class KeyedWorld(World):
    """Key `index` of the first committee is f_index(0)."""

    made: int = field(default=0, init=False)

    def share(self, index: int, j: int) -> int:
        return evaluate([number("f", index, c) for c in range(self.committee.k)], j)

    def key_pairs(self, sid: bytes, count: int) -> list[bytes]:
        first, self.made = self.made, self.made + count
        return [self.pair(index) for index in range(first, first + count)]

    def pair(self, index: int) -> bytes:
        return pub(scalar_bytes(number("f", index, 0))) + pub(secret("n", index))


def batches_made(world: KeyedWorld, count: int = 2) -> None:
    """Epoch 1 with `count` batches of 18 keys. Members 1 to 5 are nodes 1 to 5."""
    world.block()
    world.begin_epoch()
    assert set(world.observe(verifier_record())) == {None}
    world.announce()
    for _ in range(count):
        while not world.query("/sessions").open:
            world.block()
        world.run_session(world.open_sid())
        for _ in range(3):
            world.block()


def begin(
    world: World,
    nodes: Sequence[int] = NEW,
    present: Sequence[int] | None = None,
    epoch: int = 2,
    voters: Sequence[int] = (1, 2, 3, 4),
) -> None:
    """Announce the next committee and bring these members of it (all) to where resharing begins."""
    announce(world, next_record(epoch, nodes, epoch - 1), voters)
    while phase(world) == "announced":
        world.block()
    for member in present or range(1, len(nodes) + 1):
        node = nodes[member - 1]
        assert world.send(ready_tx(world, node, epoch)) == [None]
        assert world.send(enckey_tx(world, node, member, epoch, count=16)) == [None]
    for _ in range(60):
        if world.query("/reshares").open:
            return
        world.block(step_ms=1_000)
    raise AssertionError(f"no resharing: {phase(world)}")


def opened(world: World) -> list[ReshareView]:
    return list(world.query("/reshares").open)


def view_of(world: World, rid: bytes) -> ReshareView:
    found: ReshareView = world.query(f"/reshare/{rid.hex()}")
    return found


@dataclass
class Move:
    """One resharing, played by hand. `old` and `new`: node of each member."""

    world: KeyedWorld
    rid: bytes
    old: Sequence[int] = (1, 2, 3, 4, 5)
    new: Sequence[int] = NEW
    lies: Mapping[int, int] = field(default_factory=dict)
    """What a dealer adds to its share of the first key."""
    dealings: dict[int, Dealing] = field(default_factory=dict)
    tests: dict[int, ReshareTest] = field(default_factory=dict)

    @property
    def view(self) -> ReshareView:
        return view_of(self.world, self.rid)

    @property
    def phase(self) -> str:
        return self.view.phase

    @property
    def params(self) -> ReshareParams:
        view = self.view
        sides = [
            (Committee.of(found.n), bytes.fromhex(found.committee_hash))
            for found in (self.world.query(f"/epoch/{e}") for e in (view.from_epoch, view.to_epoch))
        ]
        return params_of(CHAIN, sides[0], sides[1], view)

    @property
    def keys(self) -> PublicKeys:
        params = self.params
        views = self.world.query(f"/keys/{params.first_index}/{params.count}")
        mask = self.world.query(f"/key/{params.mask_index}")
        return PublicKeys(b"".join(bytes.fromhex(key.Y + key.N) for key in views), bytes.fromhex(mask.Y))

    def tx_old(self, member: int, **kind: Any) -> bytes:
        return self.world.tx(self.old[member - 1], epoch=self.view.from_epoch, **kind)

    def tx_new(self, member: int, **kind: Any) -> bytes:
        return self.world.tx(self.new[member - 1], epoch=self.view.to_epoch, **kind)

    def shares(self, dealer: int) -> tuple[bytes, bytes]:
        """The dealer's shares of the batch, and of the mask."""
        params = self.params
        numbers = [self.world.share(params.first_index + at, dealer) for at in range(params.count)]
        numbers[0] = (numbers[0] + self.lies.get(dealer, 0)) % Q
        return b"".join(map(scalar_bytes, numbers)), scalar_bytes(self.world.share(params.mask_index, dealer))

    def deal_of(self, dealer: int) -> Dealing:
        if dealer not in self.dealings:
            seed = secret("reseed", dealer, self.rid)
            self.dealings[dealer] = make_dealing(self.params, dealer, seed, *self.shares(dealer))
        return self.dealings[dealer]

    def rdeal(self, dealer: int, **changes: Any) -> wire.ReshareDeal:
        deal = self.deal_of(dealer).deal
        fields: dict[str, Any] = {"rid": deal.rid, "e": deal.e, "pok": deal.pok, "root": deal.root}
        return wire.ReshareDeal(**{**fields, **changes})

    def deal(self, dealers: Iterable[int] = (1, 2, 3, 4, 5)) -> list[Code | None]:
        return self.world.send(*(self.tx_old(j, rdeal=self.rdeal(j)) for j in dealers))

    def rtest(self, dealer: int, **changes: Any) -> wire.ReshareTest:
        seed = bytes.fromhex(self.view.gamma_seed)
        self.tests[dealer] = answer(self.params, self.deal_of(dealer).sharing, seed)
        return wire.ReshareTest(**{"rid": self.rid, "u": self.tests[dealer].u, "gamma_seed": seed, **changes})

    def test(self, dealers: Iterable[int] = (1, 2, 3, 4, 5)) -> list[Code | None]:
        return self.world.send(*(self.tx_old(j, rtest=self.rtest(j)) for j in dealers))

    @property
    def total(self) -> bytes:
        total = sums.key_total(self.params, self.keys, bytes.fromhex(self.view.gamma_seed))
        assert total is not None
        return total

    def ack(self, bitmap: int = 31, members: Iterable[int] = (1, 2, 3, 4, 5), total: bytes = b"") -> list[Code | None]:
        message = wire.ReshareAck(rid=self.rid, dealers=bitmap, sum=total or self.total)
        return self.world.send(*(self.tx_new(m, rack=message) for m in members))

    def ready(self, members: Iterable[int] = (1, 2, 3, 4, 5), digest: bytes = b"") -> list[Code | None]:
        message = wire.ReshareReady(rid=self.rid, hash=digest or self.ready_hash())
        return self.world.send(*(self.tx_new(m, ready=message) for m in members))

    def ready_hash(self) -> bytes:
        """What an honest member computes."""
        view = self.view
        u = {j: [bytes.fromhex(c) for c in view.tests[j]] for j in view.q}
        return strings.ready_hash(self.rid, bytes.fromhex(view.root), view.q, self.total, u)

    def complain(self, member: int, dealer: int, **changes: Any) -> bytes:
        params, dealing = self.params, self.deal_of(dealer)
        key = secret("ek", params.to_epoch, self.new[member - 1], params.counter)
        u = tuple(bytes.fromhex(c) for c in self.view.tests[dealer])
        seed = bytes.fromhex(self.view.gamma_seed)
        test = ReshareTest(self.rid, u, seed)
        made = complaint.make_complaint(params, member, dealing.deal, seed, test, dealing.bundle, key)
        fields: dict[str, Any] = {
            "rid": made.rid,
            "dealer": made.dealer,
            "shared": made.shared,
            "dleq": made.dleq,
            "ciphertext": made.ciphertext,
            "leaves": made.leaves,
            "deal_hash": made.deal_hash,
        }
        return self.tx_new(member, rcomplain=wire.ReshareComplain(**{**fields, **changes}))

    def new_shares(self, member: int) -> list[int]:
        """x'_l(m) of every key, from the ciphertexts of Q'."""
        params = self.params
        key = secret("ek", params.to_epoch, self.new[member - 1], params.counter)
        plains = {
            j: check.open_own(params, member, self.dealings[j].deal, self.dealings[j].bundle, key) for j in self.view.q
        }
        return sums.new_shares(params, plains)

    def opens(self, members: Sequence[int]) -> bool:
        """Whether the new shares of these members give every key of the batch."""
        shares = {m: self.new_shares(m) for m in members}
        first = self.params.first_index
        return all(
            pub(scalar_bytes(interpolate_at_zero({m: found[at] for m, found in shares.items()})))
            == self.world.pair(first + at)[:33]
            for at in range(self.params.count)
        )

    def run(self, until: str = "final") -> None:
        """All honest, all there."""
        for step, name in ((self.deal, "test"), (self.test, "ack"), (self.ack, "ready"), (self.ready, "final")):
            assert set(step()) == {None}
            assert self.phase == name
            if name == until:
                return


def next_attempt(move: Move) -> Move:
    """Of the same batch."""
    views = [view for view in opened(move.world) if view.first_index == move.view.first_index]
    return Move(move.world, bytes.fromhex(views[0].rid), move.old, move.new)


def first_move(world: KeyedWorld, **changes: Any) -> Move:
    return Move(world, bytes.fromhex(opened(world)[0].rid), **changes)
