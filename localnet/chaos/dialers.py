"""Which node opened a TCP connection on this machine: by its source address, else by who owns the socket in /proc."""

from __future__ import annotations

import os
from pathlib import Path

from localnet.chaos.launcher import index_of
from localnet.members import read_processes
from localnet.places import Places

_PROC = Path("/proc")


def dialer(places: Places, peer: tuple[str, int]) -> int:
    """The node whose CometBFT or keeper dialled from `peer`; 0 while nobody is known to."""
    by_address = index_of(peer[0])
    return by_address or _owner(places, _inode(peer))


def _inode(peer: tuple[str, int]) -> str:
    """The socket whose own end is `peer`, as /proc/net/tcp has it."""
    octets = bytes(int(part) for part in peer[0].split("."))
    wanted = f"{octets[::-1].hex().upper()}:{peer[1]:04X}"
    for line in (_PROC / "net" / "tcp").read_text().splitlines()[1:]:
        words = line.split()
        if words[1] == wanted:
            return words[9]
    return ""


def _owner(places: Places, inode: str) -> int:
    if inode in ("", "0"):
        return 0
    for index in places.indexes:
        listed = read_processes(places.node_dir(index) / "run" / "supervisor.json")
        if any(p["name"] == "cometbft" and _owns(int(p["pid"]), inode) for p in listed):
            return index
    return 0


def _owns(pid: int, inode: str) -> bool:
    folder = _PROC / str(pid) / "fd"
    try:
        return any(_target(folder / name) == f"socket:[{inode}]" for name in os.listdir(folder))
    except OSError:
        return False


def _target(path: Path) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""
