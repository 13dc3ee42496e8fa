"""Tells the chain, through this node's keeper, what the registry says, until the chain shows it.

Order matters: the first epoch before all else, since there is no committee without it. After that an epoch counts when
the one before it is in charge, and only its members have a say; when the owner calls one off, they say that too, before
its successor. What the rules refuse is not sent again until the registry says something else. The keeper hears of every
epoch, observed or not: it deals to no committee that this node did not see in a finalized block.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import anyio

from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.views import EpochView, HandoverView, VerifierView
from authnet_core.wire.tx import record_hash
from authnet_runtime.chain import ChainReader
from authnet_runtime.genesis import FIRST_EPOCH
from authnet_runtime.logs import get_logger
from authnet_runtime.registry import Snapshot
from authnet_runtime.registry_state import EpochStatus, epoch_record, verifier_record
from authnet_runtime.rpc_client import RpcClient
from epoch_manager.status import OBSERVATIONS, Status

RETRY_S = 0.25
RESEND_S = 10.0
"""An accepted observation that the chain does not show: its transaction may have expired."""
AGAIN_S = 1.0
"""After a refusal that is of the moment."""
WATCH_S = 1.0
"""While a later epoch is in sight."""
TELL_S = 5.0
QUIET_S = 60.0
"""With nothing outstanding the chain is asked again this often: it may have been restored from a backup."""
WAITS = frozenset({Code.UNAVAILABLE, Code.TIMEOUT, Code.BUSY, Code.CHAIN_STALE})
HEARD = frozenset({Code.ALREADY_VOTED, Code.ALREADY_DONE, Code.SEEN_BEFORE})
FINAL = frozenset(
    {
        Code.RECORD_REFUSED,
        Code.RECORD_STALE,
        Code.EPOCH_REJECTED,
        Code.GENESIS_MISMATCH,
        Code.MALFORMED,
        Code.TOO_LARGE,
        Code.DECODE,
    }
)
"""Refusals of the record itself. Any other is of the moment, as when the epoch has just begun: sent again."""
_log = get_logger("observer")


@dataclass(frozen=True, slots=True)
class Finding:
    """A record of the registry, and the path where the chain shows it."""

    kind: str
    name: str
    version: int
    record: bytes
    previous: int = 0
    """The epoch that this one follows; the first follows 0."""
    is_aborted: bool = False

    @property
    def title(self) -> str:
        return f"{self.kind} {self.name}"

    @property
    def key(self) -> bytes:
        return record_hash(self.record)


def findings(snapshot: Snapshot) -> Iterator[Finding]:
    """Records of a snapshot in the order the chain takes them."""
    for epoch in snapshot.epochs:
        is_aborted = epoch.status is EpochStatus.ABORTED
        if epoch.status is EpochStatus.STARTED or (is_aborted and len(epoch.members) == epoch.n):
            yield Finding("epoch", str(epoch.epoch), epoch.epoch, epoch_record(epoch), epoch.previous, is_aborted)
    for verifier in snapshot.verifiers:
        yield Finding("verifier", verifier.name, verifier.version, verifier_record(verifier))


@dataclass(slots=True)
class _Memory:
    """What became of each record: when it was last given to the keeper, and which were refused for good."""

    sent_at: dict[bytes, float] = field(default_factory=dict)
    refused: set[bytes] = field(default_factory=set)
    told_at: dict[bytes, float] = field(default_factory=dict)
    shown_at: dict[bytes, float] = field(default_factory=dict)
    """When the chain was last seen to have a verifier's record: it loses none, but by a restore."""


