"""Whole hand-overs on real processes: the keys stay, users notice nothing, who left erases and goes."""

from __future__ import annotations

from pathlib import Path

import pytest

from authnet_core.protocol.views import EpochView, KeyView
from tests.e2e.handovers import USERS, places, private_keys, rotate_beside_users
from tests.e2e.lives import left_of
from tests.e2e.net import Net, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1500)]


@pytest.fixture(scope="module")
def moving(small: Net) -> Net:
    """Five nodes, twenty accounts; its committee changes from test to test, so no other module comes after this one."""
    return small


@pytest.mark.parametrize(
    "options",
    [
        pytest.param((), id="disjoint"),
        pytest.param(("--overlap", "3"), id="overlap", marks=pytest.mark.soak),
        pytest.param(("--refresh",), id="refresh", marks=pytest.mark.soak),
    ],
)
def test_a_rotation_changes_no_key_and_no_user_notices(moving: Net, options: tuple[str, ...]) -> None:
    done = rotate_beside_users(moving, *options)
    assert [bool(done["new"]), bool(done["left"])] == [options != ("--refresh",)] * 2


@pytest.mark.soak
def test_who_left_erases_its_shares_and_is_stopped(moving: Net) -> None:
    """The nodes of epoch 1, which the first rotation replaced."""
    wait_for("all of epoch 1 have erased", 120, lambda: len(_serving_chain_epoch(moving, 1).erased) == 5)
    wait_for("they are stopped", 20, lambda: set(range(1, 6)) <= places(moving).retired)
    retired = [node for node in moving.status().nodes if node.index <= 5]
    assert all(node.state == "retired" for node in retired)
    assert [left for node in retired for left in left_of(node.path)] == []
    assert left_of(moving.node(places(moving).indexes[-1]).path), "a node that serves is seen to"


def _serving_chain_epoch(net: Net, number: int) -> EpochView:
    return net.query(places(net).indexes[-1], f"/epoch/{number}", EpochView)


@pytest.mark.soak
def test_the_network_comes_back_as_it_was(moving: Net) -> None:
    from tests.e2e.net import authnet

    secrets = private_keys(moving, USERS[:2])
    authnet("localnet", "down", "--dir", str(moving.dir))
    authnet("localnet", "up", "--dir", str(moving.dir), timeout=400)
    assert private_keys(moving, USERS[:2]) == secrets
    assert moving.query(places(moving).indexes[-1], "/keys/0/1", list[KeyView])
    assert Path(moving.dir / "localnet.json").exists()
