"""Hand-overs under kill -9, on a network of its own: every kind of process and whole nodes, at every boundary.

    python -m tests.soak.handovers --seed 1 [--minutes M] [--only BOUNDARY,...] [--record FILE] [--no-aborts]

Goes on until all of the plan is done, or begins no hand-over after M minutes; `--record` notes what was done, and
leaves out what it has.
A failing run prints its seed and leaves the network's folder, with all logs.
"""

from __future__ import annotations

import argparse
import sys
import time
from itertools import cycle
from pathlib import Path

from tests.e2e.net import Net
from tests.e2e.networks import SMALL_POOL, running, temporary
from tests.soak.handovers import aborts, proofs
from tests.soak.handovers.plan import BOUNDARIES, Plan
from tests.soak.handovers.scene import Scene
from tests.soak.handovers.users import Users
from tests.soak.handovers.voyage import Voyages
from tests.soak.run import flush

PARAMS = SMALL_POOL | {
    "serve_delay_ms": 30_000,
    "grace_ms": 10_000,
    "first_rows": 3,
    "rows": 3,
    "pool_low": 60,
    "reshares_in_flight": 1,
}
"""Many small batches one after another: each has its own steps to be killed at. A pool that is filled up at once."""
ROOM = 80
KINDS_OF_HANDOVER = ((), ("--overlap", "3"), ("--refresh",), ("--refresh",))
LONGEST_S = 3_600
MOST = 24
"""Hand-overs; a plan needs about fifteen: `frozen` and `switching` have room for one kill in each."""


def main() -> int:
    """0 if everything held."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak.handovers", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, help="when left out, what is left of the plan at the end is a failure")
    parser.add_argument("--only", default=",".join(BOUNDARIES))
    parser.add_argument("--record", type=Path)
    parser.add_argument("--no-aborts", action="store_true")
    parser.add_argument("--dir", type=Path, help="folder of the network; a temporary one when left out")
    asked = parser.parse_args()
    plan = Plan(asked.seed, asked.only.split(","))
    if asked.record is not None:
        plan.resume(asked.record)
    flush(f"seed {asked.seed}: {len(plan.left)} kills to do")
    try:
        with running(asked.dir, 5, PARAMS, ROOM) if asked.dir else temporary(5, PARAMS, ROOM) as net:
            soak(net, plan, asked)
    except AssertionError as failure:
        flush(f"FAILED with seed {asked.seed}: {failure}")
        return 1
    finally:
        if asked.record is not None:
            plan.save(asked.record)
    return 0


def soak(net: Net, plan: Plan, asked: argparse.Namespace) -> None:
    """Raises AssertionError naming what did not hold."""
    end = time.monotonic() + (asked.minutes * 60 if asked.minutes is not None else LONGEST_S)
    scene = Scene(net)
    proofs.shorten_tokens(net)
    evidence, users = proofs.Evidence(scene), Users(net)
    voyages = Voyages(scene, plan, flush, users.hurry)
    try:
        with users:
            evidence.remember(users.known)
            for number, options in enumerate(cycle(KINDS_OF_HANDOVER)):
                if not plan.left or number == MOST or time.monotonic() > end:
                    break
                evidence.before_handover()
                voyages.make(*options)
                evidence.after_handover()
            if not asked.no_aborts:
                aborts.all_phases(scene, evidence, plan.random, flush)
            voyages.finish()
    finally:
        flush(str(users))
        flush(plan.table())
        flush(
            f"kills left: {len(plan.left)}; slowest hand-over {voyages.slowest[0]:.0f} s ({voyages.slowest[1]}); "
            f"slowest return {scene.slowest_return_s:.1f} s"
        )
    flush(evidence.check(users))
    assert not users.wrong, f"answers that contradict others: {users.wrong[:5]}"
    assert not plan.left or asked.minutes is not None, f"{len(plan.left)} kills found no place: {plan.left[:5]}"


if __name__ == "__main__":
    sys.exit(main())
