"""The two commands, as an operator types them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from authnet.commands import build
from authnet_runtime import rpc_once
from authnet_runtime.config import NodeConfig
from tests.unit.backup.test_backup import node, opened, tree

__all__ = ["node"]


def run(*words: object) -> tuple[int, Any]:
    result = CliRunner().invoke(build(), ["node", *map(str, words), "--json"])
    return result.exit_code, json.loads(result.stdout)


def test_backup_drill_restore(node: NodeConfig, tmp_path: Path) -> None:
    out, again = tmp_path / "backup", tmp_path / "again"
    before = tree(node.dir)
    code, made = run("backup", "--node", node.dir, "--out", out)
    assert (code, made["identity"]) == (0, opened(node).identity.pub.hex())
    code, drilled = run("restore", out, "--drill", "--node", node.dir)
    assert (code, drilled["shares"], drilled["compared"]) == (0, {"1": 7, "2": 7}, False)
    assert tree(node.dir) == before
    secret = node.passphrase_file
    code, refused = run("restore", out, "--node", again, "--passphrase-file", secret)
    assert (code, refused["error"]["code"]) == (3, "UNAVAILABLE")
    code, refused = run("restore", out, "--node", again, "--signs-after", 40)
    assert (code, refused["error"]["code"]) == (2, "CONFIG")
    code, done = run("restore", out, "--node", again, "--passphrase-file", secret, "--signs-after", 40)
    assert (code, done["signs_after"]) == (0, 40)
    code, refused = run("restore", out, "--node", again, "--signs-after", 40)
    assert (code, refused["error"]["code"]) == (2, "CONFIG")
    (tmp_path / "junk").write_bytes(b"junk")
    code, refused = run("restore", tmp_path / "junk", "--drill", "--node", node.dir)
    assert (code, refused["error"]["code"]) == (1, "BACKUP_INVALID")


def test_a_drill_misses_the_shares_of_a_committee_that_came_later(
    node: NodeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The backup is from before the switch to epoch 3: it has no batch of that one, and the drill says so."""
    out, identity = tmp_path / "backup", opened(node).identity.pub.hex()
    run("backup", "--node", node.dir, "--out", out)
    (node.dir / "run").mkdir(exist_ok=True)
    (node.dir / "run" / "read.sock").touch()
    mine = {epoch: [b.hex() for b in sorted(opened(node).epoch(epoch).held)] for epoch in (1, 2)}
    batches = {epoch: [batch(name, epoch, at) for at, name in enumerate(names)] for epoch, names in mine.items()}
    batches[3] = [batch("ab" * 32, 3, 0), batch("cd" * 32, 3, 1, holders=[2])]

    def chain(_: Path, path: str) -> Any:
        _, kind, number, *rest = path.split("/")
        if kind == "batches":
            return [view for view in batches[int(number)] if view["first_index"] >= int(rest[0])]
        epoch = 3 if number == "current" else int(number)
        ends = 1 if epoch == 1 else 0
        return {"epoch": epoch, "members": [{"index": 1, "identity": identity}], "grace_ends_ms": ends}

    monkeypatch.setattr(rpc_once, "query_once", chain)
    code, drilled = run("restore", out, "--drill", "--node", node.dir)
    assert (code, drilled["compared"], drilled["missing_batches"]) == (0, True, 1)
    assert drilled["epochs_to_forget"] == [1]


def batch(name: str, epoch: int, place: int, holders: list[int] | None = None) -> dict[str, Any]:
    """A BatchView; the backup's batches have three keys and four."""
    return {"id": name, "epoch": epoch, "first_index": 10 * place, "count": 3 + place, "holders": holders or [1, 2]}
