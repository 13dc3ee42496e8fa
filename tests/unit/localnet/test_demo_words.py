"""What the demo says at its end about nodes that have left the committee."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from authnet_core.errors import AuthnetError, Code
from localnet import demo_handover
from localnet.demo_handover import who_leaves
from localnet.places import Places


@pytest.fixture
def chain(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Path -> answer."""
    answers: dict[str, Any] = {}

    def ask(_: Places, path: str) -> Any:
        if path not in answers:
            raise AuthnetError(Code.NOT_FOUND, path)
        return answers[path]

    monkeypatch.setattr(demo_handover, "ask_chain", ask)
    return answers


def view(status: str, left_s: float = 0.0) -> dict[str, Any]:
    return {"status": status, "grace_ends_ms": (time.time() + left_s) * 1000 if left_s else 0}


def test_nodes_that_left_are_named_with_the_time_they_still_run(tmp_path: Path, chain: dict[str, Any]) -> None:
    places = Places(tmp_path, 5, 20_000, "t", committees={2: (6, 7, 3, 4, 5)})
    assert who_leaves(places) == ""
    chain |= {"/epoch/1": view("retired", 100), "/epoch/2": view("serving")}
    said = who_leaves(places)
    assert said.startswith("Nodes 1, 2 have left")
    assert "for 100 s more" in said or "for 99 s more" in said
    places.retired.update((1, 2))
    assert who_leaves(places) == ""


def test_who_is_in_two_former_committees_leaves_with_the_later_one(tmp_path: Path, chain: dict[str, Any]) -> None:
    places = Places(
        tmp_path, 5, 20_000, "t", committees={2: (1, 6, 7, 8, 9), 3: (10, 11, 12, 13, 14)}, retired={2, 3, 4}
    )
    chain |= {"/epoch/1": view("retired", 10), "/epoch/2": view("retired", 200), "/epoch/3": view("serving")}
    said = who_leaves(places)
    assert said.startswith("Nodes 1, 5, 6, 7, 8, 9 have left")
    assert "for 200 s more" in said or "for 199 s more" in said
