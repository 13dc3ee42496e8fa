"""Small files of the epoch manager: atomic writes, the stored block, genesis.json, the Ethereum key."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from authnet_core.errors import AuthnetError, Code, ConfigError
from authnet_core.json_text import NOT_JSON


class Journal(msgspec.Struct, frozen=True, kw_only=True):
    """How far the registry has been read: enough to notice that Ethereum is no longer the same."""

    registry: str
    first_hash: str
    """Hash of block 0: another one means another Ethereum."""
    number: int
    hash: str


def write_atomically(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Replace `path` so that a reader, or a crash, sees the old or the new content only."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def load_journal(path: Path, registry: str) -> Journal | None:
    """The stored block, or None if there is none, it is damaged, or it is of another registry."""
    try:
        journal = msgspec.json.decode(path.read_bytes(), type=Journal)
    except (FileNotFoundError, *NOT_JSON):
        return None
    return journal if journal.registry == registry else None


def store_journal(path: Path, journal: Journal) -> None:
    """Remember how far the registry has been read."""
    write_atomically(path, msgspec.json.encode(journal))


def settle_genesis(path: Path, derived: bytes) -> bool:
    """Write genesis.json if there is none; return whether it was written.

    Raises AuthnetError(GENESIS_MISMATCH), changing nothing, if another genesis is there.
    """
    try:
        present = path.read_bytes()
    except FileNotFoundError:
        write_atomically(path, derived, 0o644)
        return True
    if present != derived and not _goes_on(present, derived):
        text = f"{path.name} is not what epoch 1 of the registry gives; it was left as it is"
        raise AuthnetError(Code.GENESIS_MISMATCH, text)
    return False


class _AppState(msgspec.Struct):
    """What two chains of one network have alike."""

    network_id: str
    eth_chain_id: int
    registry: str
    dev: bool = False
    imported: dict[str, Any] | None = None


class _Genesis(msgspec.Struct):
    chain_id: str
    app_state: _AppState


def _goes_on(present: bytes, derived: bytes) -> bool:
    """Whether the genesis that is there is of this network's later chain, which began with the first one's state.

    Its signatures are the chain's own matter: abci_app starts from no other.
    """
    try:
        now, first = (msgspec.json.decode(raw, type=_Genesis) for raw in (present, derived))
    except NOT_JSON:
        return False
    moved = now.app_state.imported is not None and now.chain_id != first.chain_id
    return moved and msgspec.structs.replace(now.app_state, imported=None) == first.app_state


def load_params(path: Path, *, dev: bool) -> dict[str, int]:
    """Parameters a dev network begins with, from genesis_params.json; none if there is no such file."""
    try:
        params = msgspec.json.decode(path.read_bytes(), type=dict[str, int])
    except FileNotFoundError:
        return {}
    except NOT_JSON as error:
        raise ConfigError(f"{path.name}: {error}") from None
    if params and not dev:
        raise ConfigError(f"{path.name}: only a dev network may change parameters in its genesis", Code.NOT_DEV)
    return params


def load_eth_key(path: Path) -> bytes:
    """The operator's Ethereum key: 32 bytes in hex. Raises ConfigError, whose text never holds the key."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        text = path.read_text().strip().removeprefix("0x")
    except (OSError, UnicodeDecodeError):
        raise ConfigError(f"ethereum.key: {path.name} can not be read") from None
    if mode & 0o077:
        raise ConfigError(f"ethereum.key: {path.name} can be read by others; chmod 600 it", Code.FILE_MODE)
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != 32 or not any(key):
        raise ConfigError(f"ethereum.key: {path.name} must hold 32 bytes in hex")
    return key
