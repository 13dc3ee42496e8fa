"""Hand-overs to larger and smaller committees in a row, read off the disks: who opens what, before, between and after.

5 -> 9 -> 6, then the six again with new shares. Each test goes on where the one before ended.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from authnet_core.protocol.views import EpochView, SessionsView, SessionView
from tests.e2e.epoch_shares import EpochShares, all_keys, batches_of, check_all, nodes_of, read_shares, some_node
from tests.e2e.erased_shares import Disks, copy_disks
from tests.e2e.handovers import rotate_beside_users
from tests.e2e.key_checks import assign, door_is_open
from tests.e2e.net import Net, wait_for
from tests.e2e.networks import QUICK, SMALL_POOL, temporary

pytestmark = [pytest.mark.soak, pytest.mark.e2e, pytest.mark.timeout(1500)]


@pytest.fixture(scope="module")
def changing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """Five nodes; its committee changes from test to test."""
    with temporary(5, SMALL_POOL | QUICK, room=20) as net:
        yield Story(net, copy_disks(net, 1, tmp_path_factory.mktemp("disks")), read_shares(net, 1))


class Story:
    """A network, its first committee's disks and shares, and those of the committee before the present one."""

    def __init__(self, net: Net, disks: Disks, shares: EpochShares) -> None:
        self.net, self.disks = net, disks
        self.former = shares

    def check_keys(self) -> None:
        """Every key opens with any k shares of the present committee and with no fewer, nor with a former one's."""
        shares = read_shares(self.net, self.net.status().epoch)
        count = check_all(all_keys(self.net), shares, self.former)
        print(f"{count} keys of epoch {shares.epoch}: {shares.k} of {len(shares.rows)} open each, fewer do not")
        self.former = shares


@pytest.mark.parametrize("nodes", [9, 6])
def test_a_committee_of_another_size_takes_over(changing: Story, nodes: int) -> None:
    done = rotate_beside_users(changing.net, "--nodes", str(nodes))
    assert len(done["nodes"]) == nodes
    changing.check_keys()


def test_who_missed_a_session_for_good_holds_its_keys_after_a_refresh(changing: Story) -> None:
    """A member that was away, and comes back with a disk that lost its encryption keys, can not catch up with a session
    by itself: the next resharing gives it its shares."""
    net, epoch = changing.net, changing.net.status().epoch
    first, away = nodes_of(net, epoch)[0], nodes_of(net, epoch)[-1]
    party = len(nodes_of(net, epoch))
    net.kill_node(away)
    try:
        missed = _next_session(net, first)
    finally:
        for waiting in (net.node(away).path / "keeper" / "epochs" / str(epoch)).glob("waiting-*"):
            waiting.unlink()
        net.start_node(away)
    wait_for("the node is back", 60, lambda: door_is_open(net, away))
    assert party not in _holders(net, epoch)[missed.first_index]
    assert missed.first_index not in read_shares(net, epoch).rows[party]
    done = rotate_beside_users(net, "--refresh")
    assert done["nodes"] == list(nodes_of(net, epoch))
    assert all(party in holders for holders in _holders(net, done["epoch"]).values())
    changing.check_keys()
    assert changing.former.rows[party].keys() == {key.index for key in all_keys(net)}


def _next_session(net: Net, node: int) -> SessionView:
    """Assign accounts until a session starts; it, when it is final and its keys are on chain."""

    def sessions() -> dict[str, SessionView]:
        view = net.query(node, "/sessions", SessionsView)
        return {s.sid: s for s in (*view.open, *view.recent)}

    known = sessions().keys()

    def fresh() -> str | None:
        if not (found := sessions().keys() - known):
            assign(net, node)
        return next(iter(found), None)

    sid = wait_for("a session to start", 60, fresh, every=0)
    return wait_for("it is final", 60, lambda: final if (final := sessions()[sid]).chunks else None)


def _holders(net: Net, epoch: int) -> dict[int, tuple[int, ...]]:
    """First key of each batch -> who holds it."""
    return {batch.first_index: batch.holders for batch in batches_of(net, epoch)}


def test_no_share_of_the_first_committee_opens_any_more(changing: Story) -> None:
    net = changing.net
    wait_for("epoch 1 is erased", 120, lambda: len(net.query(some_node(net), "/epoch/1", EpochView).erased) == 5)
    changing.disks.check_erased(net)
