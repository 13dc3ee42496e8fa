"""A state with a full pool, made without a network: what a block costs is then measured on the real rules.

    python -m bench.preload NODE/node.toml [--supervised-fd N]

runs the real abci_app on a chain whose genesis state also holds an epoch of one member, a verifier and free keys.
The keys are made up: no rule looks inside a key when it is assigned.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from abci_app.abci.application import Application, InitialState
from abci_app.rules.execution import compute_genesis_hash
from abci_app.rules.genesis import AppState
from abci_app.state import records as r
from abci_app.state import tables
from abci_app.state.state import Block, State
from authnet_core.crypto import secp256k1
from authnet_core.wire import authnet_pb2 as pb
from authnet_core.wire.tx import PROTOCOL_VERSION, sign_tx

NETWORK = "bench"
CHAIN_ID = "bench-1"
VERIFIER = "bench-idp"
SECRET = hashlib.sha256(b"authnet bench identity").digest()
SIGNER = secp256k1.pub(SECRET)
FREE_KEYS = 120_000
CURVE = "secp256k1"
PARAMS = {"quota": 1_000_000, "quota_window_ms": 3_600_000, "pool_low": 0, "pool_high": 0}


def app_state() -> AppState:
    return AppState(NETWORK, 31_337, "0x" + "00" * 20, (SIGNER.hex(),), dev=True, params=PARAMS)


def fill(state: State, free_keys: int = FREE_KEYS) -> None:
    """Epoch 1 with one member, a verifier, and a final session whose keys are all free."""
    member = r.Member(1, "0x" + "00" * 20, SIGNER, bytes(32), "peer", "addr", "addr", "http://127.0.0.1")
    state.put(tables.epoch(1), r.Epoch(1, 1, 1, 0, (member,), bytes(32), bytes(32), "serving", 0))
    state.put(tables.CURRENT_EPOCH, r.CurrentEpoch(1))
    record = r.Verifier(
        VERIFIER,
        1,
        "http://127.0.0.1",
        "http://127.0.0.1/jwks",
        (),
        "sub",
        "exact",
        ("RS256",),
        120,
        "nonce",
        "",
        False,
    )
    state.put(tables.verifier(VERIFIER), record)
    state.put(tables.VERIFIER_NAMES, r.Names((VERIFIER,)))
    sid = hashlib.sha256(b"bench session").digest()
    batch = r.PoolBatch(sid, 1, 0, True, ((0, free_keys),))
    state.put(tables.pool(CURVE), r.Pool(CURVE, free_keys, 0, free_keys, False, (batch,)))
    state.put(tables.INDICES, r.Indices(free_keys))
    state.put_bulk(tables.session_start(0), sid)
    for index in range(free_keys):
        half = hashlib.sha256(index.to_bytes(8, "big")).digest()
        state.put_bulk(tables.pool_key(index), b"\x02" + half + b"\x03" + half)


class PreloadedApplication(Application):
    """The application, on a genesis state with a full pool."""

    def __init__(self, folder: Path, *args: object, fill_state: Callable[[State], None] = fill) -> None:
        super().__init__(folder)
        self._fill = fill_state

    def _state_for(self, block: Block) -> State:
        state = super()._state_for(block)
        if self.meta.height == 0:
            self._fill(state)
        return state

    def init_chain(self, initial: InitialState) -> bytes:
        super().init_chain(initial)
        return compute_genesis_hash(self._state_for(Block(0, initial.time_ms)))


def assign_tx(account: bytes, height: int, *, number: int = 0) -> bytes:
    """A signed ASSIGN of a new account, valid for the next 90 blocks."""
    body = pb.TxBody(chain_id=CHAIN_ID, version=PROTOCOL_VERSION, epoch=1, expiry_height=height + 90)
    body.assign.CopyFrom(
        pb.Assign(
            verifier=VERIFIER,
            account_id=account,
            curve=pb.CURVE_SECP256K1,
            number=number,
            purpose=pb.PURPOSE_LOGIN,
        )
    )
    return sign_tx(SECRET, SIGNER, body)


def account(label: str, number: int) -> bytes:
    return hashlib.sha256(f"{label}/{number}".encode()).digest()


def main() -> None:
    """The real process, with the other genesis state."""
    from abci_app import __main__ as process

    process.Application = PreloadedApplication  # type: ignore[misc]
    process.main()


if __name__ == "__main__":
    main()
