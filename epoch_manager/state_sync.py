"""For a node that joins by state sync: the block it trusts, found once and written for the supervisor.

It is found before genesis.json is written, which is what starts the chain. Touches cometbft/config/trust.json.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.committee import Committee
from authnet_runtime.config import NodeConfig
from authnet_runtime.genesis import chain_id
from authnet_runtime.registry_state import EpochState
from authnet_runtime.trust import Trust, find_trust
from epoch_manager.files import write_atomically

_LEAST_SERVERS = 2
"""CometBFT refuses fewer."""


async def settle_trust(config: NodeConfig, epochs: Sequence[EpochState]) -> None:
    """Find the block and write it, unless it is there or not wanted. `epochs`: whose committees to ask, in turn.

    Raises AuthnetError while too few members answer alike.
    """
    path = config.dir / "cometbft" / "config" / "trust.json"
    if not config.toml.cometbft.state_sync or config.genesis.exists() or path.exists():
        return
    problem = AuthnetError(Code.UNAVAILABLE, "no committee is known")
    for epoch in epochs:
        try:
            trust = await _ask(config, epoch)
        except AuthnetError as error:
            problem = error
            continue
        write_atomically(path, msgspec.json.encode(trust), 0o644)
        return
    raise problem


async def _ask(config: NodeConfig, epoch: EpochState) -> Trust:
    endpoints = [member.endpoint for member in epoch.members]
    needed = max(_LEAST_SERVERS, Committee.of(epoch.n).quorum)
    return await find_trust(endpoints, needed, chain_id(config.toml.node.network_id))
