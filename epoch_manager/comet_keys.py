"""CometBFT's key files of this node: read, and made if the node has none at all.

A consensus key without its signer state is refused: starting it anew could sign a height twice.
Touches NODE/cometbft/{config,data} only.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from authnet_core.errors import Code, ConfigError
from authnet_runtime.logs import get_logger
from authnet_runtime.registry_state import EpochState
from epoch_manager.files import write_atomically

_PRIVATE_TYPE = "tendermint/PrivKeyEd25519"
_PUBLIC_TYPE = "tendermint/PubKeyEd25519"
_PLACE = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):([0-9]{1,5})")
_log = get_logger("epoch")


@dataclass(frozen=True, slots=True)
class CometKeys:
    """The public halves, in hex."""

    consensus: str
    comet_id: str


def load_or_create(home: Path) -> CometKeys:
    """Return the node's public CometBFT keys, making key files where there are none. Raises ConfigError."""
    config, state = home / "config", home / "data" / "priv_validator_state.json"
    validator, node = config / "priv_validator_key.json", config / "node_key.json"
    for folder in (config, home / "data"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not validator.exists() and not state.exists():
        _write_new(state, {"height": "0", "round": 0, "step": 0})
        _write_new(validator, _validator_file(Ed25519PrivateKey.generate()))
    if not validator.exists() or not state.exists():
        missing = validator if state.exists() else state
        raise ConfigError(
            f"cometbft.home: {missing.name} is missing; restore both files, or take a new key with a new state"
        )
    if not node.exists():
        _write_new(node, {"priv_key": _private(Ed25519PrivateKey.generate())})
    consensus = _public_of(validator)
    return CometKeys(consensus.hex(), hashlib.sha256(_public_of(node)).digest()[:20].hex())


def write_peers(home: Path, epochs: Iterable[EpochState]) -> None:
    """config/peers.txt: the epochs' other members as id@host:port, which the supervisor puts into config.toml.

    A member of several epochs stands where the first of them has it. An unchanged file is left alone. An address that
    is none is left out: CometBFT would not start with it, so one member could stop everybody's.
    """
    own = hashlib.sha256(_public_of(home / "config" / "node_key.json")).digest()[:20].hex()
    peers: dict[str, str] = {}
    for member in (member for epoch in epochs for member in epoch.members):
        if member.comet_id == own:
            continue
        if _is_place(member.comet_addr):
            peers.setdefault(member.comet_id, member.comet_addr)
        else:
            _log.warning("peer.left_out", operator=member.operator, address=member.comet_addr)
    path, content = home / "config" / "peers.txt", "".join(f"{id}@{place}\n" for id, place in peers.items()).encode()
    if not path.exists() or path.read_bytes() != content:
        write_atomically(path, content, 0o644)


def _is_place(text: str) -> bool:
    """Whether this is host:port as CometBFT takes it. Members write what they like into the registry."""
    found = _PLACE.fullmatch(text)
    return found is not None and int(found[2]) < 65_536


def _raw_public(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes_raw()


def _private(key: Ed25519PrivateKey) -> dict[str, str]:
    raw = key.private_bytes_raw() + _raw_public(key)
    return {"type": _PRIVATE_TYPE, "value": base64.b64encode(raw).decode()}


def _validator_file(key: Ed25519PrivateKey) -> dict[str, Any]:
    public = _raw_public(key)
    return {
        "address": hashlib.sha256(public).digest()[:20].hex().upper(),
        "pub_key": {"type": _PUBLIC_TYPE, "value": base64.b64encode(public).decode()},
        "priv_key": _private(key),
    }


def _write_new(path: Path, content: dict[str, Any]) -> None:
    handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(handle, "w") as file:
        json.dump(content, file, indent=2)
        file.flush()
        os.fsync(file.fileno())


def _public_of(path: Path) -> bytes:
    """The ed25519 public key that belongs to a key file's private key."""
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise ConfigError(f"cometbft.home: {path.name} can be read by others; chmod 600 it", Code.FILE_MODE)
    try:
        raw = base64.b64decode(json.loads(path.read_text())["priv_key"]["value"], validate=True)
        key = Ed25519PrivateKey.from_private_bytes(raw[:32])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ConfigError(f"cometbft.home: {path.name} is no CometBFT ed25519 key file") from None
    return _raw_public(key)
