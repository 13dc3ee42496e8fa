"""The supervisor with five stand-in processes: order, restarts, pairs, ends, giving up."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from authnet.supervisor import plan

HERE = Path(__file__).parent
NAMES = ("p2p_dkg", "epoch_manager", "abci_app", "node_api")
ALL = {*NAMES, "cometbft"}


class World:
    """A node folder whose programs are stand-ins."""

    def __init__(self, folder: Path) -> None:
        self.node, self.fakes = folder / "node1", folder / "fakes"
        self.fakes.mkdir()
        self.comet_key = self.node / "cometbft" / "config" / "node_key.json"
        self.comet_key.parent.mkdir(parents=True)
        self.comet_key.touch()
        for name in NAMES:
            text = f"import fake_process\nfake_process.main({name!r})\n"
            (self.fakes / f"{name}.py").write_text(text)
        comet = self.fakes / "comet"
        comet.write_text(f"#!/bin/sh\nexec {sys.executable} {HERE / 'fake_process.py'}\n")
        comet.chmod(0o755)
        (self.node / "node.toml").write_text(f'[cometbft]\np2p = "127.0.0.1:1"\nbinary = "{comet}"\n')
        self.process: subprocess.Popen[bytes] | None = None

    def run(self, *extra: str, genesis: bool = True, pass_fds: tuple[int, ...] = ()) -> subprocess.Popen[bytes]:
        if genesis:
            (self.node / "genesis.json").write_text("{}")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "authnet.supervisor", str(self.node / "node.toml"), *extra],
            env=os.environ | {"PYTHONPATH": f"{self.fakes}:{HERE}"},
            stderr=subprocess.PIPE,
            pass_fds=pass_fds,
        )
        return self.process

    def starts(self, name: str = "") -> list[dict[str, Any]]:
        path = self.node / "starts"
        rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        return [row for row in rows if name in ("", row["name"])]

    def pid(self, name: str) -> int:
        state = json.loads((self.node / "run" / "supervisor.json").read_text())
        return int(next(p["pid"] for p in state["processes"] if p["name"] == name))

    def running(self) -> set[str]:
        return {row["name"] for row in self.starts() if is_alive(int(row["pid"]), self.node)}


def is_alive(pid: int, folder: Path) -> bool:
    """Whether it lives and is still the process that ran there: numbers come round while other tests run beside."""
    try:
        return Path(f"/proc/{pid}/cwd").resolve(strict=True) == folder.resolve()
    except OSError:  # a zombie has no folder
        return False


def until(condition: Callable[[], bool], what: str, limit_s: float = 15.0) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, f"waited for: {what}"
        time.sleep(0.02)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    if made.process is not None:
        made.process.kill()
        made.process.wait()
    until(lambda: not made.running(), "children ended with their supervisor")


def test_starts_all_five_and_the_app_before_cometbft(world: World) -> None:
    process = world.run()
    until(lambda: world.running() == ALL, "all five run")
    process.terminate()
    _, stderr = process.communicate(timeout=15)
    # Its own word: how soon a child gets to run is the scheduler's.
    events = [json.loads(line)["event"] for line in stderr.splitlines()]
    order = [event.split()[0] for event in events if " started, " in event]
    assert order.index("abci_app") < order.index("cometbft") < order.index("node_api")


def test_what_nobody_waits_for_makes_way_for_the_others(world: World) -> None:
    own = os.getpriority(os.PRIO_PROCESS, 0)
    world.run()
    until(lambda: world.running() == ALL, "all five run")
    nice = {name: os.getpriority(os.PRIO_PROCESS, world.pid(name)) for name in ALL}
    assert nice == {name: min(19, own + 10 * (name == "epoch_manager")) for name in ALL}


def test_waits_for_genesis_with_the_chain_but_not_with_registration(world: World) -> None:
    world.run(genesis=False)
    until(lambda: world.running() == {"p2p_dkg", "epoch_manager"}, "the two that register")
    (world.node / "genesis.json").write_text("{}")
    until(lambda: world.running() == ALL, "the rest after genesis")


def test_a_chain_whose_genesis_was_there_first_waits_for_its_keys(world: World) -> None:
    """As on a chain that goes on from an export: its new nodes have the genesis before their first start."""
    world.comet_key.unlink()
    world.run()
    until(lambda: world.running() == {"p2p_dkg", "epoch_manager", "abci_app"}, "those before the chain")
    node = plan.load(world.node / "node.toml")
    until(lambda: plan._accepts(node.socket("abci.sock")), "what the chain stands on")
    assert not plan.may_start("cometbft", node, lambda _: True)
    world.comet_key.touch()
    assert plan.may_start("cometbft", node, lambda _: True)
    until(lambda: world.running() == ALL, "the rest")


def test_a_killed_process_comes_back_and_the_others_stay(world: World) -> None:
    world.run()
    until(lambda: world.running() == ALL, "all five run")
    os.kill(world.pid("p2p_dkg"), signal.SIGKILL)
    until(lambda: len(world.starts("p2p_dkg")) == 2, "p2p_dkg started again")
    assert len(world.starts()) == 6
    until(lambda: world.pid("p2p_dkg") == world.starts("p2p_dkg")[1]["pid"], "state file follows")


@pytest.mark.parametrize("victim", ["abci_app", "cometbft"])
def test_the_chain_pair_restarts_together(world: World, victim: str) -> None:
    world.run()
    until(lambda: world.running() == ALL, "all five run")
    os.kill(world.pid(victim), signal.SIGKILL)
    until(lambda: len(world.starts("abci_app")) == 2 and len(world.starts("cometbft")) == 2, "both again")
    assert len(world.starts("p2p_dkg")) == 1


def test_exit_code_zero_is_restarted_like_any_other(world: World) -> None:
    (world.node / "node_api.exit").write_text("0")
    world.run()
    until(lambda: len(world.starts("node_api")) >= 2, "started again after code 0")
    (world.node / "node_api.exit").unlink()
    until(lambda: world.running() == ALL, "all five run")


def test_gives_up_by_name_when_a_process_refuses_its_configuration(world: World) -> None:
    (world.node / "p2p_dkg.exit").write_text("2")
    process = world.run()
    _, stderr = process.communicate(timeout=20)
    assert process.returncode == 1
    assert b"p2p_dkg refuses to start" in stderr
    assert len(world.starts("p2p_dkg")) == 3


def test_gives_up_when_a_program_is_not_there(world: World) -> None:
    toml = (world.node / "node.toml").read_text()
    (world.node / "node.toml").write_text(toml.replace("fakes/comet", "fakes/nothing"))
    process = world.run()
    _, stderr = process.communicate(timeout=20)
    assert process.returncode == 1
    assert b"cometbft can not be started" in stderr


def test_sigterm_ends_everything_and_removes_sockets(world: World) -> None:
    process = world.run()
    until(lambda: world.running() == ALL, "all five run")
    process.terminate()
    process.communicate(timeout=15)
    assert process.returncode == 0
    assert world.running() == set()
    assert not list((world.node / "run").glob("*.sock"))


def test_a_child_that_ignores_sigterm_is_killed(world: World) -> None:
    (world.node / "abci_app.stubborn").touch()
    world.run()
    until(lambda: world.running() == ALL, "all five run")
    os.kill(world.pid("cometbft"), signal.SIGKILL)
    until(lambda: len(world.starts("abci_app")) == 2, "the stubborn partner was replaced")


def test_kill_9_of_the_supervisor_ends_its_children(world: World) -> None:
    process = world.run()
    until(lambda: world.running() == ALL, "all five run")
    process.kill()
    process.wait()
    until(lambda: world.running() == set(), "nobody is left")


def test_ends_when_the_pipe_of_its_starter_closes(world: World) -> None:
    read_end, write_end = os.pipe()
    process = world.run("--supervised-fd", str(read_end), pass_fds=(read_end,))
    os.close(read_end)
    until(lambda: world.running() == ALL, "all five run")
    os.close(write_end)
    process.communicate(timeout=15)
    assert process.returncode == 0


def test_env_holds_for_the_first_start_only(world: World) -> None:
    world.run("--env", "p2p_dkg:EXTRA=yes")
    until(lambda: world.running() == ALL, "all five run")
    os.kill(world.pid("p2p_dkg"), signal.SIGKILL)
    until(lambda: len(world.starts("p2p_dkg")) == 2, "started again")
    assert [row["extra"] for row in world.starts("p2p_dkg")] == ["yes", ""]
    assert {row["extra"] for row in world.starts("abci_app")} == {""}


def test_a_second_supervisor_of_the_same_node_is_refused(world: World) -> None:
    first = world.run()
    until(lambda: world.running() == ALL, "all five run")
    second = world.run()
    _, stderr = second.communicate(timeout=10)
    assert second.returncode == 2
    assert b"another supervisor" in stderr
    world.process = first


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("a.toml", "b.toml"),
        ("--wrong",),
        ("n.toml", "--env", "nobody:A=1"),
        ("n.toml", "--env", "p2p_dkg:A"),
        ("n.toml", "--env"),
        ("n.toml", "--supervised-fd", "x"),
    ],
)
def test_bad_command_lines_are_refused(words: tuple[str, ...]) -> None:
    ran = subprocess.run([sys.executable, "-m", "authnet.supervisor", *words], capture_output=True, check=False)
    assert ran.returncode == 2
    assert ran.stderr


def test_a_folder_without_configuration_is_refused(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "authnet.supervisor", str(tmp_path / "node.toml")]
    ran = subprocess.run(argv, capture_output=True, check=False)
    assert ran.returncode == 2
    assert b"node.toml" in ran.stderr


def test_logs_rotate_by_size(tmp_path: Path) -> None:
    from authnet.supervisor.children import Child, Program

    (tmp_path / "logs").mkdir()
    child = Child(Program("x", ("true",), tethered=False), tmp_path)
    child.log.write_text("a" * 100)
    child.rotate_log(limit=200)
    assert child.log.read_text() == "a" * 100
    child.rotate_log(limit=50)
    assert child.log.read_text() == ""
    assert child.log.with_suffix(".log.1").read_text() == "a" * 100


def test_a_stand_in_runs_with_its_arguments_on_a_development_node_only(world: World) -> None:
    stand_in = world.fakes / "liar.py"
    stand_in.write_text(
        "import os, sys\nos.environ['EXTRA'] = sys.argv[1]\nimport fake_process\nfake_process.main('p2p_dkg')\n"
    )
    refused = world.run("--program", f"p2p_dkg={stand_in} junk")
    assert refused.wait(15) == 2
    assert not world.starts()
    toml = world.node / "node.toml"
    toml.write_text("[node]\ndev = true\n" + toml.read_text())
    world.run("--program", f"p2p_dkg={stand_in} junk")
    until(lambda: world.running() == ALL, "all five")
    assert [row["extra"] for row in world.starts("p2p_dkg")] == ["junk"]
    os.kill(world.pid("p2p_dkg"), signal.SIGKILL)
    until(lambda: [row["extra"] for row in world.starts("p2p_dkg")] == ["junk", "junk"], "the stand-in again")


@pytest.mark.parametrize("wish", ["cometbft=x.py", "nobody=x.py", "p2p_dkg=", "p2p_dkg"])
def test_a_stand_in_for_what_is_no_process_is_a_usage_error(world: World, wish: str) -> None:
    assert world.run("--program", wish).wait(15) == 2
