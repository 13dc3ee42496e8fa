"""Starting and stopping localnets for tests: the shipped one, and one with a small pool that makes keys often."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.e2e.net import Net, authnet, free_base_port

SMALL_POOL = {
    "first_rows": 8,
    "rows": 8,
    "pool_low": 40,
    "pool_high": 60,
    "reserve_percent": 5,
    "quota": 100_000,
    "t_max_ms": 60_000,
}
"""Genesis parameters of a network that starts a session after a few assignments."""
QUICK = {"serve_delay_ms": 5_000, "grace_ms": 10_000}
"""A new committee serves five seconds after the switch; the former one's shares go 130 s later (`iat` limit 120 s)."""
ROOM = 20
"""Nodes that a shared network may come to have: ports are kept free for those that hand-overs bring."""


@contextmanager
def running(folder: Path, nodes: int, params: Mapping[str, int] = SMALL_POOL, room: int = 0) -> Iterator[Net]:
    """A localnet in `folder`, stopped at the end; its folder stays if the block fails, for a look at its logs.

    `room`: ports for so many nodes are kept free, for those that come later.
    """
    for j in range(1, nodes + 1):
        node = folder / f"node{j}"
        node.mkdir(mode=0o700, parents=True, exist_ok=True)
        if params:
            (node / "genesis_params.json").write_text(json.dumps(dict(params)))
    try:
        port = free_base_port(max(nodes, room))
        authnet("localnet", "up", "--nodes", str(nodes), "--base-port", str(port), "--dir", str(folder), timeout=400)
        yield Net(folder)
    finally:
        authnet("localnet", "down", "--dir", str(folder), timeout=180)


@contextmanager
def temporary(nodes: int, params: Mapping[str, int] = SMALL_POOL, room: int = 0) -> Iterator[Net]:
    """A localnet in a short folder of its own (socket paths are short), removed when all went well.

    AUTHNET_E2E_NET=DIR takes the one that runs in DIR instead, AUTHNET_E2E_SMALL that with the small pool: for work
    on a test.
    """
    if given := os.environ.get("AUTHNET_E2E_SMALL" if params else "AUTHNET_E2E_NET"):
        yield Net(Path(given))
        return
    folder = Path(tempfile.mkdtemp(prefix="authnet-net-"))
    with running(folder, nodes, params, room) as net:
        yield net
    shutil.rmtree(folder)


class SharedNetworks:
    """Networks that stay up from the first test that asks to the last one of its group (tests/conftest.py)."""

    def __init__(self) -> None:
        self._up: dict[str, tuple[Net, ExitStack]] = {}
        self._failed: dict[str, BaseException] = {}

    def get(self, name: str, params: Mapping[str, int]) -> Net:
        """The network `name`, started on demand; one that did not come up is not tried again."""
        if name in self._failed:
            raise self._failed[name]
        if name not in self._up:
            stack = ExitStack()
            try:
                self._up[name] = (stack.enter_context(temporary(5, params, ROOM if params else 0)), stack)
            except BaseException as error:
                self._failed[name] = error
                raise
        return self._up[name][0]

    def stop(self) -> None:
        while self._up:
            self._up.popitem()[1][1].close()


SHARED = SharedNetworks()
