"""`authnet epoch selftest`, and the last result in `epoch status`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from authnet.commands import build, epoch
from authnet.commands.epoch_view import look, show
from authnet.output import Output
from authnet_core.errors import AuthnetError, Code
from localnet import selftest
from localnet.places import Places
from tests.unit.epoch.test_epoch_view import asking, chain
from tests.unit.epoch.test_self_tests import GOOD


class Keepers:
    """What each keeper's ops.sock answers, by the folder's name, and who was asked about which epoch."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **answers: dict[str, Any] | Code) -> None:
        self.answers = answers
        self.asked: list[tuple[str, int]] = []
        monkeypatch.setattr(selftest, "call_once", self.call)

    def call(self, sock: Path, method: str, params: dict[str, Any], timeout: float) -> Any:
        assert (sock.name, sock.parent.name, method) == ("ops.sock", "run", "self_test")
        node = sock.parent.parent.name
        self.asked.append((node, params["epoch"]))
        answer = self.answers.get(node, Code.UNAVAILABLE)
        if isinstance(answer, Code):
            raise AuthnetError(answer, "no")
        return answer


def run(*words: object) -> Any:
    return CliRunner().invoke(build(), ["epoch", "selftest", *map(str, words)])


def test_a_node_s_own_keeper_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node = tmp_path / "mine"
    keepers = Keepers(monkeypatch, mine=GOOD)
    done = run("--node", node / "node.toml", "--json")
    assert (done.exit_code, json.loads(done.stdout)) == (0, {"schema": 1, **GOOD})
    assert keepers.asked == [("mine", 0)]
    done = run("--node", node / "node.toml")
    assert (done.exit_code, done.stdout) == (0, "epoch 2: 12 sampled keys open under random 3-subsets\n")


@pytest.mark.parametrize(
    ("answer", "exit_code", "code"),
    [
        (GOOD | {"wrong": [7], "off": [3]}, 1, "SELF_TEST_FAILED"),
        (GOOD | {"untested": [7], "silent": [3, 4, 5]}, 3, "TOO_FEW_NODES"),
    ],
)
def test_keys_that_do_not_open_end_it_with_code_cause_and_cure(
    answer: dict[str, Any], exit_code: int, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Keepers(monkeypatch, mine=answer)
    done = run("--node", tmp_path / "mine" / "node.toml", "--json")
    said = json.loads(done.stdout)
    assert done.exit_code == exit_code
    assert {**answer, "schema": 1} == {name: value for name, value in said.items() if name != "error"}
    assert (said["error"]["code"], bool(said["error"]["cure"])) == (code, True)
    assert "key" in said["error"]["message"]


def test_members_that_are_off_alone_do_not_fail_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Keepers(monkeypatch, mine=GOOD | {"off": [3]})
    done = run("--node", tmp_path / "mine" / "node.toml")
    assert done.exit_code == 0
    assert "points that do not fit: party 3" in done.stdout


def test_of_a_local_network_the_first_member_that_can_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = Places(tmp_path, 5, 21_000, "local-1")
    places.save()
    monkeypatch.setattr(epoch, "ask_chain", lambda _, path: {"epoch": 1} if path == "/epoch/current" else None)
    names = [places.node_dir(node).name for node in (1, 2, 3)]
    keepers = Keepers(monkeypatch, **{names[0]: Code.UNAVAILABLE, names[1]: Code.WRONG_EPOCH, names[2]: GOOD})
    done = run("--dir", tmp_path, "--json")
    assert (done.exit_code, json.loads(done.stdout)["keys"]) == (0, 12)
    assert keepers.asked == [(name, 1) for name in names]
    keepers.answers.clear()
    assert run("--dir", tmp_path).exit_code == 3


def test_the_status_shows_the_last_result(capsys: pytest.CaptureFixture[str]) -> None:
    manager = {"epoch": 2, "registered": True, "members": 5, "seats": 5, "waiting_for": [], "problems": []}
    for told, shown in ((GOOD, "self-test\tepoch 2: 12 sampled keys open"), (None, ""), (GOOD, "")):
        watched = manager | {"self_test": told} if shown or told is None else manager  # an older one says nothing
        found = look(asking(chain(**{"/handover": None})), [], watched)
        assert found["self_test"] == (told if shown else None)
        show(Output(), found)
        out = capsys.readouterr().out
        assert (shown in out) if shown else ("self-test" not in out)
