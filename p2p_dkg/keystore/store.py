"""The keystore of one node: opens with the passphrase, and knows whether it has been here all along.

`place` ties the folder to where it lies. A folder that came back from a backup, or on another disk, lies elsewhere:
the node then keeps out of every session opened before (dkg.md "Crash"), since its copy may not know what it signed.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TypeVar

import msgspec

from authnet_core.errors import ConfigError
from authnet_core.json_text import NOT_JSON
from p2p_dkg.keystore.epochs import EpochFiles
from p2p_dkg.keystore.files import (
    damaged,
    generation_of,
    make_folder,
    read_file,
    read_passphrase,
    require_private_tree,
    write_durably,
)
from p2p_dkg.keystore.identity import SecretSigner, transport_seed
from p2p_dkg.keystore.nodekeys import FILE, NodeKeys, create_node_keys, open_node_keys
from p2p_dkg.keystore.pledges import MaskUses, Pledges, Sightings
from p2p_dkg.keystore.sealing import Box
from p2p_dkg.keystore.sessions import SessionFiles

_FOLDERS = ("sessions", "epochs", "login")
_Sealed = TypeVar("_Sealed", bound=msgspec.Struct)


class Place(msgspec.Struct, frozen=True):
    """Where the keystore was born or restored, and the chain's height when it first saw the chain there."""

    inodes: tuple[int, ...]
    born_ms: int
    born_height: int | None = None
    generations: tuple[int, ...] = ()
    """Of the inodes: a number that is freed and handed out again has another one. 0 or absent: not known."""

    def is_same(self, stored: Place) -> bool:
        """Whether the folder is the one that was remembered."""
        pairs = zip(stored.generations, self.generations, strict=False)
        return stored.inodes == self.inodes and all(was == now or not (was and now) for was, now in pairs)


class SeenBlock(msgspec.Struct, frozen=True):
    """The newest block this keeper acted on."""

    height: int
    time_ms: int
    app_hash: str


class Fork(msgspec.Struct, frozen=True):
    """Two blocks of one height: what stops this keeper for good, until its operator removes the file."""

    height: int
    app_hashes: tuple[str, str]
    """Of the block it knew, and of the one it was shown then."""


