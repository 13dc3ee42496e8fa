"""Every key of a network: who can open it, what happens to it when nodes die while it is made.

The last tests kill nodes at named steps on a network of their own, whose small pool makes a session of a few
assignments.
"""

from __future__ import annotations

import itertools
import secrets
import time
from collections import defaultdict
from functools import cache

import pytest

from authnet_core.crypto import secp256k1, shamir
from authnet_core.protocol.accounts import account_id
from authnet_core.protocol.views import KeyView, RetainedView, SessionsView, SessionView
from tests.e2e.doors import PublicDoor, one_round
from tests.e2e.keeper_files import stored_deal
from tests.e2e.net import Net, socket_call, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
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
    secrets_found = {_secret(points, some) for some in itertools.combinations(sorted(points), net.k)}
    assert len(secrets_found) == 1, f"{where}: the k-subsets do not agree"
    secret = secrets_found.pop()
    assert secp256k1.pub(secret) == public, f"{where}: k shares do not open Y"
    for few in itertools.combinations(sorted(points), net.k - 1):
        assert _secret(points, few) != secret, f"{where}: {few} open it alone"
    nonces = {nonce for _, nonce in held.values()}
    assert len(nonces) == 1, f"{where}: the nodes hold different nonces"
    assert secp256k1.pub(nonces.pop()) == bytes.fromhex(str(key["N"])), f"{where}: N is not nonce*G"


_lagrange = cache(shamir.lagrange)


def _secret(points: dict[int, int], some: tuple[int, ...]) -> int:
    """What these nodes' shares give together."""
    return sum(c * points[j] for j, c in _lagrange(some).items()) % secp256k1.Q


def test_any_k_shares_open_each_key_and_fewer_do_not(net: Net) -> None:
    assert check_all_keys(net) > 0


def test_all_nodes_list_equal_keys(net: Net) -> None:
    wait_idle(net)
    lists = {j: key_list(net, j) for j in net.indexes}
    assert len(lists[1]) > 0
    for j in net.indexes:
        assert lists[j] == lists[1], f"node {j} lists other keys"
    assert [key.index for key in lists[1]] == list(range(len(lists[1]))), "indices have gaps"


def wait_idle(net: Net) -> None:
    """Until no session is open and all nodes stand at one height."""

    def settled() -> bool:
        sessions = [net.query(j, "/sessions", SessionsView) for j in net.indexes]
        return not any(s.open for s in sessions) and len({net.height(j) for j in net.indexes}) == 1

    wait_for("the network to settle", 60, settled)


# -- nodes that die at named steps


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


STEPS = (
    ("store:deal", "submit:deal:before", "submit:deal:after", "store:bundle", "store:share"),
    ("store:deal", "store:deal", "submit:ack:before", "submit:ack:after", "store:list"),
    ("submit:opened:before", "submit:opened:after", "store:shares", "store:keys", "submit:final:before"),
    ("submit:final:after", "submit:keys:before", "submit:keys:after", "erase:brief", "submit:deal:before"),
)
"""Where the keepers of nodes 1 to 5 die in one session: all of them, each once, all back by themselves."""


@pytest.mark.parametrize("steps", STEPS, ids=["deal", "ack", "open", "final"])
def test_keepers_that_die_at_each_persisted_step_finish_the_same_session(small: Net, steps: tuple[str, ...]) -> None:
    wait_idle(small)
    for j, step in zip(small.indexes, steps, strict=True):
        small.kill_node(j)
        small.start_node(j, p2p_dkg=f"AUTHNET_FAIL_AT={step}")
    wait_ready(small)
    begun = start_session(small)
    deals: dict[int, dict[str, object]] = defaultdict(dict)

    def final() -> SessionView | None:
        view = session(small, 1, begun.sid)
        for dealer, deal in view.deals.items():
            deals[dealer][deal.root] = deal
        assert view.phase != "abandoned", "the session was given up"
        return view if view.phase == "final" and len(view.holders) == small.n else None

    done = wait_for("the same session to be final and held by all", 60, final, every=0.05)
    assert all(len(versions) == 1 for versions in deals.values()), "a dealer changed its deal"
    # Every node came to its step and died there: exit code 77 in its supervisor's log, and it is back.
    for j, step in zip(small.indexes, steps, strict=True):
        wait_for(f"node {j} to die at {step}", 60, lambda j=j: died(small, j))
    assert set(done.deals) >= set(done.q)
    wait_idle(small)
    check_all_keys(small)


