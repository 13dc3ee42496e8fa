"""What the acceptance tests ask of keys and sessions: who can open which key, when a network is at rest."""

from __future__ import annotations

import itertools
import secrets
from functools import cache

import httpx

from authnet_core.crypto import secp256k1, shamir
from authnet_core.protocol.accounts import account_id
from authnet_core.protocol.views import KeyView, SessionsView, SessionView
from tests.e2e.net import Net, socket_call, wait_for

PAGE = 2000


def key_list(net: Net, j: int) -> list[KeyView]:
    """All keys as node j's chain lists them."""
    found: list[KeyView] = []
    while True:
        page = net.query(j, f"/keys/{len(found)}/{PAGE}", list[KeyView])
        found += page
        if len(page) < PAGE:
            return found


def shares_of(net: Net, j: int) -> dict[int, tuple[int, int]]:
    """index -> (x, nonce) of node j, by the operator's command."""
    rows = net.cli_lines("dev", "shares", "--node", str(j), timeout=270)
    found = {}
    for row in rows:
        assert row["x"] == j
        found[int(row["index"])] = (int(row["share"], 16), int(row["nonce"], 16))
    return found


def check_all_keys(net: Net) -> int:
    """Point 3 of the acceptance for every key there is. Returns how many."""
    keys = net.cli_lines("chain", "keys")
    shares = {j: shares_of(net, j) for j in net.indexes}
    assert len({key["Y"] for key in keys}) == len(keys), "two keys are the same"
    for key in keys:
        holders = [j for j in key["holders"] if key["index"] in shares[j]]
        assert sorted(holders) == sorted(key["holders"]), f"key {key['index']}: a holder lacks its share"
        _check_key(net, key, {j: shares[j][key["index"]] for j in holders})
    return len(keys)


def _check_key(net: Net, key: dict[str, object], held: dict[int, tuple[int, int]]) -> None:
    public, where = bytes.fromhex(str(key["Y"])), f"key {key['index']}"
    points = {j: x for j, (x, _) in held.items()}
    assert len(points) >= net.k, f"{where}: fewer than k nodes hold it"
    secrets_found = {secret_of(points, some) for some in itertools.combinations(sorted(points), net.k)}
    assert len(secrets_found) == 1, f"{where}: the k-subsets do not agree"
    secret = secrets_found.pop()
    assert secp256k1.pub(secret) == public, f"{where}: k shares do not open Y"
    for few in itertools.combinations(sorted(points), net.k - 1):
        assert secret_of(points, few) != secret, f"{where}: {few} open it alone"
    nonces = {nonce for _, nonce in held.values()}
    assert len(nonces) == 1, f"{where}: the nodes hold different nonces"
    assert secp256k1.pub(nonces.pop()) == bytes.fromhex(str(key["N"])), f"{where}: N is not nonce*G"


_lagrange = cache(shamir.lagrange)


def secret_of(points: dict[int, int], some: tuple[int, ...]) -> int:
    """What these parties' shares of one key give together."""
    return sum(c * points[j] for j, c in _lagrange(some).items()) % secp256k1.Q


def wait_idle(net: Net) -> None:
    """Until no session is open and all nodes stand at one height."""

    def settled() -> bool:
        sessions = [net.query(j, "/sessions", SessionsView) for j in net.indexes]
        return not any(s.open for s in sessions) and len({net.height(j) for j in net.indexes}) == 1

    wait_for("the network to settle", 60, settled)


def assign(net: Net, j: int, count: int = 1) -> None:
    """New accounts, at node j's keeper."""
    for _ in range(count):
        account = account_id(net.first.network_id, "mock-google", secrets.token_hex(8))
        fields = {"verifier": "mock-google", "account_id": account.hex(), "curve": "secp256k1", "purpose": "login"}
        socket_call(net.node(j).path / "run" / "api.sock", "assign", fields)


def start_session(net: Net, j: int = 1) -> SessionView:
    """Assign until the state machine starts a session; the newest one."""
    known = {s.sid for s in _sessions(net, j)}

    def fresh() -> SessionView | None:
        assign(net, j)
        return next((s for s in _sessions(net, j) if s.sid not in known), None)

    return wait_for("a session to start", 30, fresh, every=0)


def _sessions(net: Net, j: int) -> list[SessionView]:
    view = net.query(j, "/sessions", SessionsView)
    return [*view.open, *view.recent]


def session(net: Net, j: int, sid: str) -> SessionView:
    return net.query(j, f"/session/{sid}", SessionView)


def wait_ready(net: Net) -> None:
    """Until every node is up and serves logins: a keeper answers its operator before it knows the chain again."""

    def ready() -> bool:
        status = net.status()
        return status.ready and all(node.state == "up" and door_is_open(net, node.index) for node in status.nodes)

    wait_for("all nodes to be up", 60, ready, every=0.2)


def door_is_open(net: Net, j: int) -> bool:
    """Whether node j says of itself that it is ready."""
    try:
        return httpx.get(f"{net.node(j).api}/readyz", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


def if_final(net: Net, j: int, sid: str) -> SessionView | None:
    view = session(net, j, sid)
    assert view.phase != "abandoned"
    return view if view.phase == "final" else None
