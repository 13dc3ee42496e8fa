"""A CometBFT whose consensus has ended while its process lives: told apart from a chain that rests."""

import json
import os
import socket
import threading
from pathlib import Path

import pytest

from authnet.supervisor import comet_config
from authnet.supervisor.stuck import STUCK_S, StuckWatch, heights, is_syncing


def test_standing_still_while_a_peer_is_ahead_is_stuck_once() -> None:
    watch = StuckWatch()
    assert not watch.is_stuck(0, 262, 270)
    assert not watch.is_stuck(STUCK_S - 1, 262, 300)
    assert watch.is_stuck(STUCK_S, 262, 301)
    assert not watch.is_stuck(STUCK_S + 1, 262, 301), "the restart gets its own time"


@pytest.mark.parametrize(
    ("own", "peers"),
    [((262, 262), 262), ((262, 262), 263), ((262, 263), 500), ((0, 0), 500), ((262, 262), 0)],
    ids=["the chain rests", "one block is under way", "it catches up", "it does not answer", "it hears nobody"],
)
def test_what_is_not_stuck(own: tuple[int, int], peers: int) -> None:
    watch = StuckWatch()
    watch.is_stuck(0, own[0], peers)
    assert not watch.is_stuck(10 * STUCK_S, own[1], peers)


def answering(path: Path, body: bytes) -> None:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def serve() -> None:
        with listener, listener.accept()[0] as link:
            link.recv(4096)
            link.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)

    threading.Thread(target=serve, daemon=True).start()


def test_heights_are_cometbfts_own_and_its_peers(tmp_path: Path) -> None:
    peers = [{"peer_state": {"round_state": {"height": str(height)}}} for height in (440, 445)]
    state = {"result": {"round_state": {"height": "262"}, "peers": peers}}
    answering(tmp_path / "comet.sock", json.dumps(state).encode())
    assert heights(tmp_path / "comet.sock") == (262, 445)


@pytest.mark.parametrize("body", [b"", b"nonsense", b"{}", b'{"result": {"peers": [{}], "round_state": {}}}', b"[]"])
def test_no_answer_and_nonsense_say_nothing(tmp_path: Path, body: bytes) -> None:
    assert heights(tmp_path / "comet.sock") == (0, 0)
    answering(tmp_path / "comet.sock", body)
    assert heights(tmp_path / "comet.sock") == (0, 0)


def test_a_node_that_knows_nobody_who_still_runs_is_stuck_once_it_has_new_peers() -> None:
    watch = StuckWatch()
    assert not watch.is_stuck(0.0, 7, 0)
    assert not watch.is_stuck(STUCK_S + 1, 7, 0), "a chain that has halted: nothing to gain"
    now = STUCK_S + 2
    assert not watch.is_stuck(now, 7, 0, has_new_peers=True)
    assert not watch.is_stuck(now + STUCK_S - 2, 7, 0, has_new_peers=True)
    assert watch.is_stuck(now + STUCK_S, 7, 0, has_new_peers=True)


def test_new_peers_are_those_written_after_the_configuration(tmp_path: Path) -> None:
    config = tmp_path / "cometbft" / "config"
    config.mkdir(parents=True)
    assert not comet_config.has_new_peers(tmp_path)
    (config / "peers.txt").write_text("a@b:1\n")
    assert not comet_config.has_new_peers(tmp_path)
    (config / "config.toml").write_text("")
    os.utime(config / "peers.txt", ns=(1, 1))
    assert not comet_config.has_new_peers(tmp_path)
    os.utime(config / "config.toml", ns=(0, 0))
    assert comet_config.has_new_peers(tmp_path)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"result": {"sync_info": {"catching_up": true}}}', True),
        (b'{"result": {"sync_info": {"catching_up": false}}}', False),
        (b"nonsense", False),
        (b"[]", False),
    ],
)
def test_a_node_that_fetches_a_state_is_left_alone(tmp_path: Path, body: bytes, expected: bool) -> None:
    assert not is_syncing(tmp_path / "comet.sock")
    answering(tmp_path / "comet.sock", body)
    assert is_syncing(tmp_path / "comet.sock") is expected