def died(net: Net, j: int) -> bool:
    """Whether node j's keeper was started again since the node was."""
    return any(p.restarts > 0 for p in net.status().nodes[j - 1].processes if p.name == "p2p_dkg")


def wait_ready(net: Net) -> None:
    """Until every node is up and its keeper answers."""

    def ready() -> bool:
        status = net.status()
        return status.ready and all(node.state == "up" for node in status.nodes)

    wait_for("all nodes to be up", 60, ready, every=0.2)


def test_a_stored_deal_is_the_one_that_reaches_the_chain(small: Net) -> None:
    """Two keepers die right after their deal is on disk. What is on their disks then is what the chain gets later."""
    wait_idle(small)
    victims = (1, 2)
    for j in victims:
        small.kill_node(j)
        small.start_node(j, p2p_dkg="AUTHNET_FAIL_AT=store:deal")
    wait_ready(small)
    begun = start_session(small, j=3)
    on_disk = {}
    for j in victims:
        on_disk[j] = wait_for(f"the deal of node {j}", 15, lambda j=j: stored_deal(small, j, begun.sid), every=0.2)
    done = wait_for("final", 60, lambda: _if_final(small, 3, begun.sid))
    dealt = [j for j in victims if j in done.deals]
    assert dealt, "neither deal reached the chain"
    for j in dealt:
        deal = done.deals[j]
        fields = (deal.e, deal.pok, deal.root, deal.list_hash, deal.nonce_hash, *deal.u)
        assert bytes.fromhex(begun.sid + "".join(fields)) == on_disk[j], f"node {j} made its deal anew"


def _if_final(net: Net, j: int, sid: str) -> SessionView | None:
    view = session(net, j, sid)
    assert view.phase != "abandoned"
    return view if view.phase == "final" else None


def test_sessions_missed_while_away_are_held_soon_after_the_return(small: Net) -> None:
    wait_idle(small)
    away = small.n
    small.kill_node(away)
    try:
        missed = start_session(small)
        done = wait_for("final without the absent node", 40, lambda: _if_final(small, 1, missed.sid))
        assert done.eks[away - 1], "the absent node had announced an encryption key"
        assert away not in done.holders
    finally:
        small.start_node(away)
    wait_for(f"node {away} to hold what it missed", 30, lambda: away in session(small, 1, missed.sid).holders)
    # The pool is refilled meanwhile: it may have missed more than the one.
    wait_for(f"node {away} to hold all that is retained", 30, lambda: holds_all_retained(small, away))
    wait_idle(small)
    check_all_keys(small)


def holds_all_retained(net: Net, j: int) -> bool:
    retained = net.query(1, "/sessions/retained", list[RetainedView])
    return all(j in view.holders for view in retained)


@pytest.mark.parametrize("phase", ["deal", "certified"])
def test_killing_t_nodes_in_a_session_loses_no_final_key(small: Net, phase: str) -> None:
    """A dealer lost between Q and its opening holds the session up until it is back, or the session is given up."""
    wait_idle(small)
    before = {key.index: key for key in key_list(small, 1)}
    victims = range(small.n, small.n - small.t, -1)
    begun = start_session(small)
    if phase != "deal":
        wait_for(phase, 20, lambda: session(small, 1, begun.sid).phase != "deal", every=0.02)
    for j in victims:
        small.kill_node(j)
    try:
        time.sleep(3)
        assert one_round(PublicDoor(small), f"kept-{secrets.token_hex(4)}@example.com")
    finally:
        for j in victims:
            small.start_node(j)
    wait_ready(small)
    over = ("final", "abandoned")
    wait_for("the session to end", 90, lambda: session(small, 1, begun.sid).phase in over)
    wait_idle(small)
    after = {key.index: key for key in key_list(small, 1)}
    for index, key in before.items():
        assert (after[index].Y, after[index].N) == (key.Y, key.N), f"key {index} changed"
    check_all_keys(small)
