"""The ABCI 2.0 application: which state each call sees, and when something is written.

FinalizeBlock computes in memory, Commit writes once, Info answers what was written. CheckTx and queries see
the last committed state. Constructible in one process on a folder, without sockets.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from abci_app.faults import Faults
from abci_app.rules.execution import Executor, Finalized, Outcome, check_tx, compute_genesis_hash
from abci_app.rules.genesis import AppState, apply_genesis
from abci_app.rules.transactions import Transactions
from abci_app.snapshots import imports
from abci_app.snapshots.restore import Answer, Applied, Offer, Offered, Restorer
from abci_app.snapshots.shelf import Shelf
from abci_app.state import records as r
from abci_app.state import tables
from abci_app.state.state import Block, State
from abci_app.state.store import Store
from authnet_core.errors import AuthnetError, Code, DecodeError, Rejected

APP_VERSION = 1


@dataclass(frozen=True, slots=True)
class InitialState:
    """What InitChain was told; kept until the first Commit."""

    chain_id: str
    time_ms: int
    app_state: AppState
    validators: r.ValidatorSet
    initial_height: int = 1


class Application:
    """One replicated state machine on one LevelDB folder."""

    def __init__(self, folder: Path, faults: Faults | None = None, export: Path | None = None) -> None:
        """`export`: the file that a genesis which goes on from another chain names."""
        self._export = export or folder / imports.FILE
        self._faults = faults or Faults()
        self.store = Store(folder, self._faults)
        self._transactions = Transactions()
        self._executor = Executor(self.store, self._transactions, self._faults)
        self._initial: InitialState | None = None
        self._finalized: Finalized | None = None
        self._check_state: State | None = None
        self._restorer = Restorer(self.store)
        self.shelf: Shelf | None = None
        """States for nodes that join; None where nobody may have them."""
        self.on_commit: Callable[[Finalized], None] = lambda finalized: None
        self._arm()

    def _arm(self) -> None:
        genesis = self.store.get(tables.GENESIS)
        self._faults.armed = genesis is not None and genesis.dev

    # what is committed

    @property
    def meta(self) -> r.Meta:
        return self.store.meta

    def _state_for(self, block: Block) -> State:
        """The committed state, or before the first Commit the one of genesis, with nothing above it."""
        state = State(self.store, block)
        state.root = self.meta.app_hash
        if self.meta.height == 0:
            if self._initial is None:
                raise AuthnetError(Code.UNAVAILABLE, "the chain has not been initialised")
            initial = self._initial
            if initial.app_state.imported is None:
                apply_genesis(state, initial.chain_id, initial.app_state, initial.validators)
        return state

    # consensus connection

    def drop_uncommitted(self) -> None:
        """A new consensus connection: what the last one finalized and did not commit never happened."""
        self._finalized = None

    def init_chain(self, initial: InitialState) -> bytes:
        """Take genesis; return its app hash. Raises ConfigError for a genesis that can not work, EXPORT_INVALID."""
        self._restorer.abandon()
        self._initial = self._check_state = None
        if self.store.is_staged:
            self.store.drop_staged()
        app_hash = self._begin(initial)
        self._initial = initial
        self._faults.armed = initial.app_state.dev
        return app_hash

    def _begin(self, initial: InitialState) -> bytes:
        if initial.app_state.imported is not None:
            return imports.stage(self.store, initial, self._export)
        state = State(self.store, Block(0, initial.time_ms))
        apply_genesis(state, initial.chain_id, initial.app_state, initial.validators)
        return compute_genesis_hash(state)

    def prepare_proposal(self, raws: Sequence[bytes], block: Block, max_bytes: int) -> list[bytes]:
        """Drop what no longer applies and bound the block."""
        state = self._state_for(block)
        params = state.need(tables.PARAMS)
        return self._executor.select(state, raws, max_bytes, params.max_block_txs)

    def process_proposal(self, raws: Sequence[bytes]) -> bool:
        """Accept whatever an honest proposer could have made: only bytes are judged, not their effect."""
        try:
            return all(self._transactions.is_signed(self._transactions.decode(raw)) for raw in raws)
        except DecodeError:
            return False

    def finalize_block(self, raws: Sequence[bytes], block: Block) -> Finalized:
        """Compute the block in memory. The app hash is in `pending.meta`."""
        self._finalized = self._executor.finalize(self._state_for(block), raws)
        return self._finalized

    def commit(self) -> None:
        """Write the finalized block."""
        if self._finalized is None:
            raise RuntimeError("Commit without FinalizeBlock")
        finalized, self._finalized = self._finalized, None
        before_ms = self.meta.time_ms
        self.store.commit(finalized.pending)
        self._check_state = None
        if self.shelf is not None:
            self.shelf.on_commit(before_ms)
        self.on_commit(finalized)
        self._faults.reach("commit_before_reply")

    # mempool connection

    def check_tx(self, raw: bytes) -> Outcome:
        """The rules' verdict on the last committed state."""
        try:
            if self._check_state is None:
                self._check_state = self._state_for(Block(self.meta.height + 1, self.meta.time_ms))
            check_tx(self._check_state, self._transactions.decode(raw), self._transactions)
        except (DecodeError, Rejected, AuthnetError) as refusal:
            return Outcome(refusal.code, refusal.message, b"", [])
        return Outcome(None, "", b"", [])

    # snapshot connection

    def offer_snapshot(self, offer: Offer, app_hash: bytes) -> Offered:
        """Take a peer's offer of a state, or refuse it."""
        verdict = self._restorer.offer(offer, app_hash)
        if verdict is Offered.ACCEPT:
            self._initial = self._finalized = self._check_state = None
        return verdict

    def apply_snapshot_chunk(self, index: int, chunk: bytes, sender: str) -> Answer:
        """Take a chunk of the state on offer."""
        answer = self._restorer.apply(index, chunk, sender)
        if answer.verdict is Applied.ACCEPT and self.meta.height:
            self._check_state = None
            self._arm()
        return answer

    def close(self) -> None:
        if self.shelf is not None:
            self.shelf.close()
        self.store.close()
