"""How a localnet begins and ends: cut off half-way, killed, resumed, refused."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

import pytest

from localnet import lifecycle, procs
from localnet.places import Places, load
from tests.e2e.lives import assert_nothing_left, begin, everything_runs, folder, run
from tests.e2e.net import Net, free_base_port, wait_for

__all__ = ["folder"]
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]


def test_down_after_up_was_killed_half_way(folder: Path) -> None:
    up = begin(folder)
    wait_for("everything runs", 30, lambda: everything_runs(folder))
    up.kill()
    up.wait()
    assert procs.marked(folder)
    assert run("localnet", "down", "--dir", str(folder)).returncode == 0
    assert_nothing_left(folder)


def test_down_after_the_daemon_was_killed(folder: Path) -> None:
    up = begin(folder)
    wait_for("everything runs", 30, lambda: everything_runs(folder))
    os.kill(lifecycle.daemon_pid(folder), signal.SIGKILL)
    assert up.wait(30) == 3
    assert run("localnet", "down", "--dir", str(folder)).returncode == 0
    assert_nothing_left(folder)


def test_a_life_cut_off_joined_ended_resumed_and_orphaned(folder: Path) -> None:
    """`up` is killed half-way, another one joins in; after `down` the same network comes back.

    When its daemon dies everything ends by itself.
    """
    up = begin(folder)
    wait_for("everything runs", 60, lambda: everything_runs(folder))
    refused = run("localnet", "up", "--dir", str(folder))
    assert refused.returncode == 2
    assert "another `up`" in refused.stderr
    daemon = lifecycle.daemon_pid(folder)
    up.kill()
    up.wait()
    net = Net(folder)
    assert net.cli("localnet", "up", timeout=400)["ready"]
    assert lifecycle.daemon_pid(folder) == daemon
    address = net.cli("resolve", "mock-google", "bob@example.com")["address"]
    assert run("localnet", "down", "--dir", str(folder)).returncode == 0
    assert_nothing_left(folder)
    assert run("localnet", "status", "--dir", str(folder)).returncode == 3
    refused = run("localnet", "up", "--dir", str(folder), "--nodes", "9")
    assert refused.returncode == 2
    assert "--nodes" in refused.stderr
    again = net.cli("localnet", "up", timeout=400)
    assert again["network_id"] == net.first.network_id
    assert net.cli("login", "mock-google", "bob@example.com")["address"] == address
    os.kill(lifecycle.daemon_pid(folder), signal.SIGKILL)
    wait_for("nobody is left", 30, lambda: not procs.marked(folder))


@pytest.mark.parametrize(
    ("args", "names"),
    [
        (("--nodes", "7"), "--nodes"),
        (("--base-port", "80"), "--base-port"),
        (("--base-port", "32760"), "--base-port"),
        (("--dir", "/tmp/" + "x" * 90), "--dir"),
    ],
)
def test_settings_that_can_not_work_are_refused_by_name(folder: Path, args: tuple[str, ...], names: str) -> None:
    refused = run("localnet", "up", "--dir", str(folder), *args)
    assert refused.returncode == 2
    assert names in refused.stderr


def test_a_taken_port_is_named(folder: Path) -> None:
    port = free_base_port(5)
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", port + 12))
        taken.listen()
        refused = run("localnet", "up", "--dir", str(folder), "--base-port", str(port))
    assert refused.returncode == 2
    assert f"{port + 12} (node 1 CometBFT)" in refused.stderr


def test_commands_without_a_network_say_how_to_start_one(folder: Path) -> None:
    for command in (("localnet", "status"), ("status",), ("session", "list"), ("resolve", "mock-google", "a")):
        refused = run(*command, "--dir", str(folder))
        assert refused.returncode == 3, command
        assert "localnet up" in refused.stderr


def test_places_are_apart_for_networks_with_other_ports(tmp_path: Path) -> None:
    one, two = Places(tmp_path / "a", 9, 8788, "a"), Places(tmp_path / "b", 9, 8988, "b")
    assert not set(one.all_ports()) & set(two.all_ports())
    one.save()
    assert load(tmp_path / "a") == one
    assert load(tmp_path / "b") is None
