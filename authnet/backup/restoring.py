"""Opening a backup: into a new node folder, or for a drill that changes nothing.

A restored node must sign no height a second time, and deal in no session a second time. What its former self did last
is not known, so both begin at a height that the network had not reached: nothing is signed up to there, and no session
is joined that was opened before it.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from authnet.backup import archive
from authnet.backup.archive import Entry, Summary, invalid
from authnet.backup.contents import ERASED, is_expected
from authnet_core.crypto.secp256k1 import Q, pub
from authnet_core.errors import AuthnetError, Code, ConfigError
from authnet_core.json_text import NOT_JSON
from authnet_runtime.config import NodeConfig, parse_node
from authnet_runtime.genesis import chain_id
from p2p_dkg.keystore.epochs import EpochFiles
from p2p_dkg.keystore.files import make_folder, read_file, sync_folder, write_durably
from p2p_dkg.keystore.nodekeys import NodeKeys, open_node_keys
from p2p_dkg.keystore.sealing import Box
from p2p_dkg.keystore.store import Keystore

MARGIN = 10
"""Blocks: others may be ahead of who was asked, and a height is voted on before it is a block."""
_LAST_ROUND = 2**31 - 1
_ROW = 64


@dataclass(frozen=True, slots=True)
class Opened:
    """A backup that opened in full."""

    summary: Summary
    config: NodeConfig
    keys: NodeKeys
    chain_id: str
    """Empty before there was a chain."""


@dataclass(slots=True)
class Drill:
    """What a drill found."""

    made_ms: int
    identity: str
    chain_id: str
    epochs: dict[int, int] = field(default_factory=dict)
    """Shares that open and are scalars, per epoch."""
    erased: list[int] = field(default_factory=list)
    batches: dict[int, dict[str, int]] = field(default_factory=dict)
    """Epoch to batch id to number of keys."""


def restore(path: Path, folder: Path, passphrase: bytes, signs_after: int) -> Opened:
    """Make `folder` the node of the backup, whole or not at all; it signs nothing up to height `signs_after`.

    Raises AuthnetError: BACKUP_INVALID, WRONG_PASSPHRASE, KEYSTORE_DAMAGED, CONFIG; OSError.
    """
    if folder.exists() and any(folder.iterdir()):
        raise ConfigError(f"{folder}: is not empty; a backup is restored into a new folder")
    if not 0 < signs_after < 2**62:
        raise ConfigError("signs_after: must be a height")
    fresh = folder.with_name(f".{folder.name}.restoring")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700, parents=True)
    try:
        opened = unpack(path, fresh, passphrase)
        _complete(fresh, opened, passphrase, signs_after)
        if folder.exists():
            folder.rmdir()
        fresh.rename(folder)
        sync_folder(folder.parent)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    return opened


def _complete(fresh: Path, opened: Opened, passphrase: bytes, signs_after: int) -> None:
    """What the backup does not hold, and the node does not start without."""
    for name in ("run", "abci", "epoch", "logs", "cometbft/data"):
        (fresh / name).mkdir(mode=0o700, parents=True, exist_ok=True)
    secret = Path(opened.config.toml.keeper.passphrase_file)
    if not secret.is_absolute() and ".." not in secret.parts:
        # One that lies elsewhere is where its operator put it; a backup says not where to write.
        (fresh / secret).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_durably(fresh / secret, passphrase + b"\n")
    # A node that fetches all blocks anew would else count as born at the first one, and join what it dealt in before.
    keystore = Keystore(fresh / "keeper", opened.keys, opened.summary.network_id)
    keystore.bind_chain(opened.chain_id or chain_id(opened.summary.network_id), signs_after)
    state = {"height": str(signs_after), "round": _LAST_ROUND, "step": 3}
    write_durably(fresh / "cometbft/data/priv_validator_state.json", json.dumps(state, indent=2).encode())


def unpack(path: Path, folder: Path, passphrase: bytes) -> Opened:
    """Write a backup's files into an empty folder and open its keys. Raises as `restore` does."""
    summary: Summary | None = None
    eth_key = ""
    for found in archive.read(path, passphrase):
        if isinstance(found, Summary):
            summary = found
            break
        if found.path == "node.toml":
            eth_key = _parse(found.content, folder).toml.ethereum.key
        _write(folder, found, eth_key)
    toml = read_file(folder / "node.toml")
    if summary is None or toml is None:
        raise invalid("the backup has no settings")
    config = _parse(toml, folder)
    keys = open_node_keys(folder / "keeper" / "node.keys", summary.network_id, passphrase)
    if keys is None or pub(keys.identity).hex() != summary.identity:
        raise invalid("the backup's identity key is missing or another node's")
    return Opened(summary, config, keys, _chain_id(folder / "genesis.json"))


