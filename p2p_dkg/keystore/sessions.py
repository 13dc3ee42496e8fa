"""What one session keeps on disk, in two groups with a data key each.

`brief` (seed, deal, per-dealer shares, what was signed) goes after FINAL plus a grace. `retained` (this node's
encryption key of the session, bundles and point lists) goes when all members hold, or RETAIN is over: dkg.md step 8.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from p2p_dkg.keystore.datakeys import DataKey
from p2p_dkg.keystore.files import make_folder, read_file, sync_folder, write_durably
from p2p_dkg.keystore.sealing import Box

BRIEF, RETAINED = "brief", "retained"
GROUPS = (BRIEF, RETAINED)
EK, DEAL = "ek", "deal"


class SessionFiles:
    """The folder of one session. Names are `group.name`; contents are sealed under the group's data key."""

    def __init__(self, master: Box, folder: Path, chain_id: str, sid: bytes) -> None:
        self._folder, self.sid = folder, sid
        prefix = f"sessions/{sid.hex()}"
        self._prefix = prefix
        self._keys = {
            group: DataKey(master, folder / f"{group}.key", f"{prefix}/{group}.key", chain_id) for group in GROUPS
        }

    def put(self, group: str, name: str, content: bytes) -> None:
        """Store `content`; it is durable when this returns."""
        make_folder(self._folder)
        box = self._keys[group].load_or_create()
        write_durably(self._path(group, name), box.seal(f"{self._prefix}/{group}.{name}", content))

    def get(self, group: str, name: str) -> bytes | None:
        """The content stored under `name`, None if there is none or its data key is erased."""
        sealed = read_file(self._path(group, name))
        if sealed is None:
            return None
        box = self._keys[group].load()
        return None if box is None else box.open(f"{self._prefix}/{group}.{name}", sealed)

    def _path(self, group: str, name: str) -> Path:
        return self._folder / f"{group}.{name.replace('/', '-')}"

    def names(self, group: str) -> list[str]:
        """Names stored in `group`, sorted; empty once it is erased."""
        if not self._folder.is_dir() or not self._keys[group].exists():
            return []
        start = f"{group}."
        found = (entry.name[len(start) :] for entry in self._folder.iterdir() if entry.name.startswith(start))
        return sorted(name.replace("-", "/") for name in found if name != "key" and not name.endswith(".tmp"))

    def load(self) -> dict[str, bytes]:
        """Everything stored and not erased, by name."""
        found = ((name, self.get(group, name)) for group in GROUPS for name in self.names(group))
        return {name: content for name, content in found if content is not None}

    def has(self, group: str) -> bool:
        """Whether the data key of `group` is there."""
        return self._keys[group].exists()

    def erase(self, group: str) -> None:
        """Crypto-shred `group`: first its data key, then the ciphertexts."""
        self._keys[group].erase()
        if not self._folder.is_dir():
            return
        for entry in list(self._folder.glob(f"{group}.*")):
            entry.unlink()
        sync_folder(self._folder)

    def erase_all(self) -> None:
        """Crypto-shred the session and remove its folder."""
        for group in GROUPS:
            self.erase(group)
        if self._folder.is_dir():
            shutil.rmtree(self._folder)
            sync_folder(self._folder.parent)

    def reveal(self) -> list[bytes]:
        """Data keys, encryption key, seed and per-dealer shares, for the leak test of a development network."""
        found = [box.key for key in self._keys.values() if (box := key.load()) is not None]
        for name, content in self.load().items():
            if name == EK:
                found.append(content)
            elif name == DEAL:
                found.append(content[:32])
            elif name.startswith("share/"):
                found += [content[at : at + 32] for at in range(0, len(content), 32)]
        return found
