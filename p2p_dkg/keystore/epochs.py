"""What an epoch keeps: its data key, its service key, and per batch of keys (by sid or rid) the rows (x, nonce).

A batch is one file, so one key's share costs one read; a few open batches are remembered. An epoch is erased once and
for good: the file `erased` says so before anything goes, so that a crash in the midst is made good at the next start
and nothing of that epoch is ever stored again.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from pathlib import Path

from authnet_core.crypto.secp256k1 import Q
from p2p_dkg.keystore.datakeys import DataKey
from p2p_dkg.keystore.files import damaged, make_folder, overwrite_and_remove, read_file, sync_folder, write_durably
from p2p_dkg.keystore.identity import SecretSigner
from p2p_dkg.keystore.sealing import Box
from p2p_dkg.keystore.waiting import WaitingKeys
from p2p_dkg.ports import KeyShare

_ROW = 64
_CACHED_BATCHES = 16
_ERASED = "erased"


class EpochFiles:
    """The folder of one epoch."""

    def __init__(self, master: Box, folder: Path, chain_id: str, epoch: int) -> None:
        self.epoch = epoch
        self._folder, self._batches = folder, folder / "batches"
        make_folder(folder)
        make_folder(self._batches)
        self._label = f"epochs/{epoch}"
        self._key = DataKey(master, folder / "epoch.key", f"{self._label}/epoch.key", chain_id)
        self._cache: OrderedDict[bytes, bytes] = OrderedDict()
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        """Held by whoever stores something or erases."""
        self.is_erased = (folder / _ERASED).exists()
        self._held = {bytes.fromhex(entry.name) for entry in self._batches.iterdir()} if not self.is_erased else set()
        self.waiting = WaitingKeys(master, folder, chain_id, epoch, is_erased=self.is_erased)
        self._service: SecretSigner | None = None
        if self.is_erased:
            self._shred()

    def service(self, *, create: bool = False) -> SecretSigner | None:
        """The epoch's service key; made and stored first if `create`. Raises RuntimeError if that is erased."""
        if self._service is None:
            self._service = self._stored_service()
        if self._service is None and create:
            with self._writing:
                self._service = self._stored_service() or self._make_service()
        return self._service

    def _stored_service(self) -> SecretSigner | None:
        sealed = read_file(self._folder / "service")
        box = self._key.load() if sealed is not None else None
        return None if sealed is None or box is None else SecretSigner(box.open(f"{self._label}/service", sealed))

    def _make_service(self) -> SecretSigner:
        self._require_live()
        secret = (int.from_bytes(os.urandom(48), "big") % (Q - 1) + 1).to_bytes(32, "big")
        sealed = self._key.load_or_create().seal(f"{self._label}/service", secret)
        write_durably(self._folder / "service", sealed)
        return SecretSigner(secret)

    def put_batch(self, sid: bytes, rows: bytes) -> None:
        """Store the x-shares and nonces of a batch, 64 bytes a key in position order.

        Raises RuntimeError once the epoch is erased: a machine that ends late must not bring shares back.
        """
        if len(rows) % _ROW:
            raise ValueError("a batch has 64 bytes a key")
        with self._writing:
            self._require_live()
            sealed = self._key.load_or_create().seal(f"{self._label}/batches/{sid.hex()}", rows)
            write_durably(self._batches / sid.hex(), sealed)
            self._remember(sid, rows)
            self._held.add(sid)

    def drop_batch(self, sid: bytes) -> None:
        """Erase a batch that belongs to no key on chain. Nothing happens if there is none."""
        with self._lock:
            self._held.discard(sid)
            self._cache.pop(sid, None)
        overwrite_and_remove(self._batches / sid.hex())

    def holds(self, sid: bytes) -> bool:
        """Whether a batch is on disk."""
        return sid in self._held

    @property
    def held(self) -> frozenset[bytes]:
        """Batches that are on disk, by sid or rid."""
        with self._lock:
            return frozenset(self._held)

    def share(self, sid: bytes, position: int) -> KeyShare | None:
        """One key's share, None if this node does not hold its batch."""
        rows = self.batch(sid)
        if rows is None or not 0 <= position < len(rows) // _ROW:
            return None
        row = rows[position * _ROW : (position + 1) * _ROW]
        return KeyShare(int.from_bytes(row[:32], "big"), int.from_bytes(row[32:], "big"))

    def batch(self, sid: bytes) -> bytes | None:
        """All rows of a batch."""
        with self._lock:
            rows = self._cache.get(sid)
            if rows is not None:
                self._cache.move_to_end(sid)
                return rows
        if sid not in self._held or (box := self._key.load()) is None:
            return None
        sealed = read_file(self._batches / sid.hex())
        if sealed is None and self.is_erased:
            return None
        if sealed is None:
            raise damaged(f"{self._label}/batches/{sid.hex()}")
        rows = box.open(f"{self._label}/batches/{sid.hex()}", sealed)
        self._remember(sid, rows)
        return rows

    def _remember(self, sid: bytes, rows: bytes) -> None:
        with self._lock:
            if self.is_erased:
                return
            self._cache[sid] = rows
            if len(self._cache) > _CACHED_BATCHES:
                self._cache.popitem(last=False)

    def erase(self) -> None:
        """Crypto-shred the epoch for good: shares, nonces, service key and unused encryption keys."""
        with self._writing:
            write_durably(self._folder / _ERASED, b"")
            with self._lock:
                self.is_erased = True
                self._cache.clear()
                self._held.clear()
            self._service = None
            self._shred()

    def _shred(self) -> None:
        self._key.erase()
        self.waiting.erase()
        for entry in [*self._batches.iterdir(), *self._folder.glob("service")]:
            entry.unlink(missing_ok=True)
        sync_folder(self._batches)
        sync_folder(self._folder)

    def _require_live(self) -> None:
        if self.is_erased:
            raise RuntimeError(f"the shares of epoch {self.epoch} are erased")

    def reveal(self) -> list[bytes]:
        """Every live secret of the epoch, for the leak test of a development network."""
        found = list(self.waiting.secrets.values())
        if (box := self._key.load()) is not None:
            found.append(box.key)
        if (service := self.service()) is not None:
            found.append(service.reveal())
        for sid in sorted(self._held):
            rows = self.batch(sid) or b""
            found += [rows[i : i + 32] for i in range(0, len(rows), 32)]
        return found
