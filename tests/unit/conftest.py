"""What unit tests of several parts start from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from p2p_dkg.keystore.store import Keystore


@pytest.fixture
def keystore(tmp_path: Path) -> Keystore:
    """A new one, bound to chain "test-1" in epoch 1."""
    from p2p_dkg.keystore.store import open_keystore  # most unit tests have no use for it

    passphrase = tmp_path / "passphrase"
    passphrase.write_text("x")
    passphrase.chmod(0o600)
    store = open_keystore(tmp_path / "keeper", "test", passphrase, 2)
    store.bind_chain("test-1", 1)
    return store
