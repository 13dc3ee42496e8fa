"""The state that InitChain makes from genesis.json's app_state and validators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from msgspec.structs import replace

from abci_app.snapshots.export_file import Header
from abci_app.state import records as r
from abci_app.state import tables
from abci_app.state.state import State
from authnet_core.crypto.secp256k1 import is_point
from authnet_core.errors import ConfigError
from authnet_core.json_text import NOT_JSON
from authnet_core.protocol.dkg.params import MAX_ROWS
from authnet_core.protocol.receipts import MIN_SERVE_DELAY_MS

_COUNT = (1, 1_000_000)
_PERCENT = (0, 100)
_BOUNDS: Mapping[str, tuple[int, int]] = {
    "min_blocks": (1, 1_000),
    "first_rows": (1, MAX_ROWS),
    "rows": (1, MAX_ROWS),
    "sessions_in_flight": (1, 16),
    "reserve_percent": _PERCENT,
    "lookup_percent": _PERCENT,
    "quota": _COUNT,
    "quota_window_ms": (1, 86_400_000),
    "expiry_window": (1, 10_000),
    "max_block_txs": _COUNT,
    "enckey_ahead": (1, 10_000),
    "recent_sessions": (1, 1_000),
    "allow_forkable": (0, 1),
    "enckey_quota": _COUNT,
    "observe_quota": _COUNT,
    "account_keys": (1, 1_000),
    "block_complaints": (1, 64),
    "complaint_quota": _COUNT,
    "handover_max_ms": (1_000, 366 * 86_400_000),
    "reshares_in_flight": (1, 16),
    "reshare_attempts": (1, 1_000),
    "mask_reserve": (1, 1_000),
}
"""Numbers outside of these make no chain that works: no key could be made, or one member could stop it."""


class AppState(msgspec.Struct, frozen=True):
    """app_state of genesis.json. `params` overrides numbers of the rules by name."""

    network_id: str
    eth_chain_id: int
    registry: str
    observers: tuple[str, ...]
    dev: bool = False
    params: dict[str, int] = {}
    imported: Header | None = None
    """The signed export that this chain goes on from; then `observers` is the committee in charge."""


def parse(raw: bytes) -> AppState:
    """Read app_state. Raises ConfigError naming the field."""
    try:
        return msgspec.json.decode(raw, type=AppState)
    except NOT_JSON as error:
        raise ConfigError(f"genesis.app_state: {error}") from None


def _parse_observers(texts: Sequence[str]) -> tuple[bytes, ...]:
    observers = []
    for place, text in enumerate(texts, start=1):
        try:
            key = bytes.fromhex(text)
        except ValueError:
            key = b""
        if not is_point(key) or key in observers:
            raise ConfigError(f"genesis.app_state.observers: number {place} is no identity key of its own")
        observers.append(key)
    return tuple(observers)


def _parse_params(overrides: dict[str, int], *, dev: bool) -> r.Params:
    known = msgspec.structs.asdict(r.Params())
    for name, number in overrides.items():
        if name not in known:
            raise ConfigError(f"genesis.app_state.params.{name}: unknown")
        least, most = _BOUNDS.get(name, (0, 2**53 - 1))
        if not least <= number <= most:
            raise ConfigError(f"genesis.app_state.params.{name}: must be {least} to {most}")
    params = replace(r.Params(), **overrides)
    if params.pool_low > params.pool_high:
        raise ConfigError("genesis.app_state.params.pool_low: must not be above pool_high")
    if params.t_q_ms > params.t_max_ms:
        raise ConfigError("genesis.app_state.params.t_q_ms: must not be above t_max_ms")
    if not dev and params.serve_delay_ms < MIN_SERVE_DELAY_MS:
        raise ConfigError(f"genesis.app_state.params.serve_delay_ms: must be {MIN_SERVE_DELAY_MS} or more")
    return params


def apply_genesis(state: State, chain_id: str, app_state: AppState, validators: r.ValidatorSet) -> None:
    """Write the first state. Raises ConfigError naming what is wrong."""
    if not chain_id.startswith(f"{app_state.network_id}-"):
        raise ConfigError(f"genesis.chain_id: must be {app_state.network_id}-<revision>")
    observers = _parse_observers(app_state.observers)
    if len(validators.members) != len(observers):
        raise ConfigError(f"genesis.validators: {len(validators.members)}, but {len(observers)} observers")
    if any(len(key) != 32 or power != 1 for key, power in validators.members):
        raise ConfigError("genesis.validators: each must be an ed25519 key of power 1")
    genesis = r.Genesis(
        chain_id=chain_id,
        network_id=app_state.network_id,
        eth_chain_id=app_state.eth_chain_id,
        registry=app_state.registry,
        dev=app_state.dev,
        observers=observers,
    )
    state.put(tables.GENESIS, genesis)
    state.put(tables.PARAMS, _parse_params(app_state.params, dev=app_state.dev))
    state.put(tables.VALIDATORS, validators)
    state.put(tables.KEYGEN, r.Keygen(next_counter=0))
    state.put(tables.INDICES, r.Indices())
    for place in (tables.OPEN_SESSIONS, tables.RECENT_SESSIONS, tables.RETAINED_SESSIONS):
        state.put(place, r.SessionList())
    state.put(tables.VERIFIER_NAMES, r.Names())
