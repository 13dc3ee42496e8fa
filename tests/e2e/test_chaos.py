"""A slice of chaos in every test run: a killed node, a cut-off one and a liar.

`make chaos` runs longer, with every kind of fault.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from localnet import procs
from localnet.chaos.schedule import Kind, Wish, draw
from tests.e2e.lives import folder, run
from tests.e2e.net import ROOT, free_base_port

__all__ = ["folder"]
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
LIAR = ROOT / "tests" / "liars" / "keeper.py"
KINDS = (Kind.KILL_NODE, Kind.ISOLATE, Kind.LIAR)
SEED, MINUTES = 32, 0.45
"""Of thousands of seeds one of the shortest with a fault of each kind."""
STARVED, OF_TIME = 0.2, {"service", "nodes"}
"""What a machine decides that has no time left for the runner, which needs next to none."""


def test_half_a_minute_of_chaos_keeps_every_light_green(folder: Path) -> None:
    args = ["--seed", str(SEED), "--minutes", str(MINUTES), "--nodes", "5", "--liar", str(LIAR)]
    args += [word for kind in KINDS for word in ("--kind", kind.value)]
    page = folder / "report.html"
    args += ["--html", str(page), "--json", "--dir", str(folder), "--base-port", str(free_base_port(5))]
    done = run("localnet", "chaos", *args, timeout=800)
    assert done.stdout, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert "error" not in found, found
    assert done.returncode == int(not found["ok"])
    broken = {light["name"] for light in found["lights"] if not light["green"]}
    assert not broken - OF_TIME, found["violations"]
    if found["kept_waiting"]["share"] < STARVED:
        assert not broken, found["violations"]
        assert found["looked_at"]["keys"] > 0
    assert {light["name"] for light in found["lights"] if light["checks"]} >= {"keys", "address", "tokens", "hashes"}
    assert found["steps"]["done"] > 0
    assert found["outcomes"]["two-round login"]["ok"] > 0
    assert "<svg" in page.read_text()
    assert procs.marked(folder) == []


def test_the_slice_has_one_fault_of_each_kind() -> None:
    from tests.liars.strategies import STRATEGIES

    steps = draw(Wish(SEED, MINUTES, 5, proxied=True, strategies=tuple(STRATEGIES), kinds=KINDS))
    assert {fault.kind for step in steps for fault in step.faults} == set(KINDS)


def test_without_a_network_it_says_how_to_start_one(folder: Path) -> None:
    refused = run("localnet", "chaos", "--minutes", "0.1", "--dir", str(folder))
    assert refused.returncode == 3
    assert "localnet up" in refused.stderr
