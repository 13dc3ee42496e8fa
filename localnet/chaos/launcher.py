"""Runs a keeper from outside: it dials from an address that names its node, and its clock can be moved.

    python launcher.py NODE/node.toml [--supervised-fd N]

What a wrapper around a process would do if there were one for both: the keeper's own code knows nothing of it. The
proxies read the address to know who dials, since a keeper lets nobody look into it. NODE/run/clock holds the seconds
by which the keeper's clock is off, as a little-endian double; it may change at any time.
"""

from __future__ import annotations

import mmap
import re
import runpy
import socket
import struct
import sys
import time
from pathlib import Path
from typing import Any

CLOCK = "clock"
_SECONDS = struct.Struct("<d")


def source_address(index: int) -> str:
    """Where node `index` dials from."""
    return f"127.0.1.{index}"


def index_of(address: str) -> int:
    """The node that dials from `address`, 0 if it is nobody's."""
    prefix, _, last = address.rpartition(".")
    return int(last) if prefix == "127.0.1" else 0


def set_clock(node: Path, seconds: float) -> None:
    """Move the clock of the keeper in `node` by `seconds` from the true one."""
    path = node / "run" / CLOCK
    with path.open("r+b" if path.exists() else "w+b") as file:
        file.write(_SECONDS.pack(seconds))


def prepare(config: Path) -> None:
    """Bend this process before any code of the keeper is imported."""
    node = config.resolve().parent
    found = re.search(r"(\d+)$", node.name)
    if found is None:
        raise ValueError(f"{node.name}: a node's folder ends with its index")
    _dial_from(source_address(int(found.group(1))))
    _follow_clock(node)


def _dial_from(source: str) -> None:
    original = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> None:
        # Only what goes to other nodes' TCP ports; a bound socket and the unix sockets stay as they are.
        if self.family == socket.AF_INET and self.getsockname()[1] == 0:
            self.setsockopt(socket.SOL_IP, _BIND_ADDRESS_NO_PORT, 1)
            self.bind((source, 0))
        original(self, address)

    socket.socket.connect = connect  # type: ignore[method-assign, assignment]


_BIND_ADDRESS_NO_PORT = 24
"""IP_BIND_ADDRESS_NO_PORT of linux/in.h: the port is chosen at connect, as without bind."""


def _follow_clock(node: Path) -> None:
    if not (node / "run" / CLOCK).exists():
        set_clock(node, 0.0)
    with (node / "run" / CLOCK).open("rb") as file:
        view = mmap.mmap(file.fileno(), _SECONDS.size, access=mmap.ACCESS_READ)
    true_ns = time.time_ns

    def time_ns() -> int:
        return true_ns() + int(_SECONDS.unpack_from(view)[0] * 1e9)

    time.time_ns = time_ns
    time.time = lambda: time_ns() / 1e9


def main(argv: list[str]) -> None:
    """Become the keeper."""
    prepare(Path(argv[0]))
    sys.argv = ["p2p_dkg", *argv]
    runpy.run_module("p2p_dkg", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1:])
