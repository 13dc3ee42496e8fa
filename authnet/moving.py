"""Making a chain's genesis from an export, and taking a stopped node to it. Touches the node's folder only."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from abci_app.abci.application import Application, InitialState
from abci_app.rules.genesis import parse
from abci_app.snapshots import export_file, imports
from abci_app.snapshots.export_file import Header
from abci_app.snapshots.survival import invalid
from abci_app.state import records as r
from abci_app.state import tables
from abci_app.state.state import decode
from authnet_core.errors import AuthnetError, Code, ConfigError
from authnet_core.protocol.exports import next_chain_id
from authnet_runtime.config import load_node
from authnet_runtime.genesis import moved_genesis
from p2p_dkg.keystore.files import locked, read_passphrase
from p2p_dkg.keystore.moving import move_keystore


@dataclass(frozen=True, slots=True)
class Beginning:
    """A new chain, whose first state was put together once to be sure of it."""

    genesis: bytes
    chain_id: str
    former: str
    """Chain id of the chain that it goes on from."""
    summary: dict[str, Any]


def begin(file: Path, scratch: Path) -> Beginning:
    """Check an export as abci_app will at InitChain, in the empty folder `scratch`. Raises EXPORT_INVALID, OSError."""
    header = export_file.read_header(file)
    genesis, epoch = _heads(file)
    chain_id = next_chain_id(header.network_id, header.chain_id)
    app_state = {
        "network_id": genesis.network_id,
        "eth_chain_id": genesis.eth_chain_id,
        "registry": genesis.registry,
        "dev": genesis.dev,
        "observers": [member.identity.hex() for member in epoch.members],
        "imported": msgspec.to_builtins(header),
    }
    consensus = [member.consensus.hex() for member in epoch.members]
    text = moved_genesis(app_state, chain_id, header.height + 1, header.time_ms, consensus)
    validators = r.ValidatorSet(tuple(sorted((member.consensus, 1) for member in epoch.members)))
    app = Application(scratch / "abci", export=file)
    try:
        told = parse(json.dumps(app_state).encode())
        initial = InitialState(chain_id, header.time_ms, told, validators, header.height + 1)
        app_hash = app.init_chain(initial)
    finally:
        app.close()
    return Beginning(text, chain_id, header.chain_id, _summary(header, chain_id, epoch, app_hash))


def _summary(header: Header, chain_id: str, epoch: r.Epoch, app_hash: bytes) -> dict[str, Any]:
    signers = header.signers(member.identity for member in epoch.members)
    return {
        "chain_id": chain_id,
        "initial_height": header.height + 1,
        "app_hash": app_hash.hex(),
        "export_hash": header.hash.hex(),
        "epoch": epoch.epoch,
        "committee_hash": epoch.committee_hash.hex(),
        "signed_by": [member.index for member in epoch.members if member.identity in signers],
    }


def _heads(file: Path) -> tuple[r.Genesis, r.Epoch]:
    """Genesis and the committee in charge, as the export has them."""
    wanted: dict[bytes, bytes] = {}
    for found in export_file.read_entries(file):
        for key, value in found:
            name = key[1:] if key[:1] == tables.VALUES else b""
            if name in (tables.GENESIS.key, tables.CURRENT_EPOCH.key) or name.startswith(b"epoch/"):
                wanted[name] = value
    try:
        current = decode(wanted[tables.CURRENT_EPOCH.key], r.CurrentEpoch)
        epoch = decode(wanted[tables.epoch(current.epoch).key], r.Epoch)
        return decode(wanted[tables.GENESIS.key], r.Genesis), epoch
    except (KeyError, msgspec.MsgspecError, RecursionError):
        raise invalid("the export has no committee") from None


def take_node(folder: Path, file: Path, made: Beginning) -> int:
    """Take a stopped node to the new chain; the number of batches it keeps. Raises AuthnetError, OSError.

    The signer's state goes first and comes last: whatever is between, CometBFT does not start without it, and the
    command can be given again.
    """
    config = load_node(folder / "node.toml")
    signer = config.dir / "cometbft" / "data" / "priv_validator_state.json"
    if config.abci_sock.exists():
        raise ConfigError("node.dir: the node runs; stop it first")
    if _chain_id(config.genesis) == made.chain_id and signer.exists():
        # A signer that begins anew a second time would sign heights of the new chain twice.
        raise AuthnetError(Code.EXPORT_INVALID, f"the node is on {made.chain_id} already")
    with locked(config.dir / "keeper"):
        _set_aside(config.dir / "cometbft" / "data", made.former)
        _set_aside(config.dir / "abci", made.former)
        shutil.copyfile(file, config.dir / imports.FILE)
        _write(config.genesis, made.genesis)
        secret = read_passphrase(config.passphrase_file)
        network_id = config.toml.node.network_id
        batches = move_keystore(config.dir / "keeper", network_id, secret, made.former, made.chain_id)
    # Votes name their chain: those of the old one bind nobody here.
    _write(signer, json.dumps({"height": "0", "round": 0, "step": 0}, indent=2).encode())
    return batches


def _chain_id(genesis: Path) -> str:
    try:
        return str(json.loads(genesis.read_bytes()).get("chain_id", ""))
    except (OSError, ValueError, AttributeError, RecursionError):
        return ""


def _set_aside(place: Path, former: str) -> None:
    aside = place.with_name(f"{place.name}.{former}")
    if place.exists() and not aside.exists():
        place.rename(aside)
    place.mkdir(mode=0o700, exist_ok=True)


def _write(path: Path, content: bytes) -> None:
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_bytes(content)
    fresh.chmod(0o600)
    with fresh.open("rb") as file:
        os.fsync(file.fileno())
    fresh.replace(path)
