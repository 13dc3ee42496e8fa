"""`make bench-rotation`: what it costs to hand a whole network over to nodes that were not there before.

    python -m bench.rotation [--nodes 5,9] [--keys 1000,10000] ; writes bench/out/rotation.json

Both committees share this machine. The pool is filled to the number of keys first; all of them move.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from authnet_core.errors import AuthnetError
from authnet_core.protocol.views import HandoverEndView, HandoverView
from authnet_runtime.rpc_once import call_once
from bench import keygen
from bench.procfs import Watch, rss_mb
from bench.whole_network import RAISED_GENESIS, keepers_of
from tests.e2e.net import Net
from tests.e2e.networks import running

OUT = Path(__file__).resolve().parent / "out" / "rotation.json"
SCHEMA = 1
WAIT_S = 900
FLOOR_S = 60
"""10,000 keys from the announcement to the switch, 5 -> 5, on 2 cores."""
_BYTES = re.compile(r"^authnet_peer_bytes_out_total\{[^}]*\} ([0-9.e+]+)$", re.MULTILINE)


def measure(n: int, keys: int) -> dict[str, Any]:
    """n -> n, no node in both. Times in seconds of block time, CPU in us, memory in MB."""
    folder = Path(tempfile.mkdtemp(prefix="authnet-bench-"))
    # A session more than the low mark is enough to stop: the pool ends at or a little above `keys`.
    pool = {"pool_low": keys, "pool_high": keys, "serve_delay_ms": 1_000}
    with running(folder, n, RAISED_GENESIS | pool, room=2 * n) as net:
        _say(f"n = {n}: filling a pool of {keys} keys")
        keygen.wait_full(net)
        before, sent = _memory(folder), _bytes_out(folder)
        _say(f"n = {n}: handing over")
        with Watch(lambda: keepers_of(folder)) as watch, ThreadPoolExecutor(1) as pool_of_one:
            rotation = pool_of_one.submit(
                net.cli, "localnet", "rotate", "--keep-old", "--wait-s", str(WAIT_S), timeout=WAIT_S
            )
            seen = _follow(net, rotation.done)
            done = rotation.result()
        end = next(e for e in net.query(1, "/handovers", list[HandoverEndView]) if e.epoch == done["epoch"])
        began, resharing = seen["announced"].announced_ms / 1000, seen["resharing"].phase_ms / 1000
        switched, moved = end.time_ms / 1000, int(done["keys"])
        after, size = _memory(folder), _bytes_out(folder)
    shutil.rmtree(folder)
    return {
        "schema": SCHEMA,
        "n": n,
        "cores": os.cpu_count(),
        "keys": moved,
        "batches": done["batches"],
        "announced_to_switch_s": round(switched - began, 2),
        "joining_s": round(resharing - began, 2),
        "resharing_s": round(switched - resharing, 2),
        "keys_s": round(moved / (switched - resharing), 1),
        "cpu_us_key_node": round(watch.between(resharing, switched) * 1e6 / moved / (2 * n), 1),
        "bytes_key_node": round((size - sent) / moved / (2 * n), 1),
        "keeper_mb": {"before": before, "after": after},
        "wrong_keys": done["self_test"]["wrong"],
    }


def _follow(net: Net, is_over: Any) -> dict[str, HandoverView]:
    """The last view of each phase that was seen."""
    seen: dict[str, HandoverView] = {}
    while not is_over():
        try:
            view = net.query(1, "/handover", HandoverView)
        except (AuthnetError, OSError):
            view = None
        if view is not None and (view.phase_ms or view.phase not in seen):
            seen[view.phase] = view
        time.sleep(0.1)
    return seen


def _memory(folder: Path) -> float:
    """The largest keeper."""
    return round(max(rss_mb(pid) for pid in keepers_of(folder)), 1)


def _bytes_out(folder: Path) -> float:
    """Bytes of all frames that the keepers have sent."""
    total = 0.0
    for door in folder.glob("node*/run/ops.sock"):
        total += sum(float(value) for value in _BYTES.findall(str(call_once(door, "metrics"))))
    return total


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def show(results: list[dict[str, Any]], console: Console) -> None:
    """One row per run."""
    table = Table(title="hand-over to other nodes", title_justify="left", header_style="bold")
    for name in (
        "n",
        "keys",
        "announced to switch",
        "of it resharing",
        "keys/s",
        "CPU a key and node",
        "bytes",
        "keeper",
    ):
        table.add_column(name, justify="right")
    for r in results:
        memory = r["keeper_mb"]
        table.add_row(
            str(r["n"]),
            f"{r['keys']:,}",
            f"{r['announced_to_switch_s']:.1f} s",
            f"{r['resharing_s']:.1f} s",
            f"{r['keys_s']:.0f}",
            f"{r['cpu_us_key_node']:.0f} us",
            f"{r['bytes_key_node']:.0f}",
            f"{memory['before']:.0f} -> {memory['after']:.0f} MB",
        )
    console.print(table)
    console.print(f"floor: 10,000 keys 5 -> 5 within {FLOOR_S} s from the announcement to the switch")


def main() -> int:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench.rotation", description=__doc__)
    parser.add_argument("--nodes", default="5")
    parser.add_argument("--keys", default="1000,10000")
    asked = parser.parse_args()
    results = [measure(int(n), int(keys)) for n in asked.nodes.split(",") for keys in asked.keys.split(",")]
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(results, indent=1) + "\n")
    show(results, Console(highlight=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
