"""An exported state with its signatures, and the genesis of the chain that goes on from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import msgspec

from abci_app.abci.application import Application, InitialState
from abci_app.rules.genesis import AppState
from abci_app.snapshots import export_file
from abci_app.snapshots.export_file import Header
from abci_app.snapshots.exports import Export, make
from abci_app.state import records as r
from authnet_core.crypto.ecdsa import sign
from authnet_core.crypto.secp256k1 import pub
from tests.unit.abci.world import NETWORK, World, consensus_key, secret


def export(app: Application) -> Export:
    return anyio.run(make, app.store.hold())


def signed(header: Header, members: Sequence[int]) -> Header:
    """With the signatures of these members."""
    digest = header.statement
    names = {pub(secret("id", j)).hex(): sign(secret("id", j), digest).hex() for j in members}
    return msgspec.structs.replace(header, signatures=names)


def genesis(world: World, header: Header, **changes: Any) -> InitialState:
    """What InitChain of the new chain is told."""
    members = range(1, world.n + 1)
    app_state = AppState(
        network_id=NETWORK,
        eth_chain_id=31337,
        registry="0x00",
        observers=tuple(pub(secret("id", j)).hex() for j in members),
        dev=True,
        imported=header,
    )
    validators = r.ValidatorSet(tuple(sorted((consensus_key(j), 1) for j in members)))
    initial = InitialState(f"{NETWORK}-2", header.time_ms, app_state, validators, header.height + 1)
    return replace(initial, **changes)


def written(world: World, path: Path, members: Sequence[int] = (1, 2, 3, 4)) -> Header:
    """Export the newest state of `world` to `path`."""
    made = export(world.app)
    header = signed(made.header, members)
    export_file.write(path, header, made.chunks())
    made.close()
    return header
