"""Whole hand-overs on real processes: the keys stay, users notice nothing, who left erases and goes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from authnet_client import Network, SyncClient
from authnet_core.protocol.views import EpochView, KeyView
from localnet.places import Places, load
from tests.e2e.lives import left_of
from tests.e2e.net import Net, wait_for
from tests.e2e.travellers import VERIFIER, Travellers

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1500)]
USERS = [f"traveller-{i}@example.com" for i in range(20)]
LIMIT_S = 600


@pytest.fixture(scope="module")
def moving(small: Net) -> Net:
    """Five nodes, twenty accounts; its committee changes from test to test, so no other module comes after this one."""
    return small


def places(net: Net) -> Places:
    found = load(net.dir)
    assert found is not None
    return found


def rotate(net: Net, *options: str) -> dict[str, Any]:
    done = net.cli("localnet", "rotate", *options, "--wait-s", str(LIMIT_S), timeout=LIMIT_S + 60)
    assert isinstance(done, dict)
    print(f"rotate {' '.join(options)}: {done['ms']} ms, {done['keys']} keys, {done['phases']}")
    return done


def keys_of(net: Net) -> dict[int, tuple[str, str]]:
    """Every key's public points."""
    return {line["index"]: (line["Y"], line["N"]) for line in net.cli_lines("chain", "keys")}


def addresses(net: Net) -> dict[str, str]:
    with SyncClient(Network.from_file(net.dir / "network.json")) as client:
        return {user: client.resolve(VERIFIER, user).address for user in USERS}


def private_keys(net: Net, users: list[str]) -> dict[str, str]:
    with SyncClient(Network.from_file(net.dir / "network.json")) as client:
        found = {}
        for user in users:
            found[user] = client.login(VERIFIER, user, lambda nonce, user=user: token(net, user, nonce)).private_key
        return found


def token(net: Net, user: str, nonce: str | None) -> str:
    return net.token(VERIFIER, user, **({"nonce": nonce} if nonce else {}))


def check_same(net: Net, before: dict[int, tuple[str, str]], secrets: dict[str, str]) -> None:
    """Public keys, nonce points and what users get are what they were."""
    after = keys_of(net)
    assert {index: after[index] for index in before} == before
    assert private_keys(net, list(secrets)) == secrets


def rotate_beside_users(net: Net, *options: str) -> dict[str, Any]:
    """A hand-over while users log in and look addresses up: nobody notices, no key changes."""
    known, before = addresses(net), keys_of(net)
    secrets = private_keys(net, USERS[:4])
    with Travellers(net, known) as travellers:
        done = rotate(net, *options)
    print(travellers)
    print("\n".join(travellers.log[:40]))
    assert travellers.wrong == []
    assert travellers.lost == 0
    assert travellers.done >= 5 * 0.5 * done["ms"] / 1000
    assert done["self_test"]["wrong"] == []
    assert done["keys"] >= len(before)
    check_same(net, before, secrets)
    status = net.status()
    assert (status.epoch, status.ready) == (done["epoch"], True)
    return done


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
