"""What tests of hand-overs do and compare: keys, addresses and what users get are to be what they were."""

from __future__ import annotations

from typing import Any

from authnet_client import Network, SyncClient
from localnet.places import Places, load
from tests.e2e.net import Net
from tests.e2e.travellers import VERIFIER, Travellers

USERS = [f"traveller-{i}@example.com" for i in range(20)]
LIMIT_S = 600


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
