"""What the login goes by from this node's own chain: the committees, the verifiers, the age of the newest block.

Read again at every new block, never while a request waits (but for a verifier this keeper has not heard of).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol, TypeVar

import trio

from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.receipts import STALE_MS
from authnet_core.protocol.views import EpochView, StatusView, VerifierView
from p2p_dkg.login.committees import Committee, Committees

T = TypeVar("T")
_POLL_S = 0.5
_FORMER = 4
"""Former epochs asked for: hand-overs in quick succession have more than one in its grace."""


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


class ChainFacts:
    """Kept by `run`. Raises AuthnetError where a fact is not there."""

    def __init__(
        self, chain: Queries, newest_block: Callable[[], Block | None], clock: Callable[[], float] = time.time
    ) -> None:
        self._chain = chain
        self._newest_block = newest_block
        self._clock = clock
        self._committees: Committees | None = None
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
        current = await self._chain.query("/epoch/current", EpochView)
        if current is not None and current.epoch > 0:
            self._committees = Committees.of(current, await self._former(current))
        else:
            self._committees = None
            await self._note_quiet()
        records = await self._chain.query("/verifiers", list[VerifierView])
        self._verifiers = {record.name: record for record in records or []}
        self._read_ms = as_of_ms
        self.on_change()

    async def _note_quiet(self) -> None:
        status = await self._chain.query("/status", StatusView)
        if status is not None and status.epoch == 0:
            self.quiet_until_s = max(self.quiet_until_s, status.time_ms // 1000)

    async def _former(self, current: EpochView) -> list[EpochView]:
        """Retired committees, each named by the one that took over from it: read once for each current one, for they do
        not change."""
        known = self._committees
        if known is not None and known.all[0].epoch == current.epoch:
            return [committee.view for committee in known.all[1:]]
        found: list[EpochView] = []
        view: EpochView | None = current
        while view is not None and view.previous and len(found) < _FORMER:
            view = await self._chain.query(f"/epoch/{view.previous}", EpochView)
            found += [view] if view is not None and view.status == "retired" else []
        return found

    @property
    def verifiers(self) -> list[VerifierView]:
        return list(self._verifiers.values())

    @property
    def longest_limit_s(self) -> int:
        """The longest token age any record allows."""
        return max((record.iat_limit_s for record in self._verifiers.values()), default=0)

    def committees(self) -> Committees:
        """The current committee and those before it. Raises UNAVAILABLE before there is one."""
        if self._committees is None:
            raise AuthnetError(Code.UNAVAILABLE, "the network has no committee yet")
        return self._committees

    def find(self, epoch: int) -> Committee | None:
        """The committee of an epoch, None if it is unknown or its grace is over."""
        return None if self._committees is None else self._committees.find(epoch, self.now_ms())

    def now_ms(self) -> float:
        """This node's clock, or the chain's where that is ahead: a clock that is behind must not keep a committee
        going whose time is over."""
        return max(self.clock_ms(), self.newest_block_ms())

    def clock_ms(self) -> float:
        """This node's clock."""
        return self._clock() * 1000

    def newest_block_ms(self) -> int:
        """Time of the newest block, 0 before there is one."""
        block = self._newest_block()
        return 0 if block is None else block.time_ms

    def require_fresh(self) -> None:
        """A keeper whose chain lags may not know of a new committee: no receipt, no two-round release.

        Nor when the facts here could not be read lately, or the chain is ahead of this node's clock.
        """
        now_ms = self._clock() * 1000
        if any(abs(now_ms - then_ms) > STALE_MS for then_ms in (self.newest_block_ms(), self._read_ms)):
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
