"""Whatever members of both committees send, in whatever order: what a hand-over may never do."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from abci_app.handover.phases import ABORTED, NEXT, RETIRED, SERVING
from abci_app.state import tables
from authnet_core.errors import Code
from authnet_core.wire import authnet_pb2 as wire
from tests.unit.abci.handover_world import enckey_tx, next_record, raw_of, ready_tx
from tests.unit.abci.world import World

PARAMS = {"pool_low": 0, "pool_high": 0, "handover_max_ms": 60_000, "join_wait_ms": 5_000, "observe_quota": 1_000}
PARTY = st.integers(1, 5)
KEPT_BY_AN_ABORT = (b"replay/", b"quota/", b"handovers", b"epoch/", b"votes/", b"voted/")


class Handovers(RuleBasedStateMachine):
    """Committees of five; the nodes of epoch e are 5e - 4 .. 5e, also of those that never come to serve."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="an"))
        self.world = World(self.folder / "app", params=PARAMS)
        self.world.begin_epoch()
        self.current, self.newest = 1, 1
        self.phase = ""
        self.rejected: set[int] = set()
        self.chains: set[int] = set()
        self.keys: set[int] = set()
        self.votes: dict[int, str] = {}
        self.is_reversed = False
        self.before: dict[bytes, bytes] = {}

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.app.close()
            shutil.rmtree(self.folder)

    # what the test knows

    @property
    def target(self) -> int:
        """The epoch that is announced, or would be."""
        return self.newest if self.phase else self.newest + 1

    def node(self, epoch: int, party: int) -> int:
        return 5 * epoch - 5 + party

    def record(self, variant: str) -> wire.Record:
        nodes = [self.node(self.target, party) for party in range(1, 6)]
        if variant == "other":
            nodes.reverse()
        notice = 0 if self.target % 2 else 3
        return next_record(self.target, nodes, self.current, notice_s=notice, aborted=variant == "aborted")

    def values(self) -> dict[bytes, bytes]:
        found = dict(self.world.app.store.newest().between(tables.VALUES, b"t"))
        return {key[1:]: raw for key, raw in found.items() if not key[1:].startswith(KEPT_BY_AN_ABORT)}

    def block(self, *raws: bytes, step_ms: int = 100) -> list[Code | None]:
        """One block; then compare what it did with what it may do."""
        epoch, phase, values = self.target, self.phase, self.values()
        finalized = self.world.block(*raws, step_ms=step_ms)
        handover = self.world.app.store.get(tables.HANDOVER)
        self.phase = handover.phase if handover is not None else ""
        if not phase and self.phase:
            self.newest = epoch
            self.is_reversed = list(self.votes.values()).count("other") >= 4
            self.votes.clear()
            self.rejected, self.chains, self.keys = set(), set(), set()
            self.before = values
        if phase and not self.phase:
            self.ended(phase)
        current = self.world.app.store.get(tables.CURRENT_EPOCH)
        assert current is not None
        assert current.epoch == self.current
        assert bool(finalized.validator_updates) == (phase == "switching" and not self.phase and current.epoch == epoch)
        return [outcome.code for outcome in finalized.outcomes]

    def ended(self, phase: str) -> None:
        """Either the next committee serves, or nothing happened."""
        status = self.world.query(f"/epoch/{self.newest}").status
        self.votes.clear()
        if status == SERVING:
            assert phase == "switching"
            assert len(self.rejected) <= 1
            assert len(self.chains) >= 4
            assert len(self.keys & self.chains) >= 4
            assert self.world.query(f"/epoch/{self.current}").status == RETIRED
            self.current = self.newest
        else:
            assert status == ABORTED
            assert self.values() == self.before

    # what members send

    @rule(party=PARTY, variant=st.sampled_from(["right", "right", "right", "other", "aborted"]))
    def observe(self, party: int, variant: str) -> None:
        was, voter = self.phase, self.node(self.current, party)
        known, raw = self.votes.get(party), raw_of(self.record(variant))
        counts = bool(was) == (variant == "aborted")
        if counts:
            self.votes[party] = variant
        enough = list(self.votes.values()).count(variant) >= 4
        (code,) = self.block(self.world.tx(voter, observe=wire.Observe(record=raw)))
        if counts:
            assert code == (Code.ALREADY_VOTED if known == variant else None)
            assert not enough or bool(self.phase) != bool(was)
        else:
            assert code in ((Code.RECORD_STALE, Code.RECORD_REFUSED) if was else (Code.NO_HANDOVER,))

    @precondition(lambda self: not self.phase)
    @rule()
    def announce(self) -> None:
        for party in (1, 2, 3, 4):
            self.observe(party, "right")

    @precondition(lambda self: self.phase)
    @rule(parties=st.sampled_from([(), (), (1, 2, 3), (1, 2, 3, 5)]))
    def call_off(self, parties: tuple[int, ...]) -> None:
        for party in parties:
            if self.phase:
                self.observe(party, "aborted")

    @precondition(lambda self: self.phase)
    @rule(party=st.sampled_from([1, 1, 1, 1, 2]))
    def reject(self, party: int) -> None:
        record = self.world.app.store.get(tables.HANDOVER)
        assert record is not None
        message = wire.Reject(epoch=record.epoch, record_hash=record.record_hash)
        first = party not in self.rejected
        self.rejected.add(party)
        tx = self.world.tx(self.node(self.current, party), reject=message)
        (code,) = self.block(tx)
        assert code == (None if first else Code.ALREADY_DONE)
        assert not (len(self.rejected) > 1 and self.phase)

    @rule(party=PARTY, lie=st.sampled_from(["", "", "", "hash", "height", "stranger"]))
    def ready_node(self, party: int, lie: str) -> None:
        was, epoch = self.phase, self.target
        changes = {"hash": {"app_hash": bytes(32)}, "height": {"height": 10**9}}.get(lie, {})
        node = self.node(self.current, party) if lie == "stranger" else self.node(epoch, party)
        first = party not in self.chains
        if not lie and was not in ("", "announced"):
            self.chains.add(party)
        (code,) = self.block(ready_tx(self.world, node, epoch, **changes))
        if was in ("", "announced"):
            assert code in (Code.NO_HANDOVER, Code.WRONG_EPOCH)
        elif lie == "stranger":
            assert code == Code.NOT_A_MEMBER
        elif not first:
            assert code == Code.ALREADY_DONE
        else:
            assert code == (Code.APP_HASH_UNKNOWN if lie else None)

    @rule(party=PARTY)
    def enckey(self, party: int) -> None:
        was, epoch = self.phase, self.target
        member = 6 - party if self.is_reversed else party
        if was not in ("", "announced"):
            self.keys.add(party)
        (code,) = self.block(enckey_tx(self.world, self.node(epoch, party), member, epoch, count=1))
        assert code == (Code.WRONG_EPOCH if not was else Code.NO_HANDOVER if was == "announced" else None)

    @rule(step_ms=st.sampled_from([0, 1_000, 1_000, 5_000, 30_000]))
    def wait(self, step_ms: int) -> None:
        self.block(step_ms=step_ms)

    @precondition(lambda self: self.phase == "joining")
    @rule(parties=st.sets(PARTY, min_size=4))
    def many_join(self, parties: set[int]) -> None:
        for party in sorted(parties):
            if self.phase == "joining":
                self.ready_node(party, "")
            if self.phase == "joining":
                self.enckey(party)

    # what always holds

    @invariant()
    def at_most_one_is_next_and_one_serves(self) -> None:
        if not hasattr(self, "world"):
            return
        found = [self.world.query(f"/epoch/{number}").status for number in range(1, self.newest + 1)]
        assert found.count(SERVING) == 1
        assert found.count(NEXT) == (1 if self.phase else 0)


Handovers.TestCase.settings = settings(
    max_examples=25,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestHandovers = Handovers.TestCase
