"""What a block costs as the state grows: FinalizeBlock and Commit of one ASSIGN, and of a hundred, by accounts.

In process, on the real rules and a real LevelDB with synced batches. The accounts are put into the tree in bulk.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from abci_app.abci.application import InitialState
from abci_app.rules.execution import Finalized
from abci_app.state import records as r
from abci_app.state import tables
from abci_app.state.state import Block, State, encode
from abci_app.state.store import Pending
from authnet_core.crypto import smt
from bench.figures import median
from bench.preload import CHAIN_ID, CURVE, PreloadedApplication, account, app_state, assign_tx, fill

CHUNK = 25_000
REPEATS = 30
FREE = 20_000
SIZES = (100, 1_000, 10_000, 100_000, 1_000_000)


def measure(sizes: tuple[int, ...] = SIZES) -> dict[str, dict[str, float]]:
    """accounts -> medians of FinalizeBlock plus Commit: by the clock, and by the CPU of the thread that computes."""
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(prefix="authnet-bench-") as folder:
        app = PreloadedApplication(Path(folder), fill_state=lambda state: fill(state, FREE))
        initial = InitialState(CHAIN_ID, 1_000, app_state(), r.ValidatorSet(((bytes(32), 1),)))
        app.init_chain(initial)
        _block(app, [])
        stored = 0
        for size in sizes:
            while stored < size:
                stored = _grow(app, stored, min(size, stored + CHUNK))
            one = [_timed(app, size, i, 1) for i in range(REPEATS)]
            hundred = [_timed(app, size, i, 100) for i in range(REPEATS // 3)]
            found[str(size)] = {
                "one_ms": round(1e3 * median([wall for wall, _ in one]), 3),
                "one_cpu_ms": round(1e3 * median([cpu for _, cpu in one]), 3),
                "hundred_ms": round(1e3 * median([wall for wall, _ in hundred]), 3),
                "hundred_cpu_ms": round(1e3 * median([cpu for _, cpu in hundred]), 3),
            }
        app.close()
    return found


def _block(app: PreloadedApplication, raws: list[bytes]) -> Finalized:
    meta = app.meta
    finalized = app.finalize_block(raws, Block(meta.height + 1, meta.time_ms + 1_000))
    app.commit()
    return finalized


def _timed(app: PreloadedApplication, size: int, repeat: int, count: int) -> tuple[float, float]:
    label = f"timed/{size}/{repeat}/{count}"
    raws = [assign_tx(account(label, i), app.meta.height) for i in range(count)]
    for raw in raws:
        # As in production, CheckTx has seen them: signatures are verified once, not in the block.
        assert app.check_tx(raw).code is None
    began, worked = time.perf_counter(), time.thread_time()
    finalized = _block(app, raws)
    took = (time.perf_counter() - began, time.thread_time() - worked)
    assert all(outcome.code is None for outcome in finalized.outcomes)
    return took


def _grow(app: PreloadedApplication, start: int, end: int) -> int:
    """Put accounts [start, end) and their keys into the tree, as ASSIGN would have."""
    state = State(app.store, Block(app.meta.height + 1, app.meta.time_ms + 1_000))
    for number in range(start, end):
        name, index = account("stored", number), 10**9 + number
        key = r.Key(CURVE, b"\x02" + name, b"\x03" + name, name, number, 1, name, state.block.time_ms)
        state.put(tables.key(index), key)
        state.put(tables.account(name), r.Account(((CURVE, index),)))
    values: dict[bytes, bytes | None] = {k: encode(v) for k, v in state.changes.items() if v is not None}
    app_hash, nodes = smt.update(app.store.node, values)
    meta = r.Meta(state.block.height, state.block.time_ms, app_hash, state.block.height)
    app.store.commit(Pending(meta, values, state.changes, nodes, {}, {}))
    app.drop_uncommitted()
    app._check_state = None  # the state changed below it
    return end
