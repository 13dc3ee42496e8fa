"""The attacks of `make abuse`, a few of each kind: refused by the right code, while somebody logs in beside."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from bench.attacks import KINDS, Attack, Kind
from tests.component.api.scripted import ScriptedNet, scripted_network
from tests.component.api.test_abuse import counted, login_works

pytestmark = pytest.mark.anyio

REFUSED = {
    "flood, one address": {"RATE_LIMITED"},
    "flood, 200 addresses": {"ok"},
    "slow heads": {"closed", "BUSY"},
    "slow bodies": {"closed", "BUSY", "TIMEOUT"},
    "silent, 600 addresses": {"closed", "BUSY"},
    "kept alive, 600 addresses": {"closed", "BUSY", "ok"},
    "large heads": {"HTTP 400"},
    "large bodies": {"TOO_LARGE"},
    "deep JSON": {"DECODE"},
    "batches": {"MALFORMED"},
    "sent ahead": {"HTTP 400"},
    "enumeration, 50 addresses": {"ACCOUNT_NOT_FOUND", "RATE_LIMITED"},
    "pool drain, one address": {"RATE_LIMITED"},
    "pool drain, 50 addresses": {"ok", "RATE_LIMITED"},
}
"""Attack -> answers of which at least one comes. Made-up token keys need a keeper that looks at tokens: tests/e2e."""
HELD_S, LONGEST_S = 2.0, 60.0
OTHERS = {"ok", "closed", "BUSY", "RATE_LIMITED"}


@pytest.fixture(scope="module")
async def net() -> AsyncIterator[ScriptedNet]:
    limits = "rate_per_s = 0.5\nburst = 30\nnew_keys_per_s = 0.1\nnew_keys_burst = 5\nbody_timeout_s = 0.3"
    async with scripted_network(1, f"{limits}\nmax_connections = 64") as running:
        yield running


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.name in REFUSED], ids=lambda kind: kind.name)
async def test_an_attack_is_refused_and_a_login_beside_it_is_not(net: ScriptedNet, kind: Kind) -> None:
    holds = kind.name.startswith(("slow", "silent", "kept"))
    number = 100 + KINDS.index(kind)
    attack = Attack(net.endpoints[1], number, time.monotonic() + (HELD_S if holds else LONGEST_S), 120)
    before = await counted(net, kind.metric)
    running = asyncio.create_task(kind.run(attack))  # type: ignore[arg-type]
    assert await login_works(net)
    await running
    assert await login_works(net)
    assert set(attack.seen) <= REFUSED[kind.name] | OTHERS
    if not holds:
        assert set(attack.seen) & REFUSED[kind.name], attack.seen
    if set(attack.seen) - {"ok", "closed", "BUSY"} and "drain" not in kind.name:
        assert await counted(net, kind.metric) > before, "the metric shows it"
