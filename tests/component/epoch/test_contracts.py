"""The contract's own tests, and that what is checked in is what the source compiles to."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

TIMEOUT_S = 280
"""Compiling takes 15 s of one core; the machine may have other things to do."""
pytestmark = pytest.mark.timeout(300)
CONTRACTS = Path(__file__).parents[3] / "contracts"


def run(*command: str) -> None:
    done = subprocess.run(command, cwd=CONTRACTS, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


def test_artifacts_match_the_source() -> None:
    run("node", "compile.mjs", "--check")


def test_unit_fuzz_and_invariant_tests_pass() -> None:
    run("node", "test.mjs")


def test_the_lock_names_no_registry() -> None:
    lock = json.loads((CONTRACTS / "package-lock.json").read_text())
    assert all("resolved" not in package for package in lock["packages"].values())
    assert all(package.get("integrity") for name, package in lock["packages"].items() if name)
