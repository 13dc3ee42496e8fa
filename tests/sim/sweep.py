"""Sweep many schedules: `python -m tests.sim.sweep --seeds 200 --start 0`. A failing seed is printed and replays."""

import argparse
import sys
import time
import traceback

from tests.sim.invariants import check_all
from tests.sim.world import World

SIZES = (5, 5, 6, 9)


def run_one(seed: int) -> World:
    """The schedule of a seed, judged."""
    world = World(seed, SIZES[seed % len(SIZES)]).run()
    check_all(world)
    return world


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--start", type=int, default=0)
    arguments = parser.parse_args()
    began, failed = time.monotonic(), []
    for seed in range(arguments.start, arguments.start + arguments.seeds):
        try:
            run_one(seed)
        except Exception:
            failed.append(seed)
            traceback.print_exc()
            print(f"seed {seed} failed; replay: python -m tests.sim.sweep --seeds 1 --start {seed}", flush=True)
    print(f"{arguments.seeds} schedules, {len(failed)} failed {failed}, {time.monotonic() - began:.1f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
