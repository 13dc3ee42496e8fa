"""Whether a node's CometBFT has given up while its process lives on.

When its write-ahead log can not be written (a full disk), CometBFT v0.40 ends its consensus routine, keeps the process
and stands still for ever. Its peers' heights, which it still hears, tell it apart from a chain that rests.
May touch: the node's comet.sock, read-only.
"""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

ASK_S = 1.0
EVERY_S = 10.0
STUCK_S = 30.0
AHEAD = 2
"""Blocks by which a peer must be ahead."""


class _UnixConnection(HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("comet", timeout=ASK_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(ASK_S)
        self.sock.connect(str(self._path))


def heights(comet_sock: Path) -> tuple[int, int]:
    """(own height, highest peer's); zeros when CometBFT does not say."""
    try:
        found = _ask(comet_sock, "/dump_consensus_state")
        peers = [int(peer["peer_state"]["round_state"]["height"]) for peer in found["peers"]]
        return int(found["round_state"]["height"]), max(peers, default=0)
    except (OSError, HTTPException, ValueError, KeyError, TypeError):
        return 0, 0


def is_syncing(comet_sock: Path) -> bool:
    """Whether it fetches blocks or a state: its height stands still meanwhile, and a restart begins a state anew."""
    try:
        return _ask(comet_sock, "/status")["sync_info"]["catching_up"] is True
    except (OSError, HTTPException, ValueError, KeyError, TypeError):
        return False


def _ask(comet_sock: Path, path: str) -> Any:
    link = _UnixConnection(comet_sock)
    try:
        link.request("GET", path)
        return json.load(link.getresponse())["result"]
    finally:
        link.close()


@dataclass(slots=True)
class StuckWatch:
    """Fed with heights now and then; says when a restart is due."""

    _own: int = 0
    _since: float = 0.0

    def is_stuck(self, now: float, own: int, peers: int, *, has_new_peers: bool = False) -> bool:
        """Whether the node has stood at one height for STUCK_S while a peer was ahead.

        Or while it could dial peers that it was not told of when it started: a node that comes back after its
        committee has left knows nobody who still runs. A chain that rests makes a block every few seconds.
        """
        if not own or own != self._own or not (has_new_peers or peers >= own + AHEAD):
            self._own, self._since = own, now
            return False
        if now - self._since < STUCK_S:
            return False
        self._own = 0
        return True
