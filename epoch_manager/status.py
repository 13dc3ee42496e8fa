"""What the epoch manager knows, for `status`, for metrics and for the log: one place, so that they agree."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import msgspec

from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.selftest import SelfTest
from authnet_runtime.ethereum import BlockRef
from authnet_runtime.logs import get_logger
from authnet_runtime.metrics import Counter, Gauge
from authnet_runtime.registry import Snapshot
from authnet_runtime.registry_state import EpochState

_log = get_logger("epoch")

ETHEREUM_UP = Gauge("authnet_ethereum_up", "1 while the Ethereum node answers")
FINALIZED = Gauge("authnet_ethereum_finalized_block", "Newest finalized block that was read")
RESCANS = Counter("authnet_registry_rescans_total", "Readings from scratch because Ethereum changed its past", ["why"])
OBSERVATIONS = Counter("authnet_observations_total", "Records given to the keeper", ["kind", "result"])
OUTSTANDING = Gauge("authnet_observations_outstanding", "Records the chain does not show yet")
MEMBERS = Gauge("authnet_registry_members", "Members registered for this node's epoch")
WRONG_KEYS = Gauge("authnet_self_test_wrong_keys", "Sampled keys that did not open at the last self-test")
OFF_MEMBERS = Gauge("authnet_self_test_off_members", "Members whose points did not fit at the last self-test")
PROBLEMS = Gauge("authnet_epoch_problem", "1 while the problem lasts", ["where", "code"])


@dataclass(slots=True)
class Status:
    """Mutable, of one process; written by its parts, read by the status call."""

    registry: str
    epoch: int
    operator: str
    finalized: BlockRef | None = None
    ethereum_up: bool = False
    registered: bool = False
    rescans: int = 0
    members: int = 0
    seats: int = 0
    waiting_for: list[str] = field(default_factory=list)
    genesis_hash: str = ""
    outstanding: list[str] = field(default_factory=list)
    self_test: SelfTest | None = None
    """The last one of the epoch in charge."""
    problems: dict[str, AuthnetError] = field(default_factory=dict)

    def saw_block(self, block: BlockRef) -> None:
        """Ethereum answered with this finalized block."""
        self.finalized, self.ethereum_up = block, True
        ETHEREUM_UP.set(1)
        FINALIZED.set(block.number)

    def saw_snapshot(self, snapshot: Snapshot) -> None:
        """The registry was read."""
        own = next((e for e in snapshot.epochs if e.epoch == self.epoch), None)
        if own is not None:
            self.saw_epoch(own)

    def take_epoch(self, own: EpochState) -> None:
        """This is the newest epoch that concerns this node: registered there or not is said of it."""
        if own.epoch != self.epoch:
            self.epoch, self.registered = own.epoch, False
        self.saw_epoch(own)

    def saw_epoch(self, own: EpochState) -> None:
        """This node's epoch, who is in it and who is awaited."""
        present = {member.operator for member in own.members}
        self.members, self.seats = len(own.members), own.n
        self.waiting_for = [operator for operator in own.operators if operator not in present]
        MEMBERS.set(self.members)

    def saw_genesis(self, genesis: bytes) -> None:
        self.genesis_hash = hashlib.sha256(genesis).hexdigest()

    def set_outstanding(self, names: list[str]) -> None:
        self.outstanding = names
        OUTSTANDING.set(len(names))

    def set_self_test(self, found: SelfTest | None) -> None:
        """How sampled keys opened under the shares in charge; None when another epoch has taken over."""
        self.self_test = found
        WRONG_KEYS.set(len(found.wrong) if found is not None else 0)
        OFF_MEMBERS.set(len(found.off) if found is not None else 0)
        if found is None or found.is_good:
            self.clear("self-test")
        else:
            self.report("self-test", AuthnetError(Code.SELF_TEST_FAILED, f"epoch {found.epoch}: {found}"))

    def lost_ethereum(self, problem: AuthnetError) -> None:
        """Ethereum does not answer; what was read before stays in force."""
        self.ethereum_up = False
        ETHEREUM_UP.set(0)
        self.report("ethereum", problem)

    def rescan(self, why: str) -> None:
        """Everything is read again, since Ethereum is not what it was."""
        self.rescans += 1
        RESCANS.labels(why).inc()

    def report(self, where: str, problem: AuthnetError) -> None:
        """Name a problem; the same one is logged once."""
        old = self.problems.get(where)
        if old is not None and (old.code, old.message) == (problem.code, problem.message):
            return
        self.clear(where)
        self.problems[where] = problem
        PROBLEMS.labels(where, problem.code.value).set(1)
        _log.warning("epoch.problem", where=where, code=problem.code.value, reason=problem.message)

    def clear(self, where: str) -> None:
        """The problem is over."""
        old = self.problems.pop(where, None)
        if old is not None:
            PROBLEMS.labels(where, old.code.value).set(0)
            _log.info("epoch.problem_over", where=where, code=old.code.value)

    def as_json(self, handover: dict[str, Any] | None = None) -> dict[str, Any]:
        """The answer to `status` on epoch.sock; `handover`: the one under way, as the chain shows it."""
        block = self.finalized
        return {
            "registry": self.registry,
            "epoch": self.epoch,
            "operator": self.operator,
            "registered": self.registered,
            "members": self.members,
            "seats": self.seats,
            "waiting_for": self.waiting_for,
            "genesis_hash": self.genesis_hash,
            "outstanding": self.outstanding,
            "handover": handover,
            "self_test": None if self.self_test is None else msgspec.to_builtins(self.self_test),
            "ethereum": {
                "up": self.ethereum_up,
                "finalized": block.number if block else None,
                "hash": block.hash if block else "",
                "time_ms": block.time_s * 1000 if block else 0,
                "rescans": self.rescans,
            },
            "problems": [
                {"where": where, "code": problem.code.value, "message": problem.message}
                for where, problem in sorted(self.problems.items())
            ],
        }
