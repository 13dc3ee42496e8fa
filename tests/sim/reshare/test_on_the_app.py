"""Lies on the real state machine: what holds over the model of the chain holds over the application too."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.sim.reshare.invariants import check_always, check_success
from tests.sim.reshare.plan import Plan, Weather
from tests.sim.reshare.real_chain import KEYS, RealChain
from tests.sim.reshare.world import World

CASES = {
    "all honest, other members": Plan(1, shared=0),
    "all honest, the same members": Plan(2, shared=5),
    "wrong constant": Plan(3, old_lies=((2, "wrong constant"),)),
    "bad share and forged M": Plan(4, old_lies=((3, "bad share"),), new_lies=((2, "forged M"),)),
    "no test and false complaints": Plan(5, shared=2, old_lies=((4, "no test"),), new_lies=((3, "false complaint"),)),
    "wrong nonces, lies of READY": Plan(6, old_lies=((1, "wrong nonces"),), new_lies=((4, "lies of READY"),)),
    "crashes in bad weather": Plan(7, shared=3, crashes=((0, (2, 5, 8)), (6, (1, 3, 6))), weather=Weather(0.1, 0.2)),
}


def run(folder: Path, plan: Plan) -> World:
    plan = replace(plan, count=KEYS)
    chain = RealChain(folder, plan)
    try:
        world = World(plan, estate=chain.estate(), chain=chain).run()
        check_always(world)
        check_success(world)
    finally:
        chain.close()
    return world


@pytest.mark.parametrize("name", CASES)
def test_on_the_app(name: str, tmp_path: Path) -> None:
    run(tmp_path / "app", CASES[name])


def test_a_company_of_all_old_members_changes_no_key_on_the_app(tmp_path: Path) -> None:
    plan = Plan(8, count=KEYS, company=5)
    chain = RealChain(tmp_path / "app", plan)
    world = World(plan, estate=chain.estate(), chain=chain).run()
    check_always(world)
    assert chain.phase == "failed"
    chain.close()