def _parse(content: bytes, folder: Path) -> NodeConfig:
    try:
        return parse_node(content.decode(), folder)
    except UnicodeDecodeError:
        raise invalid("the backup's settings are no text") from None


def _write(folder: Path, entry: Entry, eth_key: str) -> None:
    if not is_expected(entry.path, eth_key):
        raise invalid("the backup holds a file that belongs in none")
    place = folder
    for part in entry.path.split("/")[:-1]:
        place = place / part
        make_folder(place)
    write_durably(folder / entry.path, entry.content)


def _chain_id(genesis: Path) -> str:
    content = read_file(genesis)
    if content is None:
        return ""
    try:
        return msgspec.json.decode(content, type=_Genesis).chain_id
    except NOT_JSON:
        raise invalid("the backup's genesis.json can not be read") from None


class _Genesis(msgspec.Struct):
    """The one field of genesis.json that is read here."""

    chain_id: str


@contextmanager
def _scratch() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="authnet-drill-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def drill(path: Path, passphrase: bytes) -> Drill:
    """Open everything in a backup as a restored node would, aside, and look at every share. Raises as `restore`."""
    with _scratch() as folder:
        opened = unpack(path, folder, passphrase)
        _check_consensus_key(folder)
        found = Drill(opened.summary.made_ms, opened.summary.identity, opened.chain_id)
        master = Box(opened.keys.master, opened.summary.network_id)
        epochs = folder / "keeper" / "epochs"
        for place in sorted(epochs.glob("*"), key=lambda place: int(place.name)):
            if (place / ERASED).exists():
                found.erased.append(int(place.name))
                continue
            found.batches[int(place.name)] = _open_epoch(master, place, opened.chain_id)
            found.epochs[int(place.name)] = sum(found.batches[int(place.name)].values())
    return found


def _open_epoch(master: Box, place: Path, chain_id: str) -> dict[str, int]:
    files = EpochFiles(master, place, chain_id, int(place.name))
    if (place / "service").exists() and files.service() is None:
        raise invalid(f"the service key of epoch {place.name} does not open")
    found = {}
    for batch in sorted(files.held):
        rows = files.batch(batch)
        if not rows or len(rows) % _ROW:
            raise invalid(f"the shares of batch {batch.hex()} do not open")
        for at in range(0, len(rows), _ROW):
            x, nonce = int.from_bytes(rows[at : at + 32], "big"), int.from_bytes(rows[at + 32 : at + _ROW], "big")
            if not 0 < x < Q or nonce >= Q:
                raise invalid(f"batch {batch.hex()} has a share that is none")
        found[batch.hex()] = len(rows) // _ROW
    return found


def _check_consensus_key(folder: Path) -> None:
    content = read_file(folder / "cometbft/config/priv_validator_key.json")
    try:
        held = json.loads(content or b"")["priv_key"]["value"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise invalid("the backup has no consensus key") from None
    if not held:
        raise invalid("the backup has no consensus key")


def compare(found: Drill, epoch: int, listed: list[dict[str, Any]], member: int) -> tuple[list[str], list[str]]:
    """Hold a drill against the chain's batches of an epoch (BatchViews as JSON), and this node's index there.

    Returns (batches that the chain has otherwise or not at all, batches that the chain says this node holds and the
    backup lacks: made since).
    """
    known = {view["id"]: view for view in listed}
    held = found.batches.get(epoch, {})
    wrong = [name for name, count in held.items() if name not in known or known[name]["count"] != count]
    missing = [name for name, view in known.items() if member in view["holders"] and name not in held]
    return wrong, missing


def highest(heights: list[int]) -> int:
    """The height up to which a restored node signs nothing, from what other nodes say. Raises CONFIG.

    The greatest counts: one that is too low would let a height be signed twice. One that is far above the others is a
    lie or a mistake, and would keep the node silent for ever.
    """
    if not heights:
        raise AuthnetError(Code.UNAVAILABLE, "no other node says how far the chain is; name a height: --signs-after")
    if max(heights) - min(heights) > 1_000:
        raise ConfigError(
            f"the nodes' heights differ too much ({min(heights)} to {max(heights)}): name one: --signs-after"
        )
    return max(heights) + MARGIN
