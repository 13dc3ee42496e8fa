"""A CometBFT whose consensus has ended while its process lives: told apart from a chain that rests."""

import json
import socket
import threading
from pathlib import Path

import pytest

from authnet.supervisor.stuck import STUCK_S, StuckWatch, heights


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
