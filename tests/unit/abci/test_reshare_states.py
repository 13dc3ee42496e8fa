"""Members of both committees do whatever they like in any order: what must hold of resharings in every state."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from abci_app.state import tables
from authnet_core.crypto.secp256k1 import pub
from authnet_core.protocol.reshare.choose import fits
from authnet_core.protocol.views import ReshareView
from authnet_core.wire import authnet_pb2 as wire
from tests.unit.abci.handover_world import phase
from tests.unit.abci.reshare_world import SMALL, KeyedWorld, Move, batches_made, begin
from tests.unit.abci.world import account, secret

PARTY = st.integers(1, 5)
ANY = st.integers(0, 3)
ORDER = ("deal", "test", "ack", "ready", "final")


class Resharings(RuleBasedStateMachine):
    """Five old members, five new ones, two batches; a liar is as welcome as an honest member."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.world = KeyedWorld(self.folder / "app", params={**SMALL, "reshare_attempts": 3})
        batches_made(self.world)
        self.moves: dict[str, Move] = {}
        self.seen: dict[str, ReshareView] = {}
        self.accounts = 0

    def teardown(self) -> None:
        self.world.app.close()
        shutil.rmtree(self.folder)

    @initialize()
    def hand_over(self) -> None:
        begin(self.world)

    def is_moving(self) -> bool:
        return bool(self._open())

    def _open(self) -> list[ReshareView]:
        return list(self.world.query("/reshares").open)

    def _move(self, which: int) -> Move:
        views = self._open()
        rid = views[which % len(views)].rid
        return self.moves.setdefault(rid, Move(self.world, bytes.fromhex(rid)))

    @precondition(is_moving)
    @rule(which=ANY, dealers=st.sets(PARTY, min_size=1), lie=ANY)
    def deal(self, which: int, dealers: set[int], lie: int) -> None:
        move = self._move(which)
        if not lie and not move.dealings:
            move.lies = {max(dealers): 1}
        move.deal(sorted(dealers))

    @precondition(is_moving)
    @rule(which=ANY, dealers=st.sets(PARTY, min_size=1), cheats=ANY)
    def test(self, which: int, dealers: set[int], cheats: int) -> None:
        move = self._move(which)
        if move.phase != "test":
            return
        txs = []
        for dealer in sorted(dealers):
            message = move.rtest(dealer)
            if not cheats and dealer == max(dealers):
                message.u[1] = secret("cheat")
            txs.append(move.tx_old(dealer, rtest=message))
        self.world.send(*txs)

    @precondition(is_moving)
    @rule(which=ANY, members=st.sets(PARTY, min_size=1), bitmap=st.integers(0, 31), forged=ANY)
    def ack(self, which: int, members: set[int], bitmap: int, forged: int) -> None:
        move = self._move(which)
        if move.view.gamma_seed:
            move.ack(bitmap, sorted(members)[1:])
            move.ack(bitmap, sorted(members)[:1], b"" if forged else pub(7))

    @precondition(is_moving)
    @rule(which=ANY, member=PARTY, dealer=PARTY)
    def complain(self, which: int, member: int, dealer: int) -> None:
        move = self._move(which)
        if dealer in move.view.tests:
            self.world.send(move.complain(member, dealer))

    @precondition(is_moving)
    @rule(which=ANY, members=st.sets(PARTY, min_size=1), wrong=ANY)
    def ready(self, which: int, members: set[int], wrong: int) -> None:
        move = self._move(which)
        digest = bytes.fromhex(move.view.hash) or bytes(32)
        move.ready(sorted(members), digest if wrong else bytes(31) + b"\x01")

    @precondition(is_moving)
    @rule(which=ANY, away=st.sets(PARTY, max_size=1))
    def go_on(self, which: int, away: set[int]) -> None:
        """What honest members do next, but for one that may be away."""
        move, there = self._move(which), sorted({1, 2, 3, 4, 5} - away)
        match move.phase:
            case "deal":
                move.deal(there)
            case "test":
                move.test(j for j in there if j in move.dealings)
            case "ack":
                move.ack(sum(1 << (j - 1) for j in move.view.tests), there)
            case "ready":
                move.ready(there)

    @rule(member=PARTY)
    def have(self, member: int) -> None:
        for rid, move in self.moves.items():
            if rid in self.seen and self.seen[rid].phase == "final":
                self.world.send(move.tx_new(member, rhave=wire.ReshareHave(rid=bytes.fromhex(rid))))

    @rule(member=PARTY)
    def assign(self, member: int) -> None:
        self.accounts += 1
        node = member + (5 if self.world.query("/epoch/current").epoch == 2 else 0)
        self.world.send(self.world.assign(node, account(self.accounts)))

    @rule(step_ms=st.sampled_from([1, 500, 2_000, 5_000, 20_000]))
    def wait(self, step_ms: int) -> None:
        self.world.block(step_ms=step_ms)

    # what must hold

    @invariant()
    def phases_go_one_way(self) -> None:
        for view in self._open():
            before = self.seen.get(view.rid)
            assert before is None or ORDER.index(view.phase) - ORDER.index(before.phase) in (0, 1)
        for rid in {*self.seen, *(view.rid for view in self._open())}:
            if self.world.app.store.get(tables.reshare(bytes.fromhex(rid))) is not None:
                self.seen[rid] = self.world.query(f"/reshare/{rid}")
            else:
                assert phase(self.world) == "", "only a hand-over that ended drops them"

    @invariant()
    def what_was_said_stays_said(self) -> None:
        for view in self._open():
            assert set(view.tests) <= set(view.dealers) <= set(view.deals)
            assert set(view.candidates) <= set(view.tests)
            assert all(bits >> 5 == 0 for bits in view.acks.values())

    @invariant()
    def q_fits_the_keys(self) -> None:
        """W(0)*G = M, so every public key stays, whoever lied; and n' - t' hold what is final."""
        for rid, view in self.seen.items():
            assert (len(view.q) == 3) == (view.phase in ("ready", "final") or (view.phase == "failed" and bool(view.q)))
            if view.q:
                total = bytes.fromhex(max(view.sums.values(), key=list(view.sums.values()).count))
                assert fits({j: int(view.tests[j][0], 16) for j in view.q}, total), rid
                assert set(view.q) <= set(view.candidates)
            if view.phase == "final":
                assert len(view.holders) >= 4

    @invariant()
    def masks_and_counters_are_used_once(self) -> None:
        views = list(self.seen.values())
        assert len({view.mask_index for view in views}) == len(views)
        assert len({view.counter for view in views}) == len(views)
        keys = {key.index: key for key in self.world.query("/keys/0/100")}
        assert all(keys[view.mask_index].mask and not keys[view.mask_index].account_id for view in views)

    @invariant()
    def every_key_is_free_or_assigned_or_a_mask(self) -> None:
        pool, keys = self.world.query("/pool"), self.world.query("/keys/0/100")
        assert (pool.free, pool.assigned, pool.masks) == (
            sum(key.free for key in keys),
            sum(bool(key.account_id) for key in keys),
            sum(key.mask for key in keys),
        )
        stored: Any = self.world.app.store.get(tables.pool("secp256k1"))
        assert sum(batch.free for batch in stored.batches) == pool.free

    @invariant()
    def the_moved_are_counted(self) -> None:
        moved = self.world.query("/batches/2/0/10")
        final = {view.first_index for view in self.seen.values() if view.phase == "final"}
        if phase(self.world):
            assert {batch.first_index for batch in moved} == final
            handover = self.world.query("/handover")
            assert (handover.batches_done, handover.keys_done) == (len(moved), 18 * len(moved))
        for batch in moved:
            source = self.world.query(f"/batch/1/{batch.first_index}")
            assert (batch.root, batch.count, batch.source) == (source.root, source.count, source.id)


@pytest.mark.parametrize("steps", [40])
def test_resharings_in_every_state(steps: int) -> None:
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large]
    limits = settings(max_examples=10, stateful_step_count=steps, deadline=None, suppress_health_check=checks)
    run_state_machine_as_test(Resharings, settings=limits)
