"""`authnet epoch announce` and `reject` refuse before anything is sent what could come to nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from authnet.commands import build, epoch
from authnet_core.errors import AuthnetError, Code

NAMES = [f"0x{j:040x}" for j in range(1, 7)]


def run(*words: object) -> tuple[int, Any]:
    result = CliRunner().invoke(build(), ["epoch", *map(str, words), "--json"])
    return result.exit_code, json.loads(result.stdout)


@pytest.mark.parametrize(
    ("operators", "reason"),
    [
        (["0x12"], "no Ethereum address"),
        ([*NAMES[:4], "0x" + "zz" * 20], "no Ethereum address"),
        ([*NAMES[:4], "11" * 20], "no Ethereum address"),
        ([*NAMES[:4], NAMES[3]], "twice"),
        (["0x" + "ab" * 20, "0x" + "AB" * 20, *NAMES[:3]], "twice"),
        (NAMES[:4], "5, 6, 9 members, not 4"),
    ],
)
def test_an_epoch_is_not_opened_for_operators_that_could_not_serve(operators: list[str], reason: str) -> None:
    code, answer = run("announce", *(word for name in operators for word in ("--operator", name)))
    assert (code, answer["error"]["code"]) == (2, "CONFIG")
    assert reason in answer["error"]["message"]


def test_there_is_nothing_to_reject_without_a_handover(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_: object) -> None:
        raise AuthnetError(Code.NOT_FOUND, "absent")

    monkeypatch.setattr(epoch, "query_once", absent)
    code, answer = run("reject", 7, "--node", tmp_path / "node.toml")
    assert (code, answer["error"]["code"]) == (1, "NO_HANDOVER")
    assert "no hand-over is under way" in answer["error"]["message"]
