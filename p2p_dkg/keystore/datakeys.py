"""Data keys: each in a file of its own, wrapped by the node's master key, erased by overwriting it.

What a data key sealed is unreadable once its file is gone, whoever kept a copy of the ciphertext.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

from p2p_dkg.keystore.files import overwrite_and_remove, read_file, write_durably
from p2p_dkg.keystore.sealing import KEY_BYTES, Box


class DataKey:
    """One data key file. Loaded on first use."""

    def __init__(self, master: Box, path: Path, name: str, domain: str) -> None:
        self._master, self._path, self._name, self._domain = master, path, name, domain
        self._box: Box | None = None
        self._lock = threading.RLock()

    def exists(self) -> bool:
        """Whether the key was made and not yet erased."""
        return self._box is not None or self._path.exists()

    def load(self) -> Box | None:
        """The box of this key, None if it was never made or is erased."""
        with self._lock:  # a reader must not bring back what another thread erases
            if self._box is None:
                sealed = read_file(self._path)
                if sealed is None:
                    return None
                self._box = Box(self._master.open(self._name, sealed), self._domain)
            return self._box

    def load_or_create(self) -> Box:
        """The box of this key; a new key is on disk before it is used."""
        with self._lock:  # two threads that both make one would leave files that the other's key sealed
            box = self.load()
            if box is None:
                key = os.urandom(KEY_BYTES)
                write_durably(self._path, self._master.seal(self._name, key))
                self._box = box = Box(key, self._domain)
            return box

    def erase(self) -> None:
        """Crypto-shred everything under this key."""
        with self._lock:
            self._box = None
            overwrite_and_remove(self._path)
