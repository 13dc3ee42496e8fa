"""`authnet blame show` of a conviction that has no evidence of its own: in a resharing."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from authnet.commands import blame

VIEW = {"number": 0, "epoch": 1, "convict": 2, "accuser": 0, "sid": "ab", "height": 9, "reason": "r", "evidence": None}


def test_what_the_chain_alone_proves_is_not_written_to_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blame, "local_network", lambda folder: None)
    monkeypatch.setattr(blame, "ask_chain", lambda found, path: VIEW)
    out = tmp_path / "evidence.json"
    shown = CliRunner().invoke(blame.app, ["show", "--number", "0", "--json"])
    assert shown.exit_code == 0
    refused = CliRunner().invoke(blame.app, ["show", "--number", "0", "--out", str(out), "--json"])
    assert refused.exit_code != 0
    assert "EVIDENCE_INVALID" in refused.output
    assert not out.exists()
