"""`authnet localnet chaos` and networks that it can not break."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from authnet.commands import build
from localnet.places import Places


def test_a_network_that_went_to_other_nodes_is_refused(tmp_path: Path) -> None:
    """A run takes node J for party J; here node 6 is party 1."""
    places = Places(tmp_path, 5, 21_000, "local-1", committees={2: (6, 7, 3, 4, 5)}, retired={1, 2})
    places.save()
    done = CliRunner().invoke(build(), ["localnet", "chaos", "--dir", str(tmp_path), "--json"])
    error = json.loads(done.stdout)["error"]
    assert (done.exit_code, error["code"]) == (2, "CONFIG")
    assert "rotated to other nodes" in error["message"]
