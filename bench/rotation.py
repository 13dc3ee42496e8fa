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
from bench import keygen, reshare_cpu
from bench.procfs import Peaks, Watch
from bench.whole_network import RAISED_GENESIS, keepers_of
from localnet.members import read_processes
from localnet.procs import rss_mb
from tests.e2e.net import Net
from tests.e2e.networks import running

OUT = Path(__file__).resolve().parent / "out" / "rotation.json"
SCHEMA = 2
WAIT_S = 900
ALONE_KEYS = 1_000
FLOOR_S = 60
"""10,000 keys from the announcement to the switch, 5 -> 5, on 2 cores."""
_BYTES = re.compile(r"^authnet_peer_bytes_out_total\{[^}]*\} ([0-9.e+]+)$", re.MULTILINE)


def measure(n: int, keys: int) -> dict[str, Any]:
    """n -> n, no node in both. Times in seconds of block time, CPU in us, memory in MB."""
    folder, load = Path(tempfile.mkdtemp(prefix="authnet-bench-")), os.getloadavg()[0]
    alone = _machines_alone(n)
    # A session more than the low mark is enough to stop: the pool ends at or a little above `keys`.
    pool = {"pool_low": keys, "pool_high": keys, "serve_delay_ms": 1_000}
    with running(folder, n, RAISED_GENESIS | pool, room=2 * n) as net:
        _say(f"n = {n}: filling a pool of {keys} keys")
        keygen.wait_full(net)
        before, sent = _memory(folder, n), _bytes_out(folder)
        _say(f"n = {n}: handing over")
        with Watch(lambda: keepers_of(folder)) as watch, Peaks(lambda: _groups(folder, n)) as peaks:
            seen, done = _hand_over(net)
        end = next(e for e in net.query(1, "/handovers", list[HandoverEndView]) if e.epoch == done["epoch"])
        began, resharing = seen["resharing"].announced_ms / 1000, seen["resharing"].phase_ms / 1000
        switched, moved = end.time_ms / 1000, int(done["keys"])
        size = _bytes_out(folder)
    shutil.rmtree(folder)
    cpu = watch.between(resharing, switched) * 1e6 / moved / (2 * n)
    return {
        "schema": SCHEMA,
        "n": n,
        "cores": os.cpu_count(),
        "load": {"before": round(load, 1), "after": round(os.getloadavg()[0], 1)},
        "keys": moved,
        "batches": done["batches"],
        "announced_to_switch_s": round(switched - began, 2),
        "joining_s": round(resharing - began, 2),
        "resharing_s": round(switched - resharing, 2),
        "keys_s": round(moved / (switched - resharing), 1),
        "cpu_us_key_node": round(cpu, 1),
        "machines_alone_us": round(alone, 1),
        "cpu_ratio": round(cpu / alone, 2),
        "bytes_key_node": round((size - sent) / moved / (2 * n), 1),
        "memory_mb": {"before": before, "most": peaks.most, "most_anon": peaks.most_anon},
        "wrong_keys": done["self_test"]["wrong"],
    }


def _machines_alone(n: int) -> float:
    """CPU per key and node of the same resharing without network, chain and disk, in us: the measure of the rest."""
    nodes, seconds, _ = min((reshare_cpu.measure(n, n, ALONE_KEYS, True) for _ in range(2)), key=lambda run: run[1])
    return seconds * 1e6 / ALONE_KEYS / nodes


def _hand_over(net: Net) -> tuple[dict[str, HandoverView], dict[str, Any]]:
    """The last view of each phase, and what `rotate` said."""
    with ThreadPoolExecutor(1) as pool_of_one:
        rotation = pool_of_one.submit(
            net.cli, "localnet", "rotate", "--keep-old", "--wait-s", str(WAIT_S), timeout=WAIT_S
        )
        return _follow(net, rotation.done), rotation.result()


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


def _groups(folder: Path, n: int) -> dict[str, list[int]]:
    """Pids of the processes whose memory is watched, of those that leave (the first n nodes) and those that come."""
    found: dict[str, list[int]] = {}
    for state in folder.glob("node*/run/supervisor.json"):
        side = "old" if int(state.parent.parent.name.removeprefix("node")) <= n else "new"
        for process in read_processes(state):
            if process["name"] in ("p2p_dkg", "abci_app") and process["pid"]:
                found.setdefault(f"{process['name']} {side}", []).append(process["pid"])
    return found


def _memory(folder: Path, n: int) -> dict[str, float]:
    """The largest of each group now."""
    return {name: round(max(map(rss_mb, pids)), 1) for name, pids in _groups(folder, n).items()}


def _bytes_out(folder: Path) -> float:
    """Bytes of all frames that the keepers have sent."""
    total = 0.0
    for door in folder.glob("node*/run/ops.sock"):
        total += sum(float(value) for value in _BYTES.findall(str(call_once(door, "metrics"))))
    return total


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def show(results: list[dict[str, Any]], console: Console) -> None:
    """One row per run, then how cost and memory go with the number of keys."""
    table = Table(title="hand-over to other nodes", title_justify="left", header_style="bold")
    for name in ("n", "keys", "to switch", "resharing", "keys/s", "CPU", "of machines alone", "bytes", "load"):
        table.add_column(name, justify="right")
    for r in results:
        table.add_row(
            str(r["n"]),
            f"{r['keys']:,}",
            f"{r['announced_to_switch_s']:.1f} s",
            f"{r['resharing_s']:.1f} s",
            f"{r['keys_s']:.0f}",
            f"{r['cpu_us_key_node']:.0f} us",
            f"{r['cpu_ratio']:.1f} x",
            f"{r['bytes_key_node']:.0f}",
            f"{r['load']['before']:.0f} -> {r['load']['after']:.0f}",
        )
    console.print(table)
    console.print(_memory_table(results))
    console.print("CPU of all keepers and bytes they sent are per key and node; the load is the machine's.")
    console.print(f"floor: 10,000 keys 5 -> 5 within {FLOOR_S} s from the announcement to the switch")


def _memory_table(results: list[dict[str, Any]]) -> Table:
    table = Table(
        title="most memory of one process (without pages of files)", title_justify="left", header_style="bold"
    )
    groups = sorted({group for r in results for group in r["memory_mb"]["most"]})
    for name in ("n", "keys", *groups):
        table.add_column(name, justify="right")
    for r in results:
        most, anon = r["memory_mb"]["most"], r["memory_mb"]["most_anon"]
        cells = (f"{most[g]:.0f} ({anon[g]:.0f}) MB" for g in groups)
        table.add_row(str(r["n"]), f"{r['keys']:,}", *cells)
    return table


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
