"""`authnet localnet logs`: the newest lines of what was asked for, or that there is no such log."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from authnet.commands import build
from localnet.places import Places


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    places = Places(tmp_path, 5, 21_000, "local-1")
    places.save()
    log = places.node_dir(2) / "logs" / "p2p_dkg.log"
    log.parent.mkdir(parents=True)
    log.write_text("one\ntwo\nthree\n")
    return tmp_path


def test_the_newest_lines_are_shown(folder: Path) -> None:
    done = CliRunner().invoke(build(), ["localnet", "logs", "2", "p2p_dkg", "-n", "2", "--dir", str(folder)])
    assert (done.exit_code, done.stdout.splitlines()[1:]) == (0, ["two", "three"])


@pytest.mark.parametrize("words", [["99"], ["2", "p2p"]])
def test_a_log_that_is_not_there_is_said_so(folder: Path, words: list[str]) -> None:
    done = CliRunner().invoke(build(), ["localnet", "logs", *words, "--dir", str(folder)])
    assert done.exit_code == 2
    assert "no log of" in done.output
