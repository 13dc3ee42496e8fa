"""Keys per second and CPU per key of a network that fills its empty pool: from first START to last KEYS.

Counted from the blocks themselves: START's height is in the session's record, KEYS are transactions.
"""

from __future__ import annotations

import base64
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from authnet_core.errors import DecodeError
from authnet_core.protocol.views import PoolView, SessionsView, SessionView
from authnet_core.wire.tx import decode_signed
from bench.procfs import Watch
from tests.e2e.net import Net, wait_for

FILL_S = 180
QUIET_S = 2.0
PAIR = 66


@dataclass(frozen=True)
class KeyGeneration:
    """The first filling of a pool."""

    keys: int
    sessions: int
    seconds: float
    keys_s: float
    cpu_us_key_node: float
    all_cpu_us_key_node: float
    """With chain, application and everything else on the nodes."""


@dataclass(frozen=True)
class Filling:
    """What some sessions made, from their first START to their last KEYS, in block time."""

    keys: int
    start: float
    end: float

    @property
    def keys_s(self) -> float:
        return self.keys / (self.end - self.start)


def wait_full(net: Net) -> None:
    """Until no session is open for a while. (A session that one dealer missed makes fewer keys than was counted on.)"""
    quiet_since = [time.monotonic()]

    def is_full() -> bool:
        pool = net.query(1, "/pool", PoolView)
        if net.query(1, "/sessions", SessionsView).open or pool.free < pool.low:
            quiet_since[0] = time.monotonic()
        return time.monotonic() - quiet_since[0] > QUIET_S

    wait_for("the pool to fill", FILL_S, is_full, every=0.25)


def measure(net: Net, keepers: Watch, everything: Watch) -> KeyGeneration:
    """After `wait_full`. The watches have run since before the first START."""
    view = net.query(1, "/sessions", SessionsView)
    finished = [s for s in view.recent if s.phase == "final"]
    made = filled(net, finished)
    pool = net.query(1, "/pool", PoolView)
    counted = pool.free + pool.assigned + pool.masks
    if made.keys != counted:
        raise RuntimeError(f"{made.keys} keys in KEYS, but the pool says {counted}")
    share = 1e6 / made.keys / net.n
    return KeyGeneration(
        keys=made.keys,
        sessions=len(finished),
        seconds=made.end - made.start,
        keys_s=made.keys_s,
        cpu_us_key_node=keepers.between(made.start, made.end) * share,
        all_cpu_us_key_node=everything.between(made.start, made.end) * share,
    )


def filled(net: Net, sessions: Sequence[SessionView]) -> Filling:
    """What these sessions, final and with all their keys on chain, made."""
    first, sids = min(s.h0 for s in sessions), {bytes.fromhex(s.sid) for s in sessions}
    start = end = _block_time(net, first)
    keys = 0
    for height in range(first, net.height(1) + 1):
        if found := sum(count for sid, count in _keys_in(net, height).items() if sid in sids):
            keys, end = keys + found, _block_time(net, height)
    return Filling(keys, start, end)


def _block_time(net: Net, height: int) -> float:
    text = net.comet(1, "header", {"height": str(height)})["header"]["time"]
    return datetime.fromisoformat(text[:19] + "+00:00").timestamp() + float("0" + text[19:].rstrip("Z"))


def _keys_in(net: Net, height: int) -> Counter[bytes]:
    """sid -> how many keys its KEYS transactions in a block put on chain; a second one for a chunk does not count."""
    chunks: dict[tuple[bytes, int], int] = {}
    for text in net.comet(1, "block", {"height": str(height)})["block"]["data"]["txs"] or []:
        try:
            _, body = decode_signed(base64.b64decode(text))
        except DecodeError:
            continue
        if body.WhichOneof("kind") == "keys":
            chunks[(body.keys.sid, body.keys.chunk)] = len(body.keys.keys) // PAIR
    made = Counter[bytes]()
    for (sid, _), count in chunks.items():
        made[sid] += count
    return made
