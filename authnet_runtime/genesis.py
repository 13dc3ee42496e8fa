"""genesis.json of a network's first chain, byte for byte the same for everybody who derives it.

It depends on epoch 1 of the registry alone, which is frozen once started: members in party order are the validators,
each of power 1, and their identity keys are observers; genesis time is the time of the block that started the epoch.
"""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime
from typing import Any

from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.committee import SUPPORTED_SIZES, Committee
from authnet_runtime.registry_state import EpochState, EpochStatus

FIRST_EPOCH = 1
BLOCK_MAX_BYTES = 2_097_152
REVISION = 1


def chain_id(network_id: str, revision: int = REVISION) -> str:
    """CometBFT's chain id; account ids use `network_id` alone and survive a new revision."""
    return f"{network_id}-{revision}"


def _validator(consensus: str) -> dict[str, Any]:
    key = bytes.fromhex(consensus)
    return {
        "address": hashlib.sha256(key).digest()[:20].hex().upper(),
        "pub_key": {"type": "tendermint/PubKeyEd25519", "value": base64.b64encode(key).decode()},
        "power": "1",
        "name": "",
    }


def _consensus_params() -> dict[str, Any]:
    return {
        "block": {"max_bytes": str(BLOCK_MAX_BYTES), "max_gas": "-1"},
        "evidence": {"max_age_num_blocks": "100000", "max_age_duration": "172800000000000", "max_bytes": "1048576"},
        "validator": {"pub_key_types": ["ed25519"]},
        "version": {"app": "0"},
        "abci": {"vote_extensions_enable_height": "0"},
    }


def _check(epoch: EpochState, *, allow_forkable: bool) -> None:
    if epoch.status is not EpochStatus.STARTED or len(epoch.members) != epoch.n:
        text = f"epoch {epoch.epoch} has not started: {len(epoch.members)} of {epoch.n} members are registered"
        raise AuthnetError(Code.EPOCH_NOT_STARTED, text)
    formula = Committee.of(epoch.n)
    if (epoch.k, epoch.t) != (formula.k, formula.t) or not formula.is_sound:
        text = f"epoch {epoch.epoch}: n={epoch.n} needs k={formula.k} and t={formula.t}"
        raise AuthnetError(Code.RECORD_REFUSED, text)
    if epoch.n not in SUPPORTED_SIZES and not allow_forkable:
        text = f"epoch {epoch.epoch}: with n={epoch.n} fewer than k nodes could fork the chain; use {SUPPORTED_SIZES}"
        raise AuthnetError(Code.RECORD_REFUSED, text)


def derive_genesis(
    epoch: EpochState,
    *,
    network_id: str,
    dev: bool,
    eth_chain_id: int,
    registry: str,
    params: dict[str, int] | None = None,
) -> bytes:
    """The bytes of genesis.json. Raises AuthnetError: EPOCH_NOT_STARTED, RECORD_REFUSED, NOT_DEV."""
    if params and not dev:
        raise AuthnetError(Code.NOT_DEV, "only a dev network may change parameters in its genesis")
    _check(epoch, allow_forkable=bool((params or {}).get("allow_forkable")))
    genesis = {
        "genesis_time": datetime.fromtimestamp(epoch.started_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "chain_id": chain_id(network_id),
        "initial_height": "1",
        "consensus_params": _consensus_params(),
        "validators": [_validator(member.consensus) for member in epoch.members],
        "app_hash": "",
        "app_state": {
            "network_id": network_id,
            "eth_chain_id": eth_chain_id,
            "registry": registry.lower(),
            "dev": dev,
            "observers": [member.identity for member in epoch.members],
            "params": dict(sorted((params or {}).items())),
        },
    }
    return (json.dumps(genesis, indent=1) + "\n").encode()


def moved_genesis(app_state: dict[str, Any], chain_id: str, height: int, time_ms: int, consensus: list[str]) -> bytes:
    """genesis.json of a chain that goes on at `height` from another one's exported state, which `app_state` names."""
    stamp = datetime.fromtimestamp(time_ms // 1_000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    genesis = {
        "genesis_time": f"{stamp}.{time_ms % 1_000:03d}Z",
        "chain_id": chain_id,
        "initial_height": str(height),
        "consensus_params": _consensus_params(),
        "validators": [_validator(key) for key in consensus],
        "app_hash": "",
        "app_state": app_state,
    }
    return (json.dumps(genesis, indent=1) + "\n").encode()


async def build_genesis(
    rpc: str, registry: str, params: dict[str, int] | None = None, *, allow_forkable: bool = False
) -> bytes:
    """Derive genesis.json from epoch 1 of the contract at Ethereum's finalized block. Raises AuthnetError.

    `allow_forkable` is a parameter of the chain too, so only a dev network can have it.
    """
    from authnet_runtime.ethereum import Ethereum
    from authnet_runtime.registry import Registry

    async with Ethereum(rpc) as ethereum:
        contract = Registry(ethereum, registry)
        network_id, dev = await contract.network()
        finalized = await ethereum.block("finalized")
        if finalized is None:
            raise AuthnetError(Code.UNAVAILABLE, "Ethereum has no finalized block yet")
        epoch = await contract.epoch(FIRST_EPOCH, finalized)
        if epoch is None:
            raise AuthnetError(Code.EPOCH_NOT_STARTED, f"epoch {FIRST_EPOCH} is not announced in {registry}")
        return derive_genesis(
            epoch,
            network_id=network_id,
            dev=dev,
            eth_chain_id=await ethereum.chain_id(),
            registry=registry,
            params=(params or {}) | ({"allow_forkable": 1} if allow_forkable else {}),
        )
