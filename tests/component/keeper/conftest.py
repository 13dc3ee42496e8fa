"""The keepers' clock is the scripted chain's; ten keepers on one disk do without its cache being flushed."""

from __future__ import annotations

import os

import pytest

from p2p_dkg.runner import readiness
from tests.component.keeper.world import Chain


@pytest.fixture(autouse=True)
def chain_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A block of now, whatever its time: `Chain` counts from a time long ago."""
    newest = {"ms": 0}
    real = Chain.block

    def block(self: Chain, step_ms: int = 200) -> None:
        real(self, step_ms)
        newest["ms"] = self.time_ms

    monkeypatch.setattr(Chain, "block", block)
    monkeypatch.setattr(readiness, "clock_ms", lambda: newest["ms"])


@pytest.fixture
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A power cut inside a process loses nothing that was written: what fsync is for is not tested here."""
    monkeypatch.setattr(os, "fsync", lambda fd: None)
