"""What the login goes by from this node's own chain: the committee, the verifiers, the age of the newest block.

Read again at every new block, never while a request waits (but for a verifier this keeper has not heard of).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

import trio

from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.views import EpochView, StatusView, VerifierView
from p2p_dkg.login.receipt_quorum import Expected

T = TypeVar("T")
APART_MS = 30_000
"""How far this node's clock and the newest block it has read may be apart."""
_POLL_S = 0.5


class Queries(Protocol):
    """The part of ChainReader that is used here."""

    async def query(self, path: str, type: type[T]) -> T | None:
        """The decoded value, None if absent. Raises AuthnetError."""


class Block(Protocol):
    """The part of a BlockNote that is used here."""

    @property
    def height(self) -> int: ...

    @property
    def time_ms(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Committee:
    """The serving committee as a login sees it."""

    epoch: int
    quorum: int
    identities: dict[int, bytes]
    serving_from_ms: int

    @staticmethod
    def of(view: EpochView) -> Committee:
        keys = {member.index: bytes.fromhex(member.identity) for member in view.members}
        return Committee(view.epoch, view.n - view.t, keys, view.serving_from_ms)

    def expect(self, token_hash: bytes, verifier: str, network_id: str) -> Expected:
        """What this committee's receipts for one token must say."""
        return Expected(token_hash, verifier, network_id, self.epoch, self.identities, self.quorum)


class ChainFacts:
    """Kept by `run`. Raises AuthnetError where a fact is not there."""

    def __init__(
        self, chain: Queries, newest_block: Callable[[], Block | None], clock: Callable[[], float] = time.time
    ) -> None:
        self._chain = chain
        self._newest_block = newest_block
        self._clock = clock
        self._committee: Committee | None = None
        self._verifiers: dict[str, VerifierView] = {}
        self._next_look = 0.0
        self._read_ms = 0
        self.on_change: Callable[[], None] = _nothing
        self.quiet_until_s = 0
        """Newest block time seen at which there was no committee."""

    async def run(self) -> None:
        """Follow the chain; `on_change` is called after each look."""
        seen = -1
        while True:
            block = self._newest_block()
            if block is not None and block.height != seen:
                try:
                    await self.refresh()
                    seen = block.height
                except AuthnetError:
                    pass  # abci_app is starting again: what is known stays, and grows stale
            await trio.sleep(_POLL_S)

    async def refresh(self) -> None:
        """Read committee and verifiers. Raises AuthnetError(UNAVAILABLE) while abci_app is down."""
        as_of_ms = self.newest_block_ms()
        status = await self._chain.query("/status", StatusView)
        if status is not None and status.epoch == 0:
            self.quiet_until_s = max(self.quiet_until_s, status.time_ms // 1000)
        epoch = await self._chain.query("/epoch/current", EpochView)
        self._committee = Committee.of(epoch) if epoch is not None and epoch.epoch > 0 else None
        records = await self._chain.query("/verifiers", list[VerifierView])
        self._verifiers = {record.name: record for record in records or []}
        self._read_ms = as_of_ms
        self.on_change()

    @property
    def verifiers(self) -> list[VerifierView]:
        return list(self._verifiers.values())

    @property
    def longest_limit_s(self) -> int:
        """The longest token age any record allows."""
        return max((record.iat_limit_s for record in self._verifiers.values()), default=0)

    def committee(self) -> Committee:
        """The serving committee."""
        if self._committee is None:
            raise AuthnetError(Code.UNAVAILABLE, "the network has no committee yet")
        return self._committee

    def newest_block_ms(self) -> int:
        """Time of the newest block, 0 before there is one."""
        block = self._newest_block()
        return 0 if block is None else block.time_ms

    def require_fresh(self) -> None:
        """A keeper whose chain lags may not know of a new committee: no receipt, no two-round release.

        Nor when the facts here could not be read lately, or the chain is ahead of this node's clock.
        """
        now_ms = self._clock() * 1000
        if any(abs(now_ms - then_ms) > APART_MS for then_ms in (self.newest_block_ms(), self._read_ms)):
            raise AuthnetError(Code.CHAIN_STALE, "this node's newest block is more than 30 s old")

    async def verifier(self, name: str) -> VerifierView:
        """The record of `name`. Raises VERIFIER_UNKNOWN; the text is what existing clients look for."""
        record = self._verifiers.get(name) or await self._ask_once(name)
        if record is None or record.removed:
            raise AuthnetError(Code.VERIFIER_UNKNOWN, "Verifier not supported")
        return record

    async def _ask_once(self, name: str) -> VerifierView | None:
        """A record younger than the last look. One look a second, whoever asks for however many names."""
        now = trio.current_time()
        if now >= self._next_look:
            self._next_look = now + 1.0
            await self.refresh()
        return self._verifiers.get(name)


def _nothing() -> None:
    return
