"""Reading a keeper's files as its operator could: a copy of the folder, and the passphrase.

The copy lies elsewhere, so the node's own files are never touched.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from authnet_core.errors import AuthnetError
from p2p_dkg.keystore.sessions import BRIEF
from p2p_dkg.keystore.store import Keystore, open_keystore
from tests.e2e.net import Net

SCRYPT_N = 32_768


@contextmanager
def opened_copy(net: Net, j: int, keeper: Path | None = None) -> Iterator[Keystore]:
    """The keystore of node j, or of a copy of its folder, opened with the node's passphrase."""
    node = net.node(j).path
    with tempfile.TemporaryDirectory(prefix="authnet-copy-") as folder:
        copy = Path(folder) / "keeper"
        copy_living(keeper or node / "keeper", copy)
        store = open_keystore(copy, net.first.network_id, node / "passphrase", SCRYPT_N)
        store.bind_chain(net.first.chain_id, 1)
        yield store


def copy_living(source: Path, target: Path) -> None:
    """Copy a folder whose owner works on it meanwhile: what vanishes while we look is left out."""
    target.mkdir(mode=0o700)
    for path in source.iterdir():
        if path.is_dir():
            with suppress(FileNotFoundError):
                copy_living(path, target / path.name)
        elif path.is_file() and not path.name.endswith(".tmp"):
            with suppress(FileNotFoundError):
                shutil.copyfile(path, target / path.name)
                (target / path.name).chmod(0o600)


def stored_deal(net: Net, j: int, sid: str) -> bytes | None:
    """The DEAL that node j has on disk for a session, None while there is none."""
    try:
        with opened_copy(net, j) as store:
            content = store.session(bytes.fromhex(sid)).get(BRIEF, "deal")
    except (AuthnetError, OSError):  # a file was replaced while we copied
        return None
    return content[32:] if content else None
