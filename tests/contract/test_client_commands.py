"""`authnet resolve` and `authnet login`: fields of --json, exit codes, errors (interfaces.md section 4)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from authnet.commands import login as login_command
from authnet.commands import resolve as resolve_command
from authnet_client import SyncClient
from authnet_core.crypto.address import eip55_address
from authnet_core.crypto.secp256k1 import pub
from authnet_core.errors import AuthnetError, Code
from tests.component.api.scripted import ScriptedNet
from tests.component.api.scripted_chain import VERIFIER
from tests.component.api.scripted_keeper import scripted_token

HEX33 = 66


def run(*arguments: object, stdin: str = "") -> Result:
    app = typer.Typer(pretty_exceptions_enable=False)
    for module in (resolve_command, login_command):
        module.register(app)
    return CliRunner().invoke(app, [str(a) for a in arguments], input=stdin)


def as_json(result: Result) -> dict[str, Any]:
    lines = result.stdout.splitlines()
    assert len(lines) == 1, "one object on stdout and nothing else"
    value: dict[str, Any] = json.loads(lines[0])
    return value


def test_resolve(net: ScriptedNet, folder: Path) -> None:
    result = run("resolve", VERIFIER, "bob@x.y", "--dir", folder, "--json")
    assert result.exit_code == 0, result.output
    found = as_json(result)
    assert {name: type(value) for name, value in found.items()} == {
        "verifier": str,
        "id": str,
        "account_id": str,
        "key_index": int,
        "Y": str,
        "N": str,
        "final_pub": str,
        "address": str,
        "is_new": bool,
        "height": int,
        "agreed": list,
        "disagreed": list,
        "ms": float,
    }
    assert found["agreed"] == [1, 2, 3, 4, 5]
    assert found["disagreed"] == []
    assert all(len(found[name]) == HEX33 and found[name].islower() for name in ("Y", "N", "final_pub"))
    assert found["address"] == eip55_address(bytes.fromhex(found["final_pub"]))


@pytest.mark.parametrize(("flags", "rounds"), [((), 1), (("--two-round",), 2)])
def test_login(net: ScriptedNet, folder: Path, flags: tuple[str, ...], rounds: int) -> None:
    result = run("login", VERIFIER, "bob@x.y", "--dir", folder, "--json", *flags)
    assert result.exit_code == 0, result.output
    done = as_json(result)
    assert set(done) == {
        "address",
        "Y",
        "N",
        "final_pub",
        "rounds",
        "nodes",
        "bad_nodes",
        "session_tokens",
        "ms",
    }
    assert done["rounds"] == rounds
    assert [set(node) for node in done["nodes"]] == [{"index", "ok", "code", "ms"}] * 5
    assert sum(node["ok"] for node in done["nodes"]) >= 3
    assert done["bad_nodes"] == []
    assert len(done["session_tokens"]) >= 3
    assert set(done["session_tokens"][0]) == {"index", "token", "sig", "exp_s"}


def test_the_key_is_shown_only_when_asked_for(net: ScriptedNet, folder: Path) -> None:
    shown = as_json(run("login", VERIFIER, "bob@x.y", "--dir", folder, "--json", "--show-key"))
    assert eip55_address(pub(bytes.fromhex(shown["private_key"]))) == shown["address"]
    for flags in ((), ("--json",)):
        result = run("login", VERIFIER, "bob@x.y", "--dir", folder, *flags)
        assert shown["private_key"] not in result.output


def test_a_given_token_takes_two_rounds_and_may_come_from_stdin(net: ScriptedNet, folder: Path) -> None:
    for text, stdin in ((scripted_token("bob@x.y"), ""), ("-", f"{scripted_token('bob@x.y')}\n")):
        result = run("login", VERIFIER, "bob@x.y", "--dir", folder, "--json", "--token", text, stdin=stdin)
        assert as_json(result)["rounds"] == 2, result.output
    assert net.tokens == [], "none was fetched"
    used = run("login", VERIFIER, "bob@x.y", "--dir", folder, "--json", "--token", text, stdin=stdin)
    check_error(used, "DUPLICATE_TOKEN", 1)


def test_a_liar_is_named(net: ScriptedNet, folder: Path) -> None:
    net.keepers[3].lies["share"] = lambda answer: answer | {"share": answer["session_token"]}
    done = as_json(run("login", VERIFIER, "bob@x.y", "--dir", folder, "--json"))
    assert done["bad_nodes"] == [3]
    assert done["nodes"][2]["code"] == "BAD_NODE_ANSWER"
    assert "BAD_NODE_ANSWER" in run("login", VERIFIER, "bob@x.y", "--dir", folder).output


def check_error(result: Result, code: str, status: int) -> dict[str, Any]:
    assert result.exit_code == status, result.output
    error: dict[str, Any] = as_json(result)["error"]
    assert set(error) == {"code", "message", "cure", "nodes"}
    assert error["code"] == code
    assert error["message"]
    assert error["cure"]
    assert all({"index", "code"} <= set(node) for node in error["nodes"])
    return error


def test_a_refusal_is_exit_1(net: ScriptedNet, folder: Path) -> None:
    for command in ("resolve", "login"):
        result = run(command, "no-such-verifier", "bob", "--dir", folder, "--json")
        error = check_error(result, "VERIFIER_UNKNOWN", 1)
        assert len(error["nodes"]) >= 3
    result = run("resolve", VERIFIER, "bob", "--dir", folder, "--json", "--no-assign")
    check_error(result, "ACCOUNT_NOT_FOUND", 1)
    for keeper in net.keepers.values():
        keeper.refusals["share"] = AuthnetError(Code.TOKEN_EXPIRED, "the token has expired")
    check_error(run("login", VERIFIER, "bob", "--dir", folder, "--json"), "TOKEN_EXPIRED", 1)


def test_too_few_nodes_is_exit_3_and_names_them(net: ScriptedNet, folder: Path) -> None:
    for index in (1, 2):
        net.keepers[index].refusals["commit"] = AuthnetError(Code.UNAVAILABLE, "the keeper does not answer")
    result = run("login", VERIFIER, "bob", "--dir", folder, "--json", "--two-round")
    error = check_error(result, "TOO_FEW_NODES", 3)
    assert {node["index"] for node in error["nodes"]} == {1, 2}


def test_no_network_is_exit_3(tmp_path: Path) -> None:
    check_error(run("resolve", VERIFIER, "bob", "--dir", tmp_path, "--json"), "NETWORK_DOWN", 3)
    nowhere = {"network_id": "n", "chain_id": "n-1", "front": "http://127.0.0.1:9", "dev": True}
    (tmp_path / "network.json").write_text(json.dumps(nowhere))
    check_error(run("login", VERIFIER, "bob", "--dir", tmp_path, "--json"), "NETWORK_DOWN", 3)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"network_id": "n"}'])
def test_a_bad_network_file_is_exit_2(tmp_path: Path, text: str) -> None:
    file = tmp_path / "other.json"
    file.write_text(text)
    check_error(run("resolve", VERIFIER, "bob", "--network", file, "--json"), "CONFIG", 2)


@pytest.mark.parametrize("arguments", [["resolve"], ["resolve", VERIFIER], ["login", VERIFIER, "b", "--nope"]])
def test_wrong_usage_is_exit_2(arguments: list[str]) -> None:
    assert run(*arguments).exit_code == 2


def test_without_json_errors_are_text_on_stderr_with_a_cure(net: ScriptedNet, folder: Path) -> None:
    result = run("resolve", "no-such-verifier", "bob", "--dir", folder)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "VERIFIER_UNKNOWN" in result.stderr
    assert "node 1: VERIFIER_UNKNOWN" in result.stderr
    assert "Use a verifier" in result.stderr


def test_piped_output_is_plain(net: ScriptedNet, folder: Path) -> None:
    result = run("resolve", VERIFIER, "bob", "--dir", folder)
    rows = dict(line.split("\t", 1) for line in result.stdout.splitlines())
    assert rows["address"].startswith("0x")
    assert "\x1b" not in result.output
    assert result.stderr == ""


def test_the_sync_client_does_the_same(net: ScriptedNet) -> None:
    asked: list[str | None] = []

    def source(nonce: str | None) -> str:
        asked.append(nonce)
        return scripted_token("bob@x.y", nonce)

    with SyncClient(net.network) as client:
        found = client.resolve(VERIFIER, "bob@x.y")
        one = client.login(VERIFIER, "bob@x.y", source)
        two = client.login(VERIFIER, "bob@x.y", scripted_token("bob@x.y"))
    assert found.address == one.address == two.address
    assert (one.rounds, two.rounds) == (1, 2)
    assert len(asked) == 1
    with pytest.raises(RuntimeError):
        client.resolve(VERIFIER, "bob@x.y")
