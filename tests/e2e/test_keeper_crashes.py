"""Keepers that die at named steps of a session: the same session ends well, with the same deals.

On a network with a small pool, where a session takes a few assignments.
"""

from __future__ import annotations

from collections import defaultdict

import pytest

from authnet_core.protocol.views import SessionView
from tests.e2e.keeper_files import stored_deal
from tests.e2e.key_checks import check_all_keys, if_final, session, start_session, wait_idle, wait_ready
from tests.e2e.net import Net, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

STEPS = (
    ("store:deal", "submit:deal:before", "submit:deal:after", "store:bundle", "store:share"),
    ("store:deal", "store:deal", "submit:ack:before", "submit:ack:after", "store:list"),
    ("submit:opened:before", "submit:opened:after", "store:shares", "store:keys", "submit:final:before"),
    ("submit:final:after", "submit:keys:before", "submit:keys:after", "erase:brief", "submit:deal:before"),
)
"""Where the keepers of nodes 1 to 5 die in one session: all of them, each once, all back by themselves."""


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param(STEPS[0], id="deal", marks=pytest.mark.soak),
        pytest.param(STEPS[1], id="ack", marks=pytest.mark.soak),
        pytest.param(STEPS[2], id="open", marks=pytest.mark.soak),
        pytest.param(STEPS[3], id="final", marks=pytest.mark.soak),
    ],
)
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


def test_a_stored_deal_is_the_one_that_reaches_the_chain(small: Net) -> None:
    """Two keepers die right after their deal is on disk. What is on their disks then is what the chain gets later."""
    wait_idle(small)
    victims = (1, 2)
    for j in victims:
        small.kill_node(j)
        small.start_node(j, p2p_dkg="AUTHNET_FAIL_AT=store:deal")
    wait_ready(small)
    begun = start_session(small, j=3)
    on_disk: dict[int, bytes] = {}

    def both_stored() -> bool:
        found = {j: stored_deal(small, j, begun.sid) for j in victims if j not in on_disk}
        on_disk.update({j: deal for j, deal in found.items() if deal})
        return len(on_disk) == len(victims)

    wait_for("both deals on disk", 15, both_stored)
    done = wait_for("final", 60, lambda: if_final(small, 3, begun.sid))
    dealt = [j for j in victims if j in done.deals]
    assert dealt, "neither deal reached the chain"
    for j in dealt:
        deal = done.deals[j]
        fields = (deal.e, deal.pok, deal.root, deal.list_hash, deal.nonce_hash, *deal.u)
        assert bytes.fromhex(begun.sid + "".join(fields)) == on_disk[j], f"node {j} made its deal anew"
