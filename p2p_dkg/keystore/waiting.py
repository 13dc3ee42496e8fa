"""Encryption keys announced for sessions that have not started (dkg.md section 1), one file per epoch.

A key taken out must not stay readable, so each change writes a new generation under a new data key and shreds the
old one.
"""

from __future__ import annotations

import threading
from pathlib import Path

from p2p_dkg.keystore.datakeys import DataKey
from p2p_dkg.keystore.files import damaged, overwrite_and_remove, read_file, write_durably
from p2p_dkg.keystore.sealing import Box

_ENTRY = 8 + 32


class WaitingKeys:
    """counter -> secret of this node's encryption key, for one epoch."""

    def __init__(self, master: Box, folder: Path, chain_id: str, epoch: int, *, is_erased: bool = False) -> None:
        self._master, self._folder, self._chain_id = master, folder, chain_id
        self._label = f"epochs/{epoch}/waiting"
        self._generation, self._secrets = (0, {}) if is_erased else self._load()
        self._lock = threading.Lock()
        self._is_erased = is_erased

    @property
    def secrets(self) -> dict[int, bytes]:
        """A copy of what is stored."""
        return dict(self._secrets)

    def put(self, secrets: dict[int, bytes]) -> None:
        """Add keys; durable when this returns. Raises RuntimeError once they were erased."""
        with self._lock:
            if self._is_erased:
                raise RuntimeError("the encryption keys of this epoch are erased")
            self._rewrite({**self._secrets, **secrets})

    def discard(self, counters: set[int]) -> None:
        """Erase keys for good."""
        with self._lock:
            if counters & self._secrets.keys():
                self._rewrite({c: s for c, s in self._secrets.items() if c not in counters})

    def erase(self) -> None:
        """Shred them all, and take no more."""
        with self._lock:
            self._is_erased, self._secrets = True, {}
            for key in self._folder.glob("waiting-*.key"):
                overwrite_and_remove(key)
            for box in self._folder.glob("waiting-*.box"):
                box.unlink(missing_ok=True)

    def _generations(self) -> list[int]:
        names = (entry.name for entry in self._folder.glob("waiting-*.box"))
        return sorted(int(name[8:-4]) for name in names if name[8:-4].isdigit())

    def _key(self, generation: int) -> DataKey:
        name = f"waiting-{generation}.key"
        return DataKey(self._master, self._folder / name, f"{self._label}/{name}", self._chain_id)

    def _load(self) -> tuple[int, dict[int, bytes]]:
        generations = self._generations()
        for old in generations[:-1]:
            self._forget(old)
        if not generations:
            return 0, {}
        newest = generations[-1]
        box = self._key(newest).load()
        sealed = read_file(self._folder / f"waiting-{newest}.box")
        if box is None or sealed is None:
            return newest, {}
        plain = box.open(f"{self._label}/{newest}", sealed)
        if len(plain) % _ENTRY:
            raise damaged(self._label)
        entries = (plain[i : i + _ENTRY] for i in range(0, len(plain), _ENTRY))
        return newest, {int.from_bytes(entry[:8], "big"): entry[8:] for entry in entries}

    def _rewrite(self, secrets: dict[int, bytes]) -> None:
        new = self._generation + 1
        key = self._key(new)
        key.erase()
        plain = b"".join(counter.to_bytes(8, "big") + secret for counter, secret in sorted(secrets.items()))
        sealed = key.load_or_create().seal(f"{self._label}/{new}", plain)
        write_durably(self._folder / f"waiting-{new}.box", sealed)
        old, self._generation, self._secrets = self._generation, new, secrets
        self._forget(old)

    def _forget(self, generation: int) -> None:
        self._key(generation).erase()
        (self._folder / f"waiting-{generation}.box").unlink(missing_ok=True)
