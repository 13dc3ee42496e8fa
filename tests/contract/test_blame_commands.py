"""`authnet blame show|verify`: fields of --json, exit codes, and that a file is judged without any network."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.from_thread import start_blocking_portal
from typer.testing import CliRunner, Result

from abci_app.queries.readsock import ReadServer
from authnet.commands import build
from authnet_core.crypto.secp256k1 import pub
from localnet.places import Places
from tests.unit.abci.judging import complain, real_deals
from tests.unit.abci.world import CHAIN, World, secret


def run(*arguments: object) -> Result:
    return CliRunner().invoke(build(), [str(argument) for argument in arguments])


def as_json(result: Result) -> Any:
    lines = result.stdout.splitlines()
    assert len(lines) == 1, "one object on stdout and nothing else"
    return json.loads(lines[0])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A --dir where node 1's chain convicted dealer 2 and the liar 4."""
    home = tmp_path_factory.mktemp("net")
    world = World(home / "app", params={"first_rows": 1, "sessions_in_flight": 1})
    world.begin_epoch()
    world.announce()
    world.block()
    dealings = real_deals(world, world.open_sid(), evil=(2,))
    assert complain(world, dealings[2], 3) is None
    assert complain(world, dealings[1], 4) is None
    places = Places(home, 5, 18_000, "testnet")
    places.save()
    sock = places.node_dir(1) / "run" / "read.sock"
    sock.parent.mkdir(parents=True)

    async def serve(*, task_status: Any = anyio.TASK_STATUS_IGNORED) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(ReadServer(world.app, group).serve, sock, frozenset({os.getuid()}))
            while not sock.exists():  # noqa: ASYNC110  a socket file tells nobody
                await anyio.sleep(0.01)
            task_status.started(group.cancel_scope)
            await anyio.sleep_forever()

    with start_blocking_portal() as portal:
        _, scope = portal.start_task(serve)
        yield home
        portal.call(scope.cancel)
    world.app.close()


@pytest.fixture
def evidence(folder: Path, tmp_path: Path) -> Path:
    file = tmp_path / "evidence.json"
    result = run("blame", "show", "--dir", folder, "--number", 0, "--out", file, "--json")
    assert result.exit_code == 0, result.output
    return file


def test_show_lists_convictions(folder: Path) -> None:
    result = run("blame", "show", "--dir", folder, "--json")
    assert result.exit_code == 0, result.output
    rows = as_json(result)
    types = {"number": int, "epoch": int, "convict": int, "accuser": int, "sid": str, "height": int, "reason": str}
    assert [{name: type(value) for name, value in row.items()} for row in rows] == [types, types]
    assert [(row["number"], row["convict"], row["accuser"]) for row in rows] == [(0, 2, 3), (1, 4, 1)]
    plain = run("blame", "show", "--dir", folder)
    assert len(plain.stdout.splitlines()) == 2


def test_show_one_has_the_evidence(folder: Path, evidence: Path) -> None:
    result = run("blame", "show", "--dir", folder, "--number", 0, "--json")
    view = as_json(result)
    assert set(view) == {
        "schema", "number", "epoch", "convict", "accuser", "sid", "height", "reason", "evidence",
    }  # fmt: skip
    assert view["evidence"]["schema"] == 1
    assert json.loads(evidence.read_text()) == view["evidence"]
    plain = run("blame", "show", "--dir", folder, "--number", 1)
    assert "evidence" not in plain.stdout
    assert "convict\t4" in plain.stdout


def test_verify_says_who_and_why(evidence: Path) -> None:
    result = run("blame", "verify", evidence, "--json")
    assert result.exit_code == 0, result.output
    found = as_json(result)
    assert {name: type(value) for name, value in found.items()} == {
        "schema": int,
        "holds": bool,
        "convict": int,
        "identity": str,
        "role": str,
        "accuser": int,
        "reason": str,
        "chain_id": str,
        "epoch": int,
        "committee_hash": str,
        "sid": str,
    }
    assert (found["holds"], found["convict"], found["role"], found["accuser"]) == (True, 2, "dealer", 3)
    assert (found["chain_id"], found["identity"]) == (CHAIN, pub(secret("id", 2)).hex())
    plain = run("blame", "verify", evidence)
    assert plain.exit_code == 0
    assert f"convict\t{found['convict']}" in plain.stdout


@pytest.mark.parametrize("change", [{"convict": 3}, {"rows": 2}, {"chain_id": "other-1"}, {"schema": 2}, {"deal": ""}])
def test_evidence_that_does_not_hold(evidence: Path, change: dict[str, Any]) -> None:
    evidence.write_text(json.dumps({**json.loads(evidence.read_text()), **change}))
    result = run("blame", "verify", evidence, "--json")
    assert result.exit_code == 1
    error = as_json(result)["error"]
    assert error["code"] == "EVIDENCE_INVALID"
    assert error["cure"]
    assert run("blame", "verify", evidence).exit_code == 1


def test_files_that_can_not_be_read_or_are_none(tmp_path: Path) -> None:
    missing = run("blame", "verify", tmp_path / "none.json", "--json")
    assert (missing.exit_code, as_json(missing)["error"]["code"]) == (2, "BAD_PARAMS")
    for raw in (b"", b"\x00\xff", b"x" * ((1 << 20) + 2)):
        (tmp_path / "junk").write_bytes(raw)
        result = run("blame", "verify", tmp_path / "junk", "--json")
        assert (result.exit_code, as_json(result)["error"]["code"]) == (1, "EVIDENCE_INVALID")


def test_show_refusals(folder: Path, tmp_path: Path) -> None:
    unknown = run("blame", "show", "--dir", folder, "--number", 7, "--json")
    assert (unknown.exit_code, as_json(unknown)["error"]["code"]) == (1, "NOT_FOUND")
    alone = run("blame", "show", "--dir", folder, "--out", tmp_path / "x", "--json")
    assert (alone.exit_code, as_json(alone)["error"]["code"]) == (2, "BAD_PARAMS")
    nowhere = run("blame", "show", "--dir", folder, "--number", 0, "--out", tmp_path / "no" / "x", "--json")
    assert (nowhere.exit_code, as_json(nowhere)["error"]["code"]) == (2, "BAD_PARAMS")
    down = run("blame", "show", "--dir", tmp_path, "--json")
    assert (down.exit_code, as_json(down)["error"]["code"]) == (3, "NETWORK_DOWN")
