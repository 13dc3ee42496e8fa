"""Tells the chain, through this node's keeper, what the registry says, until the chain shows it.

Order matters: the epoch first, since there is no committee before it, then the verifiers. What the rules refuse is
not sent again until the registry says something else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import anyio

from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.views import EpochView, VerifierView
from authnet_core.wire.tx import record_hash
from authnet_runtime.chain import ChainReader
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
QUIET_S = 60.0
"""With nothing outstanding the chain is asked again this often: it may have been restored from a backup."""
WAITS = frozenset({Code.UNAVAILABLE, Code.TIMEOUT, Code.BUSY, Code.CHAIN_STALE})
HEARD = frozenset({Code.ALREADY_VOTED, Code.ALREADY_DONE, Code.SEEN_BEFORE})
FINAL = frozenset(
    {Code.RECORD_REFUSED, Code.RECORD_STALE, Code.GENESIS_MISMATCH, Code.MALFORMED, Code.TOO_LARGE, Code.DECODE}
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

    @property
    def title(self) -> str:
        return f"{self.kind} {self.name}"

    @property
    def key(self) -> bytes:
        return record_hash(self.record)


def findings(snapshot: Snapshot) -> Iterator[Finding]:
    """Records of a snapshot in the order the chain takes them."""
    for epoch in snapshot.epochs:
        if epoch.status is EpochStatus.STARTED:
            yield Finding("epoch", str(epoch.epoch), epoch.epoch, epoch_record(epoch))
    for verifier in snapshot.verifiers:
        yield Finding("verifier", verifier.name, verifier.version, verifier_record(verifier))


@dataclass(slots=True)
class _Memory:
    """What became of each record: when it was last given to the keeper, and which were refused for good."""

    sent_at: dict[bytes, float] = field(default_factory=dict)
    refused: set[bytes] = field(default_factory=set)


class Observer:
    """`show` hands it the newest snapshot; `run` keeps the chain informed of it."""

    def __init__(self, keeper: RpcClient, chain: ChainReader, status: Status) -> None:
        self._keeper = keeper
        self._chain = chain
        self._status = status
        self._findings: tuple[Finding, ...] = ()
        self._memory = _Memory()
        self._news = anyio.Event()

    def show(self, snapshot: Snapshot) -> None:
        """The registry says this now."""
        self._findings = tuple(findings(snapshot))
        self._memory = _Memory()
        for where in [w for w in self._status.problems if w.startswith(("epoch ", "verifier "))]:
            self._status.clear(where)
        self._news.set()

    async def run(self) -> None:
        """Forever: send what the chain does not show."""
        while True:
            pause = RETRY_S
            try:
                if not await self.step():
                    pause = QUIET_S
                self._status.clear("chain")
            except AuthnetError as problem:
                self._status.report("chain", problem)
            with anyio.move_on_after(pause):
                await self._news.wait()
                self._news = anyio.Event()

    async def step(self) -> bool:
        """Look at the chain and send what it lacks; whether something is still outstanding. Raises AuthnetError."""
        missing: list[Finding] = []
        for finding in self._findings:
            if finding.key in self._memory.refused:
                continue
            if await self._is_on_chain(finding):
                self._status.clear(finding.title)
                continue
            missing.append(finding)
            if finding.kind == "epoch":
                break  # nothing else counts before there is a committee
        self._status.set_outstanding([f"{finding.title} v{finding.version}" for finding in missing])
        for finding in missing:
            await self._send(finding)
        return bool(missing)

    async def _is_on_chain(self, finding: Finding) -> bool:
        if finding.kind == "epoch":
            return await self._chain.query(f"/epoch/{finding.name}", EpochView) is not None
        shown = await self._chain.query(f"/verifier/{finding.name}", VerifierView)
        return shown is not None and shown.version >= finding.version

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
