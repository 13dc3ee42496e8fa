"""Sweep many schedules: `make sim SEEDS=10000 [START=0]`; `make sim SEED=n` replays one.

Seeds run in chunks over processes; chunks that passed are remembered for the code as it is, so that an interrupted
sweep goes on where it was. A failing seed is shrunk to a short trace. Prints the coverage table at the end.
"""

import argparse
import hashlib
import os
import sys
import time
from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path

from rich.console import Console

from tests.sim.coverage import count_pairs, coverage_table, uncovered
from tests.sim.plan import all_pairs, plan_of
from tests.sim.run import run_one
from tests.sim.shrink import decode_plan, failure, shrink, tell

ROOT = Path(__file__).resolve().parents[2]
CHUNK = 20
ENOUGH = 10_000
"""From so many seeds on every pair must have run."""
SHOWN = 3
"""Failing seeds that are shrunk."""
Chunk = tuple[int, int]


def run_chunk(chunk: Chunk) -> tuple[Chunk, list[int]]:
    """Seeds from .. to-1; those that failed."""
    failed = []
    for seed in range(*chunk):
        try:
            run_one(seed)
        except Exception:
            failed.append(seed)
    return chunk, failed


def fingerprint() -> str:
    """Of all code that a run depends on."""
    folders = ("tests/sim", "tests/unit/dkg", "authnet_core/protocol", "authnet_core/crypto", "p2p_dkg/network")
    digest = hashlib.sha256()
    for path in sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        if not path.name.startswith("test_"):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


class Journal:
    """Chunks that passed, one a line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = path.read_text().split() if path.exists() else []
        self.passed = {(int(a), int(b)) for a, _, b in (line.partition("-") for line in lines)}

    def add(self, chunk: Chunk) -> None:
        with self.path.open("a") as file:
            file.write(f"{chunk[0]}-{chunk[1]}\n")


def chunks(start: int, seeds: int) -> Iterator[Chunk]:
    end = start + seeds
    for at in range(start, end, CHUNK):
        yield at, min(at + CHUNK, end)


def sweep(start: int, seeds: int, jobs: int, console: Console) -> list[int]:
    """Run the range; the seeds that failed."""
    journal = Journal(ROOT / ".cache" / "sim" / f"{fingerprint()}.txt")
    todo = [chunk for chunk in chunks(start, seeds) if chunk not in journal.passed]
    total, done, failed = sum(b - a for a, b in todo), 0, []
    console.print(f"{seeds} seeds from {start}, {seeds - total} of them passed before; {jobs} processes")
    began = time.monotonic()
    with get_context("fork").Pool(jobs) as pool:
        for chunk, bad in pool.imap_unordered(run_chunk, todo):
            done += chunk[1] - chunk[0]
            failed += bad
            if not bad:
                journal.add(chunk)
            rate = done / (time.monotonic() - began)
            line = f"{done}/{total} seeds, {rate:.1f}/s, {(total - done) / rate:.0f} s to go, {len(failed)} failed"
            console.print(line, end="\r" if console.is_terminal else "\n")
    console.print(f"\n{seeds} seeds, {len(failed)} failed, {time.monotonic() - began:.0f} s")
    return sorted(failed)


def report(failed: list[int], console: Console) -> None:
    """Each failing seed's command; the first ones shrunk."""
    for seed in failed:
        console.print(f"seed {seed} failed; again: make sim SEED={seed}")
    for seed in failed[:SHOWN]:
        if failure(plan_of(seed)):
            tell(*shrink(plan_of(seed)), console)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1_000)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--seed", type=int, help="this one only")
    parser.add_argument("--plan", help="this plan only, as a shrunk failure printed it")
    return parser.parse_args()


def main() -> int:
    given, console = arguments(), Console(width=None if sys.stdout.isatty() else 160)
    if given.seed is not None or given.plan:
        plan = decode_plan(given.plan) if given.plan else plan_of(given.seed)
        reason = failure(plan)
        if reason and not given.plan:
            plan, reason = shrink(plan)
        tell(plan, reason or "passed", console)
        return 1 if reason else 0
    failed = sweep(given.start, given.seeds, given.jobs, console)
    counts = count_pairs(range(given.start, given.start + given.seeds))
    missing = uncovered(counts)
    console.print(coverage_table(counts))
    console.print(f"{len(all_pairs()) - len(missing)} of {len(all_pairs())} pairs of t-subset and strategy covered")
    report(failed, console)
    return 1 if failed or (missing and given.seeds >= ENOUGH) else 0


if __name__ == "__main__":
    sys.exit(main())
