"""python -m tests.fuzz: all targets, or the named ones, for as long as told; what breaks one is kept.

    python -m tests.fuzz --minutes 30 [--engine hypothesis|atheris] [TARGET ...]

Hypothesis remembers what it found in .cache/fuzz and tries that first the next time. The smallest input that breaks a
target is written to tests/fuzz/corpus/TARGET/: commit it with the fix, and the suite replays it from then on.
`--engine atheris` (pip install atheris; not among the project's own requirements) steers by coverage, one target at a
time; its own findings are kept in .cache/fuzz/TARGET.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import logging
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import structlog

from tests.fuzz import test_chain, test_clients, test_doors, test_links, test_logins, test_operators, test_proofs
from tests.fuzz.mutation import spoil
from tests.fuzz.target import DATABASE, FAILED, Target

MODULES = (test_links, test_chain, test_proofs, test_doors, test_logins, test_clients, test_operators)
TARGETS: dict[str, Target] = {target.name: target for module in MODULES for target in module.TARGETS}
ROUND = 400


def keep(target: Target, raw: bytes) -> Path:
    """Write a breaking input to the corpus."""
    target.folder.mkdir(parents=True, exist_ok=True)
    path = target.folder / f"broke-{hashlib.sha256(raw).hexdigest()[:12]}"
    path.write_bytes(raw)
    return path


def search(targets: list[Target], until: float) -> int:
    """Round after round until the time is over. Returns how many targets broke."""
    broken = dict[str, str]()
    for number in itertools.count(1):
        left = [target for target in targets if target.name not in broken]
        for target in left:
            if time.monotonic() > until or not left:
                return len(broken)
            try:
                target.search(ROUND)
            except Exception as error:
                broken[target.name] = type(error).__name__
                path = keep(target, FAILED.get(target.name, b""))
                sys.stdout.write(f"{target.name}: {type(error).__name__}: {error}\n  kept as {path}\n")
        sys.stdout.write(f"round {number}: {ROUND} inputs each for {len(left)} targets, {len(broken)} broken so far\n")
        sys.stdout.flush()
        if not left:
            return len(broken)
    return len(broken)


def guide(target: Target, until: float) -> int:
    """The same mutations, steered by the coverage of our own packages. Ends the process, as libFuzzer does."""
    import atheris  # type: ignore[import-not-found]

    seeds = target.all_seeds()

    def one(raw: bytes) -> None:
        provider = atheris.FuzzedDataProvider(raw)
        choose: Callable[[int, int], int] = provider.ConsumeIntInRange
        spoilt = spoil(choose, seeds, target.shape)
        try:
            target.check(spoilt)
        except Exception:
            keep(target, spoilt)
            raise

    found = DATABASE / target.name
    found.mkdir(parents=True, exist_ok=True)
    atheris.instrument_all()
    seconds = max(int(until - time.monotonic()), 1)
    atheris.Setup([sys.argv[0], f"-max_total_time={seconds}", "-max_len=512", str(found)], one)
    atheris.Fuzz()
    return 0


def main() -> int:
    """0 when nothing broke."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("targets", nargs="*", choices=[[], *TARGETS], metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--engine", choices=("hypothesis", "atheris"), default="hypothesis")
    wanted = parser.parse_args()
    targets = [TARGETS[name] for name in wanted.targets or TARGETS]
    # What is refused is logged and warned about, a thousand times a second.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    warnings.simplefilter("ignore")
    until = time.monotonic() + wanted.minutes * 60
    if wanted.engine == "atheris":
        if len(targets) != 1:
            parser.error("--engine atheris takes one target")
        return guide(targets[0], until)
    broken = search(targets, until)
    sys.stdout.write(f"{len(targets)} targets, {broken} broken\n")
    return 1 if broken else 0


if __name__ == "__main__":
    raise SystemExit(main())
