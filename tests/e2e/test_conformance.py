"""An unmodified torus.js in Node logs in: tests/torusjs/suite.mjs against the shared network."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from tests.e2e.net import ROOT, Net, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
FOLDER = ROOT / "tests" / "torusjs"


@pytest.mark.parametrize("suite", ["core", "faults"])
def test_torus_js(net: Net, suite: str) -> None:
    node = shutil.which("node")
    assert node is not None, "Node is not installed"
    wait_for("keys in the pool", 60, lambda: (p := net.status().pool) and p.free > 50)
    run = subprocess.run(
        [node, "suite.mjs", "--suite", suite],
        cwd=FOLDER,
        env=os.environ | {"NET_URL": net.first.front},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    failed = [line for line in run.stdout.splitlines() if line.startswith("not ok")]
    assert run.returncode == 0, "\n".join([*failed, run.stdout[-2500:], run.stderr[-800:]])
    assert run.stdout.count("\nok ") + run.stdout.startswith("ok ") > 3
