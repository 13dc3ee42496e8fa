"""A real keeper whose chain is not the one it remembers: it ends, stays down through restarts, and the rest go on.

What it remembers is changed on its disk while it is down: to the keeper that is the same as a chain that changed.
"""

from __future__ import annotations

import secrets
from pathlib import Path

import msgspec
import pytest

from p2p_dkg.keystore.store import Keystore, open_keystore
from tests.e2e.doors import UNREACHABLE, Answer, Ask, PublicDoor, SessionKey, bound_token, one_round, two_rounds
from tests.e2e.keeper_files import SCRYPT_N
from tests.e2e.key_checks import wait_idle, wait_ready
from tests.e2e.net import Net, wait_for

pytestmark = [pytest.mark.soak, pytest.mark.e2e, pytest.mark.timeout(900)]
VERIFIER = "mock-google"


def keystore_of(net: Net, j: int) -> Keystore:
    """The node's own keystore, in place; the node is down."""
    node = net.node(j).path
    return open_keystore(node / "keeper", net.first.network_id, node / "passphrase", SCRYPT_N)


def refusals(logs: Path) -> int:
    return sum(path.read_bytes().count(b'"FORK_SEEN"') for path in logs.glob("p2p_dkg*"))


def answered(answer: Answer) -> Answer | None:
    return None if answer.code == UNREACHABLE else answer


def test_a_keeper_that_meets_a_fork_stays_down_and_gives_nothing(small: Net) -> None:
    wait_idle(small)
    j, door = small.n, PublicDoor(small)
    others = [i for i in small.indexes if i != j]
    folder, logs = small.node(j).path / "keeper", small.node(j).path / "logs"
    small.kill_node(j)
    before, remembered = refusals(logs), keystore_of(small, j)
    right = remembered.seen
    assert right is not None
    remembered.see(msgspec.structs.replace(right, app_hash="00" * 32))
    try:
        small.start_node(j)
        wait_for("the keeper to end at the fork", 60, lambda: refusals(logs) > before)
        assert (folder / "fork").exists()
        # The supervisor tries again, the keeper does not.
        wait_for("the keeper to end once more", 60, lambda: refusals(logs) > before + 1)
        user, key = f"fork-{secrets.token_hex(4)}@example.com", SessionKey.fresh()
        token = bound_token(small, user, key)
        # Its other processes take their time to come back; nobody there gives a share meanwhile.
        answer = wait_for("its door", 20, lambda: answered(door.share(j, Ask(VERIFIER, user, token, key=key))))
        assert (answer.code, answer.released) == ("UNAVAILABLE", None)
        assert one_round(door, user, nodes=others) == two_rounds(door, user, nodes=others), "the others go on"

        # The chain looks harmless again: it makes no difference.
        small.kill_node(j)
        keystore_of(small, j).see(right)
        before = refusals(logs)
        small.start_node(j)
        wait_for("the keeper to refuse what looks harmless", 60, lambda: refusals(logs) > before)
    finally:
        small.kill_node(j)
        for name in ("fork", "seen"):  # what its operator does after agreeing with the others
            (folder / name).unlink(missing_ok=True)
        small.start_node(j)
    wait_ready(small)
    wait_idle(small)
    assert one_round(door, f"after-{secrets.token_hex(4)}@example.com", nodes=[1, 2, j])
