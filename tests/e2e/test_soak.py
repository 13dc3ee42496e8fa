"""A slice of the soak in every test run: two kills under load, one in the midst of a session."""

from __future__ import annotations

import pytest

from tests.e2e.key_checks import wait_idle
from tests.e2e.net import PROCESSES, Net
from tests.soak.plan import counted, draw
from tests.soak.run import soak

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
SEED = 1
PAUSE_S = 0.3
"""Load enough for a session now and then; `make soak` leaves no pause."""


def test_two_kills_under_load(small: Net) -> None:
    wait_idle(small)
    outcome = soak(small, 2, SEED, pause_s=PAUSE_S)
    assert outcome.in_session > 0
    assert outcome.record.logins["one_round ok"] + outcome.record.logins["two_rounds ok"] > 0


@pytest.mark.parametrize("seed", range(20))
def test_a_plan_of_fifty_kills_is_what_the_acceptance_asks_for(seed: int) -> None:
    plan = draw(50, seed, 5)
    assert len(plan) == 50
    assert all(counted(plan)[process] >= 8 for process in PROCESSES)
    assert sum(bool(kill.step) for kill in plan) >= 20
    assert draw(50, seed, 5) == plan
