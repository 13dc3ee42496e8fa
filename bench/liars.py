"""What t lying nodes cost: keys per second after their conviction against before, logins with them and without.

One network, so that both figures are of one machine in one state. It fills its pool honestly; then its last t nodes
deal bad shares until the chain convicts them, and the rest of the pool is filled without them. Once it is full they
give wrong shares to whoever logs in; at the end they are honest, for the logins to compare with.
"""

from __future__ import annotations

import shlex
import shutil
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from authnet_core.protocol.views import SessionsView, SessionView
from bench import keygen
from bench.client_load import Answer, Wish, run
from bench.figures import median
from bench.whole_network import RAISED_GENESIS, Say, raise_limits
from tests.e2e.key_checks import wait_ready
from tests.e2e.net import ROOT, Net, socket_call, wait_for
from tests.e2e.networks import running

LIAR = ROOT / "tests" / "liars" / "keeper.py"
IN_DEALS, IN_LOGINS = "bad-share", "junk-shares"
SESSIONS = 6
"""Of an honest network, before anybody lies; and the least of one with convicts."""
FILL_S, CONVICT_S = 300, 60


def measure(n: int, logins: int, say: Say) -> dict[str, Any]:
    """The object `liars` of bench/out/latest.json."""
    folder = Path(tempfile.mkdtemp(prefix="authnet-bench-"))
    with running(folder, n, RAISED_GENESIS | {"pool_high": _pool(n), "recent_sessions": 200}) as net:
        say(f"n = {n}: an honest network fills its pool")
        wait_for("honest sessions", FILL_S, lambda: len(_full_sized(net)) >= SESSIONS, every=0.2)
        before = _full_sized(net)
        liars = [net.n - i for i in range(net.t)]
        say(f"n = {n}: nodes {liars} deal bad shares")
        _restart(net, liars, IN_DEALS)
        height = wait_for("their conviction", CONVICT_S, lambda: _convicted_at(net, liars))
        say(f"n = {n}: convicted at height {height}")
        wait_for("the pool to fill", FILL_S, lambda: not net.query(1, "/sessions", SessionsView).open, every=0.5)
        keygen.wait_full(net)
        after = [session for session in _full_sized(net) if session.h0 > height]
        if len(after) < SESSIONS:
            raise RuntimeError(f"only {len(after)} sessions after the conviction: the pool was full too early")
        # Reading the blocks takes a while: not before the liars are at work.
        honest, convicts = keygen.filled(net, before), keygen.filled(net, after)
        found = {
            "nodes": len(liars),
            "honest_keys_s": round(honest.keys_s, 1),
            "keys_s": round(convicts.keys_s, 1),
            "ratio": round(convicts.keys_s / honest.keys_s, 3),
            "sessions": len(after),
        }
        found |= _logins(net, liars, logins, say)
    shutil.rmtree(folder)
    return found


def _pool(n: int) -> int:
    """Keys enough for honest sessions, those that are under way when the liars start, and those after."""
    return 8_000 * (n // 2 + 2)


def _full_sized(net: Net) -> list[SessionView]:
    """Final sessions whose keys are on chain, but the first, which is smaller."""
    found = [s for s in net.query(1, "/sessions", SessionsView).recent if s.phase == "final"]
    return [session for session in found if session.rows == max(each.rows for each in found)]


def _convicted_at(net: Net, liars: Iterable[int]) -> int:
    """The height at which the last of them was convicted, 0 before."""
    blames = net.query(1, "/blame/0/20", list[dict[str, Any]])
    heights = {int(blame["convict"]): int(blame["height"]) for blame in reversed(blames)}
    return max(heights.values()) if set(heights) >= set(liars) else 0


def _restart(net: Net, nodes: Iterable[int], strategy: str = "") -> None:
    """Start these nodes again, as liars or as they should be."""
    programs = {"p2p_dkg": shlex.join([str(LIAR), strategy])} if strategy else {}
    daemon = net.dir / "run" / "daemon.sock"
    for j in nodes:
        socket_call(daemon, "kill", {"node": j})
        socket_call(daemon, "start", {"node": j, "programs": programs})


def _logins(net: Net, liars: list[int], count: int, say: Say) -> dict[str, Any]:
    raise_limits(net)
    stamp = f"{time.time_ns():x}"
    users = [f"liars-{i}-{stamp}@example.com" for i in range(count)]

    def load(kind: str) -> Answer:
        return run(Wish(str(net.dir), kind, users, 1, 120))

    load("assign")
    found: dict[str, Any] = {}
    for name, strategy in (("login_two", IN_LOGINS), ("honest_login_two", "")):
        _restart(net, liars, strategy)
        wait_ready(net)
        say(f"n = {net.n}: logins {'with wrong shares among the answers' if strategy else 'when all are honest'}")
        answer = load("login_two")
        errors = sum(answer.errors.values())
        found[name] = {"p50": round(median(answer.ms), 1), "samples": len(answer.ms), "errors": errors}
    return found
