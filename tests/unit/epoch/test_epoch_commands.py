"""`authnet epoch announce` and `reject` refuse before anything is sent what could come to nothing."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from typer.testing import CliRunner

from authnet.commands import build, epoch
from authnet_core.errors import AuthnetError, Code
from authnet_runtime import trust
from authnet_runtime.registry_state import EpochState, EpochStatus
from tests.unit.epoch.test_genesis import epoch as first_epoch

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


@pytest.mark.parametrize(
    ("words", "notice_s"),
    [
        (["--rpc", "http://127.0.0.1:1", "--registry", "0x1", "--key", "k"], 604_800),
        ([], 0),
        (["--notice-s", "60"], 60),
    ],
)
def test_the_notice_is_a_week_but_in_a_local_network(
    words: list[str], notice_s: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Owner:
        async def announce(self, operators: list[str], notice_s: int) -> tuple[int, list[str]]:
            return 2, NAMES[:5]

    monkeypatch.setattr(epoch._Owner, "of", lambda *_: Owner())
    code, answer = run("announce", "--refresh", *words)
    assert (code, answer["notice_s"]) == (0, notice_s)


class Contract:
    """Epoch 1 served until 2 took over; 3 was rejected on chain and never called off here; 4 was."""

    def __init__(self, *started: int) -> None:
        self._started = started

    async def last_epoch(self) -> int:
        return 4

    async def epoch(self, number: int) -> EpochState:
        status = EpochStatus.STARTED if number in self._started else EpochStatus.ABORTED
        members = tuple(
            replace(m, operator=f"0x{number}{m.operator[3:]}", endpoint=f"http://n{number}-{i}.example")
            for i, m in enumerate(first_epoch().members)
        )
        return replace(first_epoch(), epoch=number, status=status, members=members)


@pytest.mark.parametrize(("liars", "refreshed"), [(0, 2), (2, 2), (3, 3)])
def test_a_refresh_is_for_the_committee_that_serves(
    liars: int, refreshed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Epoch 3 is the newest one in the registry; fewer than k of its members say that it serves, or k do."""

    async def ask(_: object, urls: dict[str, str], read: Any) -> dict[str, Any]:
        assert all(url.endswith("/v1/node-details") for url in urls.values())
        lying = [endpoint for endpoint in urls if "//n3-" in endpoint][:liars]
        return {endpoint: read({"epoch": 3 if endpoint in lying else 2}) for endpoint in urls}

    monkeypatch.setattr(trust, "_ask_all", ask)
    operators = asyncio.run(epoch._present(Contract(1, 2, 3)))
    assert {operator[2] for operator in operators} == {str(refreshed)}


def test_a_refresh_of_a_network_that_does_not_answer_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent(*_: object) -> dict[str, Any]:
        return {}

    monkeypatch.setattr(trust, "_ask_all", silent)
    with pytest.raises(AuthnetError) as caught:
        asyncio.run(epoch._present(Contract(1, 2, 3)))
    assert caught.value.code is Code.UNAVAILABLE
    assert "--operator" in caught.value.message


def test_there_is_nothing_to_reject_without_a_handover(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_: object) -> None:
        raise AuthnetError(Code.NOT_FOUND, "absent")

    monkeypatch.setattr(epoch, "query_once", absent)
    code, answer = run("reject", 7, "--node", tmp_path / "node.toml")
    assert (code, answer["error"]["code"]) == (1, "NO_HANDOVER")
    assert "no hand-over is under way" in answer["error"]["message"]
