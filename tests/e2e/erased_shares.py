"""Disks of a committee as they were while it served, held against what is left when it has erased its shares."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from authnet_core.errors import AuthnetError
from p2p_dkg.keystore.sealing import Box
from tests.e2e.epoch_shares import nodes_of
from tests.e2e.keeper_files import copy_living, opened_copy
from tests.e2e.net import Net
from tests.e2e.secrets_of_run import Finder


@dataclass(frozen=True)
class Disks:
    """Copies of the keepers' folders, and the shares of users' keys that they held."""

    epoch: int
    folder: Path
    batches: dict[int, dict[str, bytes]]
    """node -> batch id -> ciphertext."""
    shares: frozenset[bytes]

    def check_erased(self, net: Net) -> None:
        """No share is in any file, and no key that is left anywhere opens the ciphertexts of old."""
        assert self.shares
        assert all(self.batches.values())
        self._search(net)
        keys = self._keys_left(net)
        assert len(keys) > 10, "the disks showed too few keys for the search to mean anything"
        for held in self.batches.values():
            for batch, sealed in held.items():
                for key in keys:
                    with pytest.raises(AuthnetError):
                        Box(key, net.first.chain_id).open(_label(self.epoch, batch), sealed)

    def _search(self, net: Net) -> None:
        finder, searched = Finder(set(self.shares)), 0
        for path in net.dir.rglob("*"):
            try:
                content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
            except OSError:  # its owner works on
                continue
            searched += len(content)
            assert not finder.search(content), f"{path.relative_to(net.dir)} holds a share of epoch {self.epoch}"
        assert searched > 100_000

    def _keys_left(self, net: Net) -> set[bytes]:
        """Every 32 bytes that any node's disk still gives up, with the old ciphertexts put back beside it."""
        found: set[bytes] = set()
        for node in (path for path in net.dir.glob("node*") if (path / "keeper").is_dir()):
            index = int(node.name.removeprefix("node"))
            with tempfile.TemporaryDirectory(prefix="authnet-left-") as folder:
                left = Path(folder) / "left"
                copy_living(node / "keeper", left)
                self._put_back(index, left)
                with opened_copy(net, index, left) as store:
                    for batch in self.batches.get(index, {}):
                        assert store.epoch(self.epoch).batch(bytes.fromhex(batch)) is None
                    found |= {secret[at : at + 32] for secret in store.reveal() for at in range(0, len(secret), 32)}
        return {key for key in found if len(key) == 32}

    def _put_back(self, index: int, left: Path) -> None:
        target = left / "epochs" / str(self.epoch) / "batches"
        target.mkdir(mode=0o700, parents=True, exist_ok=True)
        for batch, sealed in self.batches.get(index, {}).items():
            (target / batch).write_bytes(sealed)
            (target / batch).chmod(0o600)


def copy_disks(net: Net, epoch: int, folder: Path) -> Disks:
    """Of the members of an epoch that serves. The ciphertexts are shown to open now."""
    batches, shares = {}, set()
    for index in nodes_of(net, epoch):
        copy = folder / f"node{index}"
        copy_living(net.node(index).path / "keeper", copy)
        sealed = {path.name: path.read_bytes() for path in (copy / "epochs" / str(epoch) / "batches").iterdir()}
        with opened_copy(net, index, copy) as store:
            for batch in sealed:
                rows = store.epoch(epoch).batch(bytes.fromhex(batch))
                assert rows, "the copy is of something that opens"
                shares |= {rows[at : at + 32] for at in range(0, len(rows), 64)}
        batches[index] = sealed
        shutil.rmtree(copy)
    return Disks(epoch, folder, batches, frozenset(shares))


def _label(epoch: int, batch: str) -> str:
    return f"epochs/{epoch}/batches/{batch}"
