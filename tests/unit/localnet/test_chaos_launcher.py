"""The launcher around a keeper: its dialled connections name the node, its clock follows a file."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from localnet.chaos.launcher import index_of, set_clock, source_address

BENT = """
import json, socket, sys, time
from pathlib import Path
from localnet.chaos.launcher import prepare, set_clock
node = Path(sys.argv[1])
true = time.time
prepare(node / "node.toml")
offsets = []
for seconds in (0.0, 90.5, -30.0):
    set_clock(node, seconds)
    offsets.append(round(time.time() - true(), 1))
listener = socket.create_server(("127.0.0.1", 0))
dialled = socket.create_connection(listener.getsockname())
pair = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
pair[0].bind(str(node / "run" / "x.sock"))
pair[0].listen()
pair[1].connect(str(node / "run" / "x.sock"))
own = socket.socket()
own.bind(("127.0.0.1", 0))
own.connect(listener.getsockname())
print(json.dumps({"offsets": offsets, "from": dialled.getsockname()[0], "bound": own.getsockname()[0]}))
"""


@pytest.fixture
def node(tmp_path: Path) -> Path:
    made = tmp_path / "node3"
    (made / "run").mkdir(parents=True)
    return made


def bent(node: Path) -> dict[str, object]:
    run = subprocess.run([sys.executable, "-c", BENT, str(node)], capture_output=True, text=True, check=True)
    found: dict[str, object] = json.loads(run.stdout)
    return found


def test_clock_and_address_are_the_ones_asked_for(node: Path) -> None:
    assert bent(node) == {"offsets": [0.0, 90.5, -30.0], "from": "127.0.1.3", "bound": "127.0.0.1"}


def test_a_clock_that_is_off_stays_off_over_a_restart(node: Path) -> None:
    set_clock(node, 45.0)
    text = "import sys,time\nfrom pathlib import Path\nfrom localnet.chaos.launcher import prepare\n"
    text += "prepare(Path(sys.argv[1]) / 'node.toml')\nprint(time.time(), time.time_ns() / 1e9)"
    run = subprocess.run([sys.executable, "-c", text, str(node)], capture_output=True, text=True, check=True)
    assert all(40 < float(word) - time.time() < 50 for word in run.stdout.split())


def test_an_address_names_its_node_and_no_other_address_does() -> None:
    assert [index_of(source_address(j)) for j in (1, 5, 9)] == [1, 5, 9]
    assert index_of("127.0.0.1") == 0
    assert index_of("10.0.1.3") == 0


def test_a_folder_without_an_index_is_refused(tmp_path: Path) -> None:
    text = "import sys\nfrom pathlib import Path\nfrom localnet.chaos.launcher import prepare\n"
    text += "prepare(Path(sys.argv[1]) / 'node.toml')"
    run = subprocess.run(
        [sys.executable, "-c", text, str(tmp_path / "nobody")], capture_output=True, text=True, check=False
    )
    assert run.returncode == 1
    assert "ends with its index" in run.stderr
