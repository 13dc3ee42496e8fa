"""What of a node's folder belongs in a backup: what it could not make again, and nothing that may be too old.

Left out on purpose: CometBFT's signer state (an old one would sign a height twice), sessions under way and announced
encryption keys (the node might deal or answer anew), `place` and the receipt log (without them the keeper knows that it
came back), the chain's state (peers have it), and the passphrase. Reads only; the node may run.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from authnet.backup.archive import Entry
from authnet_runtime.config import NodeConfig
from p2p_dkg.keystore.files import read_file

KEYSTORE = ("node.keys", "masks", "fork")
EPOCH = ("epoch.key", "service")
ERASED = "erased"
COMET = ("config/priv_validator_key.json", "config/node_key.json")
SETTINGS = ("node.toml", "genesis.json", "genesis.export", "genesis_params.json")


def collect(config: NodeConfig) -> Iterator[Entry]:
    """The node's files, one after another."""
    key = config.toml.ethereum.key
    for name in (*SETTINGS, key, *(f"cometbft/{name}" for name in COMET)):
        # A key that lies elsewhere is the operator's to keep.
        if is_expected(name, key):
            yield from _one(config.dir, name)
    for name in KEYSTORE:
        yield from _one(config.dir, f"keeper/{name}")
    for folder in sorted((config.dir / "keeper" / "epochs").glob("*")):
        if folder.name.isdigit():
            yield from _epoch(config.dir, folder)


def _one(root: Path, path: str) -> Iterator[Entry]:
    content = read_file(root / path)
    if content is not None:
        yield Entry(path, content)


def _epoch(root: Path, folder: Path) -> list[Entry]:
    """An epoch's key, service key and shares. One that is erased meanwhile leaves its mark and nothing else."""
    label = f"keeper/epochs/{folder.name}"
    found = [entry for name in EPOCH for entry in _one(root, f"{label}/{name}")]
    batches = sorted(entry.name for entry in (folder / "batches").glob("*") if _is_batch(entry.name))
    for name in batches:
        found += _one(root, f"{label}/batches/{name}")
    if (folder / ERASED).exists():
        return [Entry(f"{label}/{ERASED}", b"")]
    return found


def _is_batch(name: str) -> bool:
    return len(name) == 64 and all(c in "0123456789abcdef" for c in name)


def is_expected(path: str, eth_key: str) -> bool:
    """Whether a backup may hold a file at `path`: nothing is written elsewhere when one is restored."""
    known = {*SETTINGS, eth_key, *(f"cometbft/{name}" for name in COMET), *(f"keeper/{name}" for name in KEYSTORE)}
    if path in known:
        return ".." not in path.split("/") and not path.startswith("/")
    head, _, rest = path.removeprefix("keeper/epochs/").partition("/")
    if not path.startswith("keeper/epochs/") or not (head.isascii() and head.isdigit() and str(int(head)) == head):
        return False
    batch = rest.removeprefix("batches/")
    return rest in (*EPOCH, ERASED) or (rest.startswith("batches/") and _is_batch(batch))
