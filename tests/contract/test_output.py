"""authnet/output.py: the error object, exit codes, and what a node's text may do to a terminal."""

from __future__ import annotations

import json

import pytest

from authnet.output import Output, error_object, exit_code, printable, reporting
from authnet_core.errors import AuthnetError, Code


@pytest.mark.parametrize("code", list(Code))
def test_every_code_has_an_exit_status_between_1_and_3(code: Code) -> None:
    assert exit_code(code) in (1, 2, 3)


def test_a_wrong_argument_is_wrong_usage_whoever_notices_it() -> None:
    assert {exit_code(code) for code in (Code.CONFIG, Code.FILE_MODE, Code.BAD_PARAMS)} == {2}


def test_the_error_object_is_complete() -> None:
    error = AuthnetError(Code.TOO_FEW_NODES, "why", nodes=[{"index": 2, "code": "TIMEOUT", "message": "slow"}])
    assert error_object(error) == {
        "error": {
            "code": "TOO_FEW_NODES",
            "message": "why",
            "cure": "Wait until more nodes are back: `authnet localnet status` shows them.",
            "nodes": [{"index": 2, "code": "TIMEOUT", "message": "slow"}],
        }
    }


def test_reporting_ends_with_the_code_s_status(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended, reporting(Output(json=True)):
        raise AuthnetError(Code.NETWORK_DOWN, "nobody answers")
    assert ended.value.code == 3
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "NETWORK_DOWN"


def test_what_is_known_beside_an_error_is_in_the_same_object(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        Output(json=True).fail(AuthnetError(Code.NODES_DISAGREE, "key 7"), {"epoch": 2})
    assert ended.value.code == 1
    said = json.loads(capsys.readouterr().out)
    assert (said["epoch"], said["error"]["code"]) == (2, "NODES_DISAGREE")


def test_other_exceptions_are_bugs_and_pass() -> None:
    with pytest.raises(KeyError), reporting(Output()):
        raise KeyError


def test_a_node_s_text_can_not_drive_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert printable("a\x1b[2Jb\r\nc") == "a?[2Jb??c"
    assert len(printable("x" * 5000)) == 400
    with pytest.raises(SystemExit), reporting(Output()):
        raise AuthnetError(Code.INTERNAL, "\x1b]0;owned\x07")
    assert "\x1b" not in capsys.readouterr().err


def test_piped_tables_are_tab_separated(capsys: pytest.CaptureFixture[str]) -> None:
    out = Output()
    out.table("title", ("a", "b"), [(1, "x"), (2, "y")])
    out.fields("title", {"name": "value"})
    out.note("for people")
    captured = capsys.readouterr()
    assert captured.out == "1\tx\n2\ty\nname\tvalue\n"
    assert captured.err == ""
