"""The two commands, as an operator types them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from authnet.commands import build
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
