"""A network for one run of chaos: small pool, proxies between its nodes, gone at the end. Or the one that runs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from authnet_core.errors import ConfigError
from localnet import lifecycle
from localnet.places import Places

SMALL_POOL = {"first_rows": 8, "rows": 2, "pool_low": 58, "pool_high": 60, "reserve_percent": 5}
SHORT_WAITS = {"serve_delay_ms": 5_000, "grace_ms": 10_000, "join_wait_ms": 8_000}
"""Genesis parameters with which a few new accounts start a session, so that every fault meets key generation, and a
hand-over is over soon."""


@contextmanager
def running(folder: Path, nodes: int | None, base_port: int | None) -> Iterator[None]:
    """Start a network in `folder` when `nodes` are asked for, and stop it at the end. Raises AuthnetError."""
    if nodes is None and base_port is None:
        yield
        return
    if lifecycle.daemon_pid(folder):
        raise ConfigError(f"--nodes: a network runs in {folder}; leave --nodes out to use it")
    with lifecycle.alone(folder):
        places = lifecycle.choose(folder, nodes, base_port, proxied=True)
        _prepare(places)
        try:
            lifecycle.start_daemon(places)
            for step in lifecycle.follow(places):
                sys.stderr.write(f"{step.ms / 1000:6.1f} s  {step.text}\n" if step.state == "done" else "")
            yield
        finally:
            lifecycle.down(folder)


def _prepare(places: Places) -> None:
    for index in places.indexes:
        node = places.node_dir(index)
        node.mkdir(mode=0o700, parents=True, exist_ok=True)
        parameters = node / "genesis_params.json"
        if not parameters.exists():
            parameters.write_text(json.dumps(SMALL_POOL | SHORT_WAITS) + "\n")
