"""Running a block: the one rule set behind CheckTx, PrepareProposal, ProcessProposal and FinalizeBlock.

Nothing here writes; the result is a `Pending` that Commit hands to the store.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from abci_app.faults import Faults
from abci_app.handlers import HANDLERS
from abci_app.handover import handover, roots
from abci_app.rules import replay
from abci_app.rules.events import Event
from abci_app.rules.transactions import Transactions, Tx, check_envelope
from abci_app.sessions import flow as session_flow
from abci_app.state import records as r
from abci_app.state.state import State, encode
from abci_app.state.store import Pending, Store
from authnet_core.crypto import smt
from authnet_core.errors import Code, DecodeError, Rejected


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result of one transaction. `code` None means it was accepted."""

    code: Code | None
    log: str
    data: bytes
    events: list[Event]
    tx_hash: bytes = b""
    """CometBFT's name for a refused transaction: it leaves no other trace for its sender."""


@dataclass(frozen=True, slots=True)
class Finalized:
    """A block that was computed: what to answer, and what Commit will write."""

    outcomes: list[Outcome]
    events: list[Event]
    pending: Pending
    validator_updates: tuple[tuple[bytes, int], ...] = ()
    """(ed25519 key, power); 0 takes one out."""

    @property
    def all_events(self) -> list[Event]:
        found = [event for outcome in self.outcomes for event in outcome.events]
        return found + self.events

    @property
    def refused(self) -> dict[str, Code]:
        """Transactions that this block brought to nothing, by hash."""
        return {outcome.tx_hash.hex(): outcome.code for outcome in self.outcomes if outcome.code is not None}


def check_tx(state: State, tx: Tx, transactions: Transactions) -> None:
    """Raise Rejected if the rules refuse `tx` in this state."""
    check_envelope(state, tx, transactions)
    handler = HANDLERS.get(tx.kind)
    if handler is None:
        raise Rejected(Code.WRONG_PHASE, f"{tx.kind} is not served")
    handler.check(state, tx)


def run_tx(state: State, raw: bytes, transactions: Transactions) -> Outcome:
    """Execute one transaction: all of it, or nothing and a code."""
    try:
        tx = transactions.decode(raw)
        check_tx(state, tx, transactions)
    except (DecodeError, Rejected) as refusal:
        return Outcome(refusal.code, refusal.message, b"", [], sha256(raw).digest())
    data, events = HANDLERS[tx.kind].apply(state, tx)
    state.remember(tx.expiry, tx.replay_id)
    return Outcome(None, "", data, events)


def _start_clocks(state: State) -> None:
    session_flow.start_clocks(state)
    handover.start_clocks(state)


class Executor:
    """Runs blocks over the committed state of `store`."""

    def __init__(self, store: Store, transactions: Transactions, faults: Faults) -> None:
        self._store, self._transactions, self._faults = store, transactions, faults

    def select(self, state: State, raws: Sequence[bytes], max_bytes: int, max_txs: int) -> list[bytes]:
        """Those that still apply one after another, within the bounds. `state` is a scratch copy."""
        chosen: list[bytes] = []
        _start_clocks(state)
        for raw in raws:
            # Each transaction costs a protobuf tag and a length in the block.
            cost = len(raw) + 6
            if cost > max_bytes:
                continue
            if len(chosen) >= max_txs:
                break
            if run_tx(state, raw, self._transactions).code is None:
                chosen.append(raw)
                max_bytes -= cost
        return chosen

    def finalize(self, state: State, raws: Sequence[bytes]) -> Finalized:
        """Run a block on `state`, which starts as the committed one plus genesis if nothing is committed yet."""
        self._faults.reach("finalize_begin")
        _start_clocks(state)
        outcomes = [run_tx(state, raw, self._transactions) for raw in raws]
        self._faults.reach("finalize_transactions")
        events = session_flow.advance(state) + handover.advance(state)
        dropped = replay.close_block(state, self._store.seen_expiries())
        roots.note(state, self._store.raw)
        pending = self._seal(state, dropped)
        self._faults.reach("finalize_end")
        return Finalized(outcomes, events, pending, state.validator_updates)

    def _seal(self, state: State, dropped: tuple[int, ...]) -> Pending:
        """Update the tree once for the whole block."""
        values = {key: None if record is None else encode(record) for key, record in state.changes.items()}
        app_hash, nodes = smt.update(self._store.node, values)
        before = self._store.meta
        root_height = before.root_height if app_hash == before.app_hash else state.block.height
        meta = r.Meta(state.block.height, state.block.time_ms, app_hash, root_height)
        return Pending(meta, values, state.changes, nodes, state.bulk_changes, state.remembered, dropped)


def compute_genesis_hash(state: State) -> bytes:
    """App hash of the state that InitChain makes, before any block."""
    values = {key: None if record is None else encode(record) for key, record in state.changes.items()}
    return smt.update(lambda position: None, values)[0]
