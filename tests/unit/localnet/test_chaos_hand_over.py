"""What a run of chaos says of the hand-over in a step: under way, over, or come to nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from authnet_core.errors import AuthnetError, Code
from localnet.chaos import final
from localnet.chaos.lights import Light
from localnet.chaos.record import Record
from localnet.chaos.watch import Watch
from localnet.places import Places

PLACES = Places(Path("/nowhere"), 5, 20_000, "n")
SWITCHED = {"epoch": 3, "outcome": "switched", "reason": ""}
STATUSES = {1: {"height": 7, "app_hash": "aa"}}


@pytest.mark.parametrize(
    ("ends", "green"),
    [
        ([SWITCHED], True),
        ([{**SWITCHED, "outcome": "timed-out"}], False),
        ([{**SWITCHED, "epoch": 2}], False),
        ([], False),
    ],
)
def test_only_a_switch_to_the_epoch_that_was_announced_is_green(
    monkeypatch: pytest.MonkeyPatch, ends: list[dict[str, Any]], green: bool
) -> None:
    monkeypatch.setattr(final, "ask_chain", lambda places, path: ends)
    record = Record()
    final.check_hand_over(PLACES, record, 3)
    assert record.lights.checks[Light.HAND_OVER] == 1
    assert record.lights.green == green


def moving(monkeypatch: pytest.MonkeyPatch, answers: dict[str, Any]) -> str:
    def query(_: Watch, __: int, path: str) -> Any:
        found = answers.get(path, AuthnetError(Code.NOT_FOUND, "nothing there"))
        if isinstance(found, AuthnetError):
            raise found
        return found

    monkeypatch.setattr(Watch, "_query", query)
    return Watch(PLACES, Record())._moving(STATUSES)


def test_nodes_are_not_back_before_the_hand_over_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    assert moving(monkeypatch, {"/handover": {"phase": "resharing"}}) == "resharing"
    assert moving(monkeypatch, {"/reshares": {"open": [], "retained": ["ab"]}}) != ""
    assert moving(monkeypatch, {"/handover": AuthnetError(Code.TIMEOUT, "late")}) != ""
    assert moving(monkeypatch, {"/reshares": {"open": [], "retained": []}}) == ""
