"""`make soak KILLS=50 SEED=1`: kill -9 under load on a network of its own.

    python -m tests.soak --kills 50 --seed 1 [--nodes 5] [--dir DIR]

A failing run prints its seed and leaves the network's folder, with all logs.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.e2e.networks import running, temporary
from tests.soak.plan import counted, draw
from tests.soak.run import flush, soak


def main() -> int:
    """0 if everything held."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--nodes", type=int, default=5, choices=(5, 6, 9))
    parser.add_argument("--dir", type=Path, help="folder of the network; a temporary one when left out")
    asked = parser.parse_args()
    plan = draw(asked.kills, asked.seed, asked.nodes)
    flush(f"starting {asked.nodes} nodes for {asked.kills} kills, {len(counted(plan))} kinds of process")
    try:
        with running(asked.dir, asked.nodes) if asked.dir else temporary(asked.nodes) as net:
            outcome = soak(net, asked.kills, asked.seed, flush)
    except AssertionError as failure:
        flush(f"FAILED with seed {asked.seed}: {failure}")
        return 1
    if asked.kills >= 50 and outcome.in_session < 20:
        flush(f"FAILED with seed {asked.seed}: only {outcome.in_session} kills fell into a session")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
