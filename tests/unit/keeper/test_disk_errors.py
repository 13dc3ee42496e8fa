"""What the log says when the disk ends the keeper."""

from __future__ import annotations

import errno
import os

import plyvel

from p2p_dkg.__main__ import _reason


def test_a_failure_of_the_disk_says_what_the_system_or_leveldb_said() -> None:
    assert _reason(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/secret/path")) == "No space left on device"
    full = b"IO error: 000007.log: No space left on device"
    assert _reason(plyvel.IOError(full)) == full.decode()
    assert _reason(OSError()) == "OSError"
