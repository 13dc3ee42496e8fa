"""`make bench`: measure, print a table, write bench/out/latest.json (interfaces: docs/bench.md).

    python -m bench [--nodes 5,9] [--only network|app|state|liars] ; QUICK=1 for a short run

Needs a quiet machine: every node, the load and the Ethereum chain share it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from bench import liars, ratio, state_update, whole_network
from bench.report import show

OUT = Path(__file__).resolve().parent / "out" / "latest.json"
PARTS = ("network", "app", "state", "liars")
SCHEMA = 1


def main() -> int:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--nodes", default="5,9", help="sizes of the networks")
    parser.add_argument("--only", choices=PARTS, action="append", help="measure this part; may be repeated")
    asked = parser.parse_args()
    parts = asked.only or list(PARTS)
    quick = os.environ.get("QUICK", "") not in ("", "0")
    console = Console(highlight=False)
    began, load = time.monotonic(), os.getloadavg()[0]
    say = _teller(began)
    if load > 1:
        console.print(f"[yellow]the machine is not quiet (load {load:.1f}): figures will be worse than it can do[/]")

    shared: dict[str, Any] = {}
    if "app" in parts:
        say("abci_app and kvstore, in turns")
        found = ratio.measure(rounds=3 if quick else 5, count=1500 if quick else 3000)
        shared |= {"baseline": {"kvstore_tx_s": round(found.kvstore_tx_s, 1)}, "app": found.as_json()}
    if "state" in parts:
        say("blocks by accounts")
        shared["state_update_ms"] = state_update.measure(state_update.SIZES[:4] if quick else state_update.SIZES)
    results = []
    effort = whole_network.QUICK if quick else whole_network.Effort()
    for n in [int(text) for text in asked.nodes.split(",")]:
        figures: dict[str, Any] = {"schema": SCHEMA, "n": n, "cores": os.cpu_count(), "load_before": round(load, 2)}
        if "network" in parts:
            figures |= whole_network.measure(n, effort, say)
        if "liars" in parts:
            figures["liars"] = liars.measure(n, effort.alone, say)
        results.append(figures | shared)
        if not {"network", "liars"} & set(parts):
            break
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(results, indent=1) + "\n")
    show(results, console)
    console.print(f"{OUT.relative_to(OUT.parent.parent.parent)} written after {time.monotonic() - began:.0f} s")
    return 0


def _teller(began: float) -> whole_network.Say:
    def say(text: str) -> None:
        print(f"{time.monotonic() - began:6.1f} s  {text}", file=sys.stderr, flush=True)

    return say


if __name__ == "__main__":
    sys.exit(main())
