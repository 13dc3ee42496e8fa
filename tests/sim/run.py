"""One seed or one plan, run and judged."""

from tests.sim.invariants import check_all
from tests.sim.plan import Plan, plan_of
from tests.sim.world import World


def run_plan(plan: Plan) -> World:
    """The schedule of a plan, judged. Raises AssertionError, or whatever a machine raised."""
    world = World(plan).run()
    check_all(world)
    return world


def run_one(seed: int) -> World:
    """The schedule of a seed, judged."""
    return run_plan(plan_of(seed))
