"""`authnet status --node`: what one node's chain says about its network."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from authnet.commands import build, status

NOW_MS = int(time.time() * 1000)
BATCH = {"first_index": 0, "count": 24}
CHAIN: dict[str, Any] = {
    "/status": {"network_id": "n", "chain_id": "n-1", "height": 9, "app_hash": "ab" * 32, "epoch": 2, "observers": []},
    "/epoch/current": {"epoch": 2, "previous": 1, "members": [{"index": j} for j in range(1, 6)]},
    "/epoch/1": {"grace_ends_ms": NOW_MS + 600_000},
    "/sessions/retained/count": 0,
    "/batches/2/0/100": [BATCH | {"holders": [1, 2, 3, 4, 5]}, BATCH | {"holders": [1, 2, 4, 5]}],
    "/pool": {"free": 20, "assigned": 4, "short": 0},
}


@pytest.fixture(autouse=True)
def chain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status, "query_once", lambda _, path: CHAIN[path])


def run(folder: Path, *words: str) -> str:
    done = CliRunner().invoke(build(), ["status", "--node", str(folder / "node.toml"), *words])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_who_missed_a_resharing_holds_not_all(tmp_path: Path) -> None:
    found = json.loads(run(tmp_path, "--json"))
    assert found["holding"] == 4
    assert found["can_lose"] == {"generation": 1, "two_round": 1, "one_round": 1}


def test_the_end_of_the_grace_is_shown(tmp_path: Path) -> None:
    assert json.loads(run(tmp_path, "--json"))["grace_ends"] == NOW_MS + 600_000
    assert "the former committee erases its shares in" in run(tmp_path)
