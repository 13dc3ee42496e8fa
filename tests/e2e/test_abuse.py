"""Attacks on the doors of a real network, some of each: coded refusals, metrics that show them, logins beside."""

from __future__ import annotations

import asyncio
import time

import pytest

from bench.abuse import Place, attack_all
from bench.attacks import KINDS
from tests.e2e.doors import PublicDoor, one_round
from tests.e2e.net import Net

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
BY_NAME = {kind.name: kind for kind in KINDS}


@pytest.mark.parametrize(
    ("name", "count", "codes"),
    [
        ("made-up token keys", 60, {"TOKEN_KEY_UNKNOWN", "RATE_LIMITED"}),
        ("batches", 60, {"MALFORMED", "RATE_LIMITED"}),
        ("deep JSON", 60, {"DECODE", "RATE_LIMITED"}),
        ("sent ahead", 15_000, {"ok", "HTTP 400", "closed"}),
        ("enumeration, 50 addresses", 200, {"ACCOUNT_NOT_FOUND", "RATE_LIMITED"}),
    ],
)
def test_an_attack_is_refused_and_a_login_goes_on(net: Net, name: str, count: int, codes: set[str]) -> None:
    place, kind = Place.of(net.dir), BY_NAME[name]
    before = place.counted(kind.metric)
    attacks = asyncio.run(attack_all(place, kind, 230, time.monotonic() + 120, count))
    for attack in attacks:
        assert set(attack.seen) <= codes, attack.seen
        assert set(attack.seen) & codes - {"ok", "closed"}, attack.seen
    assert place.counted(kind.metric) > before
    assert one_round(PublicDoor(net), "abuse@example.com")


def test_made_up_token_keys_cost_the_provider_few_fetches(net: Net) -> None:
    place = Place.of(net.dir)
    before = place.counted("authnet_jwks_fetches_total")
    started = time.monotonic()
    asyncio.run(attack_all(place, BY_NAME["made-up token keys"], 231, started + 120, 100))
    took_s = time.monotonic() - started
    # A full bucket, one more each 15 s, and the refresh of each verifier that is due anyway.
    bound = len(place.endpoints) * (4 + took_s / 15 + 3 * (1 + took_s / 240))
    assert place.counted("authnet_jwks_fetches_total") - before <= bound
