"""Listings of keys and shares go to the last key, whatever is missing before it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from authnet.commands import build, chain, dev
from localnet.places import Places

POOL = {"free": 2_000, "assigned": 900, "masks": 100, "under_way": 500}
GAP = range(900, 2_100)
"""Keys that this node has no share of, or that are not on chain yet."""


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    places = Places(tmp_path, 5, 21_000, "local-1")
    places.save()
    for module in (dev, chain):
        monkeypatch.setattr(module, "query_once", lambda _, path: answer(path))
    monkeypatch.setattr(dev, "call_once", lambda _, method, asked, timeout: page(asked["from"], asked["limit"]))
    return places


def page(first: int, limit: int) -> list[dict[str, Any]]:
    known = [i for i in range(first, min(first + limit, 3_000)) if i not in GAP]
    return [dict.fromkeys((*chain.FIELDS, "x", "share", "nonce")) | {"index": i} for i in known]


def answer(path: str) -> Any:
    if path == "/pool":
        return POOL
    first, limit = map(int, path.removeprefix("/keys/").split("/"))
    return page(first, limit)


@pytest.mark.parametrize("command", [["dev", "shares"], ["chain", "keys"]])
def test_a_gap_does_not_end_a_listing(places: Places, command: list[str]) -> None:
    done = CliRunner().invoke(build(), [*command, "--node", "1", "--dir", str(places.dir)])
    assert done.exit_code == 0, done.output
    listed = [json.loads(line)["index"] for line in done.stdout.splitlines()]
    assert listed == [i for i in range(3_000) if i not in GAP]
