"""Everything that is measured on one network of n nodes on this machine, from `up` to `down`."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import keygen
from bench.client_load import Answer, Wish, run, run_many
from bench.figures import Timings
from bench.procfs import Shares, Watch
from localnet import procs
from tests.e2e.key_checks import door_is_open
from tests.e2e.net import PROCESSES, Net, wait_for
from tests.e2e.networks import running

RAISED_GENESIS = {"quota": 1_000_000}
RAISED_NODE = {
    "rate_per_s": 100_000.0,
    "burst": 100_000,
    "new_keys_per_s": 100_000.0,
    "new_keys_burst": 100_000,
    "max_connections": 2_048,
}
"""Rate limits, raised by their names in genesis_params.json and node.toml; all else is as shipped."""


@dataclass(frozen=True)
class Effort:
    """How long to measure."""

    alone: int = 60
    assigns: int = 400
    loaded_s: float = 8.0
    idle_s: float = 10.0
    processes: int = 2
    at_once: int = 4


QUICK = Effort(alone=20, assigns=120, loaded_s=3.0, idle_s=4.0)
Say = Callable[[str], None]


def measure(n: int, effort: Effort, say: Say) -> dict[str, Any]:
    """One object of bench/out/latest.json, without the figures of the application alone."""
    folder = Path(tempfile.mkdtemp(prefix="authnet-bench-"))
    with _watched(folder) as (keepers, everything):
        began = time.monotonic()
        say(f"n = {n}: starting the network")
        with running(folder, n, RAISED_GENESIS) as net:
            startup = time.monotonic() - began
            keygen.wait_full(net)
            say(f"n = {n}: pool full after {time.monotonic() - began:.0f} s")
            generated = keygen.measure(net, keepers, everything)
            found: dict[str, Any] = {
                "n": n,
                "startup_s": round(startup, 1),
                "keygen": {
                    "keys_s": round(generated.keys_s, 1),
                    "cpu_us_key_node": round(generated.cpu_us_key_node, 1),
                    "all_cpu_us_key_node": round(generated.all_cpu_us_key_node, 1),
                    "keys": generated.keys,
                    "sessions": generated.sessions,
                    "seconds": round(generated.seconds, 2),
                },
            }
            say(f"n = {n}: idle for {effort.idle_s:.0f} s")
            found |= _idle(net, effort)
            raise_limits(net)
            found |= _loads(net, effort, say)
            found["rss_mb"] = _memory(net)
    shutil.rmtree(folder)
    return found


def keepers_of(folder: Path) -> list[int]:
    """Pids of the keepers of a localnet, whatever epoch their nodes are of."""
    found = []
    for pid in procs.marked(folder):
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"p2p_dkg" in words:
            found.append(pid)
    return found


@contextmanager
def _watched(folder: Path) -> Iterator[tuple[Watch, Watch]]:
    """CPU of the keepers, and of every process of the localnet."""
    with Watch(lambda: keepers_of(folder)) as first, Watch(lambda: procs.marked(folder)) as second:
        yield first, second


def _idle(net: Net, effort: Effort) -> dict[str, Any]:
    time.sleep(2)
    groups = {process: [pid for (_, name), pid in net.pids().items() if name == process] for process in PROCESSES}
    groups["others"] = [pid for pid in procs.marked(net.dir) if pid not in {p for g in groups.values() for p in g}]
    shares = Shares(groups)
    time.sleep(effort.idle_s)
    cores = shares.stop()
    # anvil and the localnet's own daemon stand for the outside world; the nodes are the network.
    outside = cores.pop("others")
    return {
        "idle_cores": round(sum(cores.values()), 3),
        "idle_cores_of": {name: round(value, 3) for name, value in cores.items()} | {"outside": round(outside, 3)},
    }


def _memory(net: Net) -> dict[str, float]:
    """The largest of each kind of process, after all loads."""
    found = dict.fromkeys(PROCESSES, 0.0)
    for (_, name), pid in net.pids().items():
        found[name] = max(found[name], round(procs.rss_mb(pid), 1))
    return found


def raise_limits(net: Net) -> None:
    """Write the raised limits into each node.toml and let the door start again with them."""
    lines = "\n".join(f"{name} = {value}" for name, value in RAISED_NODE.items())
    for j in net.indexes:
        path = net.node(j).path / "node.toml"
        kept = [line for line in path.read_text().splitlines() if line.partition(" ")[0] not in RAISED_NODE]
        path.write_text("\n".join(kept).replace("[api]\n", f"[api]\n{lines}\n", 1) + "\n")
        old = net.kill_process(j, "node_api")
        wait_for(f"the door of node {j}", 30, lambda j=j, old=old: _is_open(net, j, old))


def _is_open(net: Net, j: int, old: int) -> bool:
    return net.pids().get((j, "node_api"), old) != old and door_is_open(net, j)


def _loads(net: Net, effort: Effort, say: Say) -> dict[str, Any]:
    folder, stamp = str(net.dir), f"{time.time_ns():x}"

    def users(label: str, count: int) -> list[str]:
        return [f"{label}-{i}-{stamp}@example.com" for i in range(count)]

    known = users("new", effort.alone) + users("crowd", effort.assigns)
    say(f"n = {net.n}: look-ups of new accounts")
    alone = run(Wish(folder, "assign", known[: effort.alone], 1, 60))
    loaded = run_many(Wish(folder, "assign", known[effort.alone :], 8, 60), effort.processes)
    found = {"assign": _timings(alone, loaded)}
    for kind in ("resolve", "login_two", "login_one"):
        say(f"n = {net.n}: {kind}")
        alone = run(Wish(folder, kind, known[: effort.alone], 1, 60))
        many = known * (1 + int(effort.loaded_s * 400 / len(known)))
        budget = int(effort.loaded_s * (1000 if kind == "resolve" else 120))
        loaded = run_many(Wish(folder, kind, many[:budget], effort.at_once, effort.loaded_s), effort.processes)
        found[kind] = _timings(alone, loaded)
    return found


def _timings(alone: Answer, loaded: Answer) -> dict[str, float | int]:
    return Timings(
        alone_ms=tuple(alone.ms),
        loaded_ms=tuple(loaded.ms),
        per_s=loaded.per_s,
        retries=alone.retries + loaded.retries,
        errors=sum(alone.errors.values()) + sum(loaded.errors.values()),
        client_cores=loaded.cpu_s / loaded.took_s if loaded.took_s else 0.0,
    ).as_json()
