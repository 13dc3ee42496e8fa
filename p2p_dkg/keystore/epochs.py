"""What an epoch keeps: its data key, its service key, and per final session a batch of (x, nonce).

A batch is one file, so one key's share costs one read; a few open batches are remembered.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from pathlib import Path

from authnet_core.crypto.secp256k1 import Q
from p2p_dkg.keystore.datakeys import DataKey
from p2p_dkg.keystore.files import damaged, make_folder, overwrite_and_remove, read_file, write_durably
from p2p_dkg.keystore.identity import SecretSigner
from p2p_dkg.keystore.sealing import Box
from p2p_dkg.keystore.waiting import WaitingKeys
from p2p_dkg.ports import KeyShare

_ROW = 64
_CACHED_BATCHES = 16


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
        self._held = {bytes.fromhex(entry.name) for entry in self._batches.iterdir()}
        self.waiting = WaitingKeys(master, folder, chain_id, epoch)
        self._service: SecretSigner | None = None

    def service(self, *, create: bool = False) -> SecretSigner | None:
        """The epoch's service key; made and stored first if `create`."""
        if self._service is None:
            name = f"{self._label}/service"
            sealed = read_file(self._folder / "service")
            if sealed is not None:
                box = self._key.load()
                self._service = None if box is None else SecretSigner(box.open(name, sealed))
            elif create:
                secret = (int.from_bytes(os.urandom(48), "big") % (Q - 1) + 1).to_bytes(32, "big")
                write_durably(self._folder / "service", self._key.load_or_create().seal(name, secret))
                self._service = SecretSigner(secret)
        return self._service

    def put_batch(self, sid: bytes, rows: bytes) -> None:
        """Store the x-shares and nonces of a session, 64 bytes a key in position order."""
        if len(rows) % _ROW:
            raise ValueError("a batch has 64 bytes a key")
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
        """Whether the batch of a session is on disk."""
        return sid in self._held

    @property
    def held(self) -> frozenset[bytes]:
        """Sessions whose batch is on disk."""
        return frozenset(self._held)

    def share(self, sid: bytes, position: int) -> KeyShare | None:
        """One key's share, None if this node does not hold its batch."""
        rows = self.batch(sid)
        if rows is None or not 0 <= position < len(rows) // _ROW:
            return None
        row = rows[position * _ROW : (position + 1) * _ROW]
        return KeyShare(int.from_bytes(row[:32], "big"), int.from_bytes(row[32:], "big"))

    def batch(self, sid: bytes) -> bytes | None:
        """All rows of a session's batch."""
        with self._lock:
            rows = self._cache.get(sid)
            if rows is not None:
                self._cache.move_to_end(sid)
                return rows
        if sid not in self._held or (box := self._key.load()) is None:
            return None
        sealed = read_file(self._batches / sid.hex())
        if sealed is None:
            raise damaged(f"{self._label}/batches/{sid.hex()}")
        rows = box.open(f"{self._label}/batches/{sid.hex()}", sealed)
        self._remember(sid, rows)
        return rows

    def _remember(self, sid: bytes, rows: bytes) -> None:
        with self._lock:
            self._cache[sid] = rows
            if len(self._cache) > _CACHED_BATCHES:
                self._cache.popitem(last=False)

    def erase(self) -> None:
        """Crypto-shred the epoch: shares, nonces, service key and unused encryption keys."""
        self._key.erase()
        self.waiting.discard(set(self.waiting.secrets))
        self._cache.clear()
        self._held.clear()
        self._service = None
        for entry in [*self._batches.iterdir(), *self._folder.glob("service")]:
            entry.unlink()

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
