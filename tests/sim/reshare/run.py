"""Runs plans and judges them: `python -m tests.sim.reshare.run --seeds 200 [--start 0] [--seed 7]`."""

import argparse
import sys
import time

from tests.sim.reshare.invariants import check_always, check_success
from tests.sim.reshare.plan import Plan, draw
from tests.sim.reshare.world import World

ATTEMPTS = 5


def run_plan(plan: Plan) -> World:
    """The world after the last attempt. Raises AssertionError with the invariant that broke.

    In calm weather the first attempt succeeds; in other weather, or with crashes, one may miss a cut-off.
    """
    for attempt in range(ATTEMPTS):
        world = World(plan, attempt).run()
        check_always(world)
        if world.chain.phase != "failed" or plan.is_calm or plan.company:
            break
    if not plan.company:
        check_success(world)
    return world


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--seed", type=int)
    arguments = parser.parse_args()
    first, many = (arguments.seed, 1) if arguments.seed is not None else (arguments.start, arguments.seeds)
    began, broken = time.monotonic(), []
    for seed in range(first, first + many):
        try:
            run_plan(draw(seed))
        except Exception as error:
            broken.append(seed)
            print(f"seed {seed}: {type(error).__name__}: {error}\n  {draw(seed)}")
    print(f"{many} resharings, {len(broken)} broken, {time.monotonic() - began:.0f} s")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