class Observer:
    """`show` hands it the newest snapshot; `run` keeps the chain informed of it."""

    def __init__(self, keeper: RpcClient, chain: ChainReader, status: Status) -> None:
        self._keeper = keeper
        self._chain = chain
        self._status = status
        self._findings: tuple[Finding, ...] = ()
        self._members: dict[int, frozenset[str]] = {}
        self._memory = _Memory()
        self._in_charge = 0
        self._news = anyio.Event()

    def show(self, snapshot: Snapshot) -> None:
        """The registry says this now."""
        self._findings = tuple(findings(snapshot))
        self._members = {e.epoch: frozenset(m.operator for m in e.members) for e in snapshot.epochs}
        self._memory = _Memory()
        for where in [w for w in self._status.problems if w.startswith(("epoch ", "verifier "))]:
            self._status.clear(where)
        self._news.set()

    async def run(self) -> None:
        """Forever: send what the chain does not show."""
        while True:
            pause = RETRY_S
            try:
                await self.tell_keeper()
                if not await self.step():
                    pause = WATCH_S if self._may_change else QUIET_S
                self._status.clear("chain")
            except AuthnetError as problem:
                self._status.report("chain", problem)
            with anyio.move_on_after(pause):
                await self._news.wait()
                self._news = anyio.Event()

    @property
    def _may_change(self) -> bool:
        """Whether a later epoch is in sight: the chain may come to want its record, or its end, at any time."""
        return any(f.kind == "epoch" and f.previous >= self._in_charge > 0 for f in self._findings)

    async def tell_keeper(self) -> None:
        """Show the keeper each later epoch, now and then again, since it may have been started anew."""
        now = anyio.current_time()
        for finding in self._findings:
            told = self._memory.told_at.get(finding.key, -TELL_S)
            is_later = finding.kind == "epoch" and finding.previous and finding.version >= self._in_charge
            if not is_later or now - told < TELL_S:
                continue
            try:
                await self._keeper.call("saw_epoch", {"record": finding.record.hex()})
            except AuthnetError as problem:
                self._status.report("keeper", problem)
                return
            self._memory.told_at[finding.key] = now
            self._status.clear("keeper")

    async def step(self) -> bool:
        """Look at the chain and send what it lacks; whether something is still outstanding. Raises AuthnetError."""
        current = await self._chain.query("/epoch/current", EpochView)
        in_charge = self._in_charge = current.epoch if current is not None else 0
        missing: list[Finding] = []
        if self._status.operator in self._members.get(in_charge or FIRST_EPOCH, ()):
            missing = await self._missing(in_charge)
        self._status.set_outstanding([f"{finding.title} v{finding.version}" for finding in missing])
        for finding in missing:
            await self._send(finding)
        return bool(missing) or (in_charge < FIRST_EPOCH and self._has_hope)

    @property
    def _has_hope(self) -> bool:
        """Whether there is a record that was not refused."""
        return any(f.key not in self._memory.refused and not f.is_aborted for f in self._findings)

    async def _missing(self, in_charge: int) -> list[Finding]:
        missing: list[Finding] = []
        for finding in self._findings:
            if finding.key in self._memory.refused or not await self._lacks(finding, in_charge):
                continue
            missing.append(finding)
            if finding.is_aborted:
                break  # there is one hand-over at a time
        return missing

    async def _lacks(self, finding: Finding, in_charge: int) -> bool:
        """Whether the chain should be told now; clears what was reported about a record that it has."""
        if finding.kind == "epoch":
            lacks = finding.version >= in_charge and await self._lacks_epoch(finding, in_charge)
        else:
            lacks = in_charge >= FIRST_EPOCH and await self._lacks_verifier(finding)
        if not lacks:
            self._status.clear(finding.title)
        return lacks

    async def _lacks_epoch(self, finding: Finding, in_charge: int) -> bool:
        shown = await self._chain.query(f"/epoch/{finding.name}", EpochView)
        if not finding.is_aborted:
            if shown is not None:
                return shown.status == "next" and await self._is_rewritten(finding)
            return await self._may_follow(finding.previous, in_charge)
        if finding.version == in_charge:
            # Called off when the chain had it in charge already: else what comes next would seem to follow nothing.
            return shown is not None and finding.previous > 0 and not shown.called_off
        return shown is not None and shown.status == "next"

    async def _may_follow(self, previous: int, in_charge: int) -> bool:
        """Whether an epoch after `previous` may be the next: the registry's line and the chain's can go apart."""
        if previous == in_charge:
            return True
        if previous < in_charge:
            current = await self._chain.query(f"/epoch/{in_charge}", EpochView)
            return current is not None and current.called_off
        given_up = await self._chain.query(f"/epoch/{previous}", EpochView)
        return given_up is not None and given_up.status == "aborted"

    async def _is_rewritten(self, finding: Finding) -> bool:
        """Whether the chain announced this epoch with another record: it is sent for the refusal, which says so."""
        handover = await self._chain.query("/handover", HandoverView)
        if handover is None or handover.committee.epoch != finding.version:
            return False
        return handover.record_hash != finding.key.hex()

    async def _lacks_verifier(self, finding: Finding) -> bool:
        now = anyio.current_time()
        if now - self._memory.shown_at.get(finding.key, -QUIET_S) < QUIET_S:
            return False
        shown = await self._chain.query(f"/verifier/{finding.name}", VerifierView)
        if shown is None or shown.version < finding.version:
            return True
        self._memory.shown_at[finding.key] = now
        return False

    async def _send(self, finding: Finding) -> None:
        now = anyio.current_time()
        if now - self._memory.sent_at.get(finding.key, -RESEND_S) < RESEND_S:
            return
        try:
            await self._keeper.call("observe", {"record": finding.record.hex()})
        except AuthnetError as refusal:
            self._on_refusal(finding, refusal)
            return
        self._memory.sent_at[finding.key] = now
        self._status.clear(finding.title)
        OBSERVATIONS.labels(finding.kind, "sent").inc()
        _log.info("observation.sent", kind=finding.kind, name=finding.name, version=finding.version)

    def _on_refusal(self, finding: Finding, refusal: AuthnetError) -> None:
        if refusal.code in WAITS:
            raise refusal
        if refusal.code in HEARD:
            self._memory.sent_at[finding.key] = anyio.current_time()
            return
        if refusal.code in FINAL:
            self._memory.refused.add(finding.key)
        else:
            self._memory.sent_at[finding.key] = anyio.current_time() - RESEND_S + AGAIN_S
        OBSERVATIONS.labels(finding.kind, refusal.code.value).inc()
        self._status.report(finding.title, refusal)
