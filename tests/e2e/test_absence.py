"""Nodes that are away while keys are made, and come back."""

from __future__ import annotations

import secrets
import time

import pytest

from authnet_core.protocol.views import RetainedView
from tests.e2e.doors import PublicDoor, one_round
from tests.e2e.key_checks import check_all_keys, if_final, key_list, session, start_session, wait_idle, wait_ready
from tests.e2e.net import Net, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]


def test_sessions_missed_while_away_are_held_soon_after_the_return(small: Net) -> None:
    wait_idle(small)
    away = small.n
    small.kill_node(away)
    try:
        missed = start_session(small)
        done = wait_for("final without the absent node", 40, lambda: if_final(small, 1, missed.sid))
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


@pytest.mark.soak
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
