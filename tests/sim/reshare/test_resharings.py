"""A slice of the simulator, and every strategy once; `make sim-reshare SEEDS=1000` sweeps."""

import pytest

from authnet_core.protocol.committee import Committee
from authnet_core.protocol.reshare.messages import ReshareRecovery
from tests.sim.reshare.dealers import OLD_STRATEGIES
from tests.sim.reshare.invariants import check_always, check_success
from tests.sim.reshare.plan import Plan, draw
from tests.sim.reshare.receivers import NEW_STRATEGIES
from tests.sim.reshare.run import run_plan
from tests.sim.reshare.world import World


@pytest.mark.parametrize("seed", range(6))
def test_drawn_resharings(seed: int) -> None:
    run_plan(draw(seed))


@pytest.mark.parametrize("strategy", OLD_STRATEGIES)
def test_one_old_member_lies(strategy: str) -> None:
    run_plan(Plan(3, 5, 5, 0, 1, old_lies=((2, strategy),)))


@pytest.mark.parametrize("strategy", NEW_STRATEGIES)
def test_one_new_member_lies(strategy: str) -> None:
    run_plan(Plan(4, 5, 5, 5, 1, new_lies=((2, strategy),)))


@pytest.mark.parametrize(("old", "new", "shared"), [(5, 9, 5), (9, 5, 2), (9, 6, 0)])
def test_growth_and_shrink(old: int, new: int, shared: int) -> None:
    world = run_plan(Plan(5, old, new, shared, 1))
    assert len(world.chain.holders) == new


def test_a_late_victim_is_healed() -> None:
    """A bad share for one receiver that was away until Q' was fixed: complaint, then recovery from k' others."""
    healed = 0
    for seed in range(4):
        world = World(Plan(seed, 5, 5, 0, 1, old_lies=((2, "bad share"),)))
        dealer = world.nodes[1].dealer
        assert dealer is not None
        world.delay(next(node for node in world.nodes if node.place.new == dealer.victim), 9_000)
        world.run()
        check_always(world)
        check_success(world)
        healed += any(isinstance(message, ReshareRecovery) for _, _, message in world.sent)
    assert healed


@pytest.mark.parametrize("company", [3, 5])
def test_a_company_of_liars_never_changes_a_key(company: int) -> None:
    """k old members, or all of them, that agree on other keys: the attempt fails, or the honest ones' Q' is found."""
    world = run_plan(Plan(6, 5, 5, 0, 1, company=company))
    honest = 5 - company
    assert world.chain.phase == ("final" if honest >= Committee.of(5).k else "failed")


def test_k_old_nodes_are_enough() -> None:
    """Beyond t absent: without n-t deals it takes twice the time, and then goes on with k."""
    world = World(Plan(7, 5, 5, 0, 1, old_lies=((1, "absent"), (4, "absent")))).run()
    assert world.chain.phase == "final"
    assert world.chain.view().q == (2, 3, 5)
