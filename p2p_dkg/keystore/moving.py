"""Taking a keystore to a new chain that goes on from the old one's state: the same shares under the new chain's name.

Shares and service keys are sealed anew; what was under way, and the keys announced for it, is erased, since nothing of
the old chain may go on on the new one. The receipt log, the masks' uses and where the folder lies stay. Done a second
time, or after a crash in the midst, it ends in the same. The keeper must not run.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from authnet_core.errors import AuthnetError
from p2p_dkg.keystore.datakeys import DataKey
from p2p_dkg.keystore.files import overwrite_and_remove, read_file, sync_folder, write_durably
from p2p_dkg.keystore.nodekeys import FILE, open_node_keys
from p2p_dkg.keystore.sealing import Box


def move_keystore(folder: Path, network_id: str, passphrase: bytes, old: str, new: str) -> int:
    """Take the keystore in `folder` from chain `old` to chain `new`; the number of batches.

    Raises AuthnetError: WRONG_PASSPHRASE, KEYSTORE_DAMAGED; OSError.
    """
    keys = open_node_keys(folder / FILE, network_id, passphrase)
    if keys is None:
        return 0
    master = Box(keys.master, network_id)
    batches = sum(_move_epoch(master, place, old, new) for place in sorted((folder / "epochs").iterdir()))
    for session in (folder / "sessions").iterdir():
        for entry in session.iterdir():
            overwrite_and_remove(entry)
        shutil.rmtree(session)
    sync_folder(folder / "sessions")
    # It names a block of the old chain, which the new one does not have.
    overwrite_and_remove(folder / "seen")
    return batches


def _move_epoch(master: Box, place: Path, old: str, new: str) -> int:
    label = f"epochs/{place.name}"
    for entry in place.glob("waiting-*"):
        overwrite_and_remove(entry)
    key = DataKey(master, place / "epoch.key", f"{label}/epoch.key", old).load()
    if key is None:
        return 0
    was, now = Box(key.key, old), Box(key.key, new)
    _seal_anew(place / "service", f"{label}/service", was, now)
    batches = sorted((place / "batches").iterdir())
    for batch in batches:
        _seal_anew(batch, f"{label}/batches/{batch.name}", was, now)
    return len(batches)


def _seal_anew(path: Path, name: str, was: Box, now: Box) -> None:
    sealed = read_file(path)
    if sealed is None:
        return
    try:
        now.open(name, sealed)
    except AuthnetError:
        write_durably(path, now.seal(name, was.open(name, sealed)))