class Keystore:
    """Everything below keeper/. All methods block on the disk: call the slow ones in a worker thread."""

    def __init__(self, folder: Path, keys: NodeKeys, network_id: str) -> None:
        self.folder = folder
        self._keys = keys
        self._master = Box(keys.master, network_id)
        self.identity = SecretSigner(keys.identity)
        self._sessions: dict[bytes, SessionFiles] = {}
        self._epochs: dict[int, EpochFiles] = {}
        self._lock = threading.Lock()
        self._chain_id = ""
        for name in _FOLDERS:
            make_folder(folder / name)
        self.place = self._settle()
        self.seen = self._get_sealed("seen", SeenBlock)
        self.fork = self._get_sealed("fork", Fork)
        sightings, masks = self._get_sealed("sightings", Sightings), self._get_sealed("masks", MaskUses)
        self.pledges = Pledges(sightings, masks, self._put_sealed)

    def __repr__(self) -> str:
        return f"Keystore({self.identity.pub.hex()})"

    @property
    def transport_seed(self) -> bytes:
        """Seed of the node's libp2p key."""
        return transport_seed(self._keys.identity)

    @property
    def born_ms(self) -> int:
        """Wall clock when this keystore was made or put where it lies now."""
        return self.place.born_ms

    def bind_chain(self, chain_id: str, height: int) -> None:
        """Name the chain, once it is known; the first time here also remembers its height."""
        if self._chain_id and self._chain_id != chain_id:
            raise ConfigError(f"node.network_id: this keystore serves {self._chain_id}, not {chain_id}")
        self._chain_id = chain_id
        if self.place.born_height is None:
            self.place = msgspec.structs.replace(self.place, born_height=height)
            self._put_sealed("place", self.place)

    def see(self, block: SeenBlock) -> None:
        """Remember the newest block acted on."""
        self._put_sealed("seen", block)
        self.seen = block

    def stop_at(self, fork: Fork) -> None:
        """Remember a fork, so that no restart forgets it. The first one stays."""
        if self.fork is None:
            self._put_sealed("fork", fork)
            self.fork = fork

    def session(self, sid: bytes) -> SessionFiles:
        """The files of a session; nothing is written before the first `put`."""
        with self._lock:
            files = self._sessions.get(sid)
            if files is None:
                folder = self.folder / "sessions" / sid.hex()
                files = self._sessions[sid] = SessionFiles(self._master, folder, self._bound(), sid)
            return files

    def has_session(self, sid: bytes) -> bool:
        """Whether a session has a folder here."""
        return (self.folder / "sessions" / sid.hex()).is_dir()

    def sessions(self) -> list[bytes]:
        """Sessions that still have a folder."""
        return sorted(bytes.fromhex(entry.name) for entry in (self.folder / "sessions").iterdir())

    def forget_session(self, sid: bytes) -> None:
        """Crypto-shred a session and remove its folder."""
        self.session(sid).erase_all()
        with self._lock:
            self._sessions.pop(sid, None)

    def epoch(self, epoch: int) -> EpochFiles:
        """The files of an epoch."""
        with self._lock:  # two objects for one epoch would each rewrite the waiting keys from a view of their own
            files = self._epochs.get(epoch)
            if files is None:
                folder = self.folder / "epochs" / str(epoch)
                files = self._epochs[epoch] = EpochFiles(self._master, folder, self._bound(), epoch)
            return files

    def epochs(self) -> list[int]:
        """Epochs this node has a folder for."""
        return sorted(int(entry.name) for entry in (self.folder / "epochs").iterdir())

    def reveal(self) -> list[bytes]:
        """Every secret that lives here, for the leak test of a development network."""
        found = [self._keys.master, self._keys.identity, self.transport_seed]
        for epoch in self.epochs():
            found += self.epoch(epoch).reveal()
        for sid in self.sessions():
            found += self.session(sid).reveal()
        return found

    def _bound(self) -> str:
        if not self._chain_id:
            raise RuntimeError("the keystore is not bound to a chain yet")
        return self._chain_id

    def _settle(self) -> Place:
        # Several inodes, since a file system may hand out freed numbers again, and in the same order.
        marks = (self.folder, *(self.folder / name for name in (FILE, *_FOLDERS)))
        here = Place(
            tuple(mark.stat().st_ino for mark in marks),
            time.time_ns() // 1_000_000,
            generations=tuple(map(generation_of, marks)),
        )
        stored = self._get_sealed("place", Place)
        if stored is not None and here.is_same(stored):
            if stored.generations == here.generations:
                return stored
            here = msgspec.structs.replace(stored, generations=here.generations)
        self._put_sealed("place", here)
        return here

    def _put_sealed(self, name: str, value: msgspec.Struct) -> None:
        write_durably(self.folder / name, self._master.seal(name, msgspec.json.encode(value)))

    def _get_sealed(self, name: str, kind: type[_Sealed]) -> _Sealed | None:
        sealed = read_file(self.folder / name)
        if sealed is None:
            return None
        try:
            return msgspec.json.decode(self._master.open(name, sealed), type=kind)
        except NOT_JSON:
            raise damaged(name) from None


def open_keystore(folder: Path, network_id: str, passphrase_file: Path, scrypt_n: int) -> Keystore:
    """Open the keystore in `folder`, making it if there is none.

    Raises ConfigError (FILE_MODE and others), WRONG_PASSPHRASE or KEYSTORE_DAMAGED.
    """
    passphrase = read_passphrase(passphrase_file)
    make_folder(folder)
    require_private_tree(folder, folder.name)
    path = folder / FILE
    keys = open_node_keys(path, network_id, passphrase)
    if keys is None:
        if any((folder / name).exists() for name in ("sessions", "epochs", "place")):
            raise damaged(FILE)
        keys = create_node_keys(path, network_id, passphrase, scrypt_n)
    return Keystore(folder, keys, network_id)
