"""The real process on a keystore that has met a fork."""

from __future__ import annotations

import tempfile
from pathlib import Path

from p2p_dkg.keystore.store import Fork, open_keystore
from tests.component.keeper.test_process import Keeper


def test_a_keeper_that_met_a_fork_ends_with_three_before_it_listens() -> None:
    with tempfile.TemporaryDirectory(prefix="an-", dir="/tmp") as folder:
        keeper = Keeper(Path(folder))
        keystore = open_keystore(keeper.folder / "keeper", "test", keeper.passphrase, 2)
        keystore.stop_at(Fork(7, ("aa", "bb")))
        try:
            for _ in range(2):
                keeper.start()
                assert keeper.ends() == 3
        finally:
            keeper.stop()
        assert keeper.log.read_bytes().count(b'"FORK_SEEN"') == 2
        assert not (keeper.folder / "run" / "ops.sock").exists()
