"""Providers' keys: which are taken, and how often a provider is asked for them."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing

from authnet_core.errors import AuthnetError, Code
from p2p_dkg.login.jwks_fetch import check_url
from p2p_dkg.login.key_ring import KeyRing, RingLimits
from p2p_dkg.login.key_set import read_key_set
from tests.unit.login import provider
from tests.unit.login.chain import verifier
from tests.unit.login.world import refused


def kids(*keys: Any) -> list[str]:
    return [key.kid for key in read_key_set(json.dumps({"keys": [provider.ed_jwk(), *keys]}).encode()).keys]


def test_public_keys_of_all_families_are_taken() -> None:
    found = read_key_set(provider.key_set())
    assert [key.family for key in found.keys] == ["RSA", "P-256", "Ed25519"]


@pytest.mark.parametrize(
    "key",
    [
        provider.rsa_jwk("short", 1024),
        provider.rsa_jwk(use="enc"),
        provider.rsa_jwk(key_ops=["encrypt"]),
        provider.rsa_jwk(key_ops="verify"),
        provider.rsa_jwk(e="Ag"),
        provider.rsa_jwk(e="AQ"),
        provider.rsa_jwk(e="A" * 200),
        provider.rsa_jwk(n=5),
        provider.rsa_jwk(n=""),
        provider.rsa_jwk(n="!!"),
        provider.rsa_jwk(kid=7),
        provider.rsa_jwk(alg=[]),
        provider.rsa_jwk(d="AQ"),
        provider.rsa_jwk(kty="oct"),
        provider.rsa_jwk(kty=None),
        {"kty": "oct", "kid": "h", "k": "AAAA"},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
        {"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA"},
        {"kty": "OKP", "crv": "X25519", "x": provider.ed_jwk()["x"]},
        {"kty": "OKP", "crv": "Ed448", "x": "A" * 76},
        {},
        None,
        [],
        "key",
    ],
)
def test_a_key_we_can_not_use_is_left_out(key: Any) -> None:
    assert kids(key) == ["ed-1"]


@pytest.mark.parametrize(
    "raw",
    [b"", b"[]", b"{}", b'{"keys":{}}', b'{"keys":[]}', b'{"keys":[],"keys":[]}', b'{"keys":[{"kty":"oct","k":"AA"}]}'],
)
def test_a_document_without_keys_is_refused(raw: bytes) -> None:
    with pytest.raises(AuthnetError):
        read_key_set(raw)


def test_too_many_keys_are_refused() -> None:
    with pytest.raises(AuthnetError):
        read_key_set(json.dumps({"keys": [provider.ed_jwk()] * 65}).encode())


def test_a_key_is_never_guessed() -> None:
    found = read_key_set(provider.key_set(provider.rsa_jwk(), provider.rsa_jwk("rsa-2"), provider.ed_jwk()))
    assert found.find(None, "RS256") is None
    assert found.find("rsa-2", "RS256") is found.keys[1]
    assert found.find("rsa-2", "EdDSA") is None
    assert found.find(None, "EdDSA") is found.keys[2]
    assert found.find("rsa-1", "HS256") is None
    twice = read_key_set(provider.key_set(provider.rsa_jwk(), provider.rsa_jwk("rsa-2", kid="rsa-1")))
    assert twice.find("rsa-1", "RS256") is None


def test_a_key_for_one_algorithm_serves_no_other() -> None:
    found = read_key_set(provider.key_set(provider.rsa_jwk(alg="PS256")))
    assert found.find("rsa-1", "RS256") is None
    assert found.find("rsa-1", "PS256") is not None


@pytest.mark.parametrize(
    ("url", "dev", "good"),
    [
        ("https://idp.test/keys", False, True),
        ("http://idp.test/keys", False, False),
        ("http://idp.test/keys", True, False),
        ("http://127.0.0.1:8788/keys", True, True),
        ("http://localhost:8788/keys", True, True),
        ("http://[::1]:8788/keys", True, True),
        ("http://127.0.0.1:8788/keys", False, False),
        ("http://127.0.0.1.evil.test/keys", True, False),
        ("http://127.0.0.1@evil.test/keys", True, False),
        ("https://user:pw@idp.test/keys", False, False),
        ("file:///etc/passwd", True, False),
        ("https://", False, False),
        ("https://x:99999999/", False, False),
        ("http://[::1", True, False),
        ("", True, False),
    ],
)
def test_https_only_and_http_for_loopback_of_a_dev_network(url: str, dev: bool, good: bool) -> None:
    if good:
        check_url(url, dev=dev)
    else:
        with pytest.raises(AuthnetError):
            check_url(url, dev=dev)


class Provider:
    """Counts what it is asked."""

    def __init__(self) -> None:
        self.answer: bytes = provider.key_set(provider.rsa_jwk())
        self.fetches = self.at_once = self.most_at_once = 0
        self.down = False
        self.slow_s = 0.0

    async def __call__(self, url: str) -> bytes:
        self.fetches += 1
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        await trio.sleep(self.slow_s)
        self.at_once -= 1
        if self.down:
            raise AuthnetError(Code.UNAVAILABLE, "down")
        return self.answer


@asynccontextmanager
async def ring(source: Provider, **limits: Any) -> AsyncIterator[KeyRing]:
    found = KeyRing(source, RingLimits(**limits))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(found.run)
        found.follow([verifier()])
        await trio.testing.wait_all_tasks_blocked()
        yield found
        nursery.cancel_scope.cancel()


def at_virtual_time(test: Any) -> Any:
    """Run with a clock that jumps when nobody has anything to do (no threads in these tests)."""

    def call() -> None:
        trio.run(test, clock=trio.testing.MockClock(autojump_threshold=0))

    return call


@at_virtual_time
async def test_known_keys_cost_no_fetch() -> None:
    source = Provider()
    async with ring(source) as keys:
        for _ in range(100):
            await keys.find("google", "rsa-1", "RS256")
        assert source.fetches == 1


@at_virtual_time
async def test_a_new_key_is_found_by_one_fetch_for_all_who_wait() -> None:
    source = Provider()
    async with ring(source) as keys:
        source.answer, source.slow_s = provider.key_set(provider.rsa_jwk("rsa-2")), 0.5
        async with trio.open_nursery() as nursery:
            for _ in range(8):
                nursery.start_soon(keys.find, "google", "rsa-2", "RS256")
        assert source.fetches == 2
        await refused(Code.TOKEN_KEY_UNKNOWN, keys.find("google", "rsa-1", "RS256"))


@at_virtual_time
async def test_unknown_kids_cause_few_fetches_one_at_a_time() -> None:
    source = Provider()
    source.slow_s = 0.01
    async with ring(source) as keys:
        await trio.sleep(1)
        for number in range(500):
            await refused(Code.TOKEN_KEY_UNKNOWN, keys.find("google", f"junk-{number}", "RS256"))
        assert source.fetches <= 1 + 4
        await trio.sleep(60)
        for number in range(500):
            await refused(Code.TOKEN_KEY_UNKNOWN, keys.find("google", f"more-{number}", "RS256"))
        assert source.fetches <= 1 + 8
        assert source.most_at_once == 1


@at_virtual_time
async def test_a_key_that_was_just_not_there_spends_no_fetch_that_a_new_key_needs() -> None:
    source = Provider()
    async with ring(source) as keys:
        await trio.sleep(1)
        for _ in range(50):
            await refused(Code.TOKEN_KEY_UNKNOWN, keys.find("google", "retired", "RS256"))
        assert source.fetches == 2, "asked for once, then remembered as missing"
        source.answer = provider.key_set(provider.rsa_jwk("rsa-2"))
        assert await keys.find("google", "rsa-2", "RS256")
        source.answer = provider.key_set(provider.rsa_jwk("retired"))
        await trio.sleep(16)
        assert await keys.find("google", "retired", "RS256"), "not remembered for long"


@at_virtual_time
async def test_a_rotated_key_is_found_soon_under_a_flood_of_made_up_ones() -> None:
    source = Provider()
    source.slow_s = 0.2
    async with ring(source) as keys:
        await trio.sleep(1)
        async with trio.open_nursery() as nursery:

            async def flood() -> None:
                for number in itertools.count():
                    nursery.start_soon(refused, Code.TOKEN_KEY_UNKNOWN, keys.find("google", f"junk-{number}", "RS256"))
                    await trio.sleep(0.1)

            nursery.start_soon(flood)
            await trio.sleep(60)
            spent = source.fetches
            source.answer = provider.key_set(provider.rsa_jwk("rsa-2"))
            with trio.fail_after(16):
                while not await is_found(keys, "rsa-2"):  # noqa: ASYNC110 (asking is what is tested)
                    await trio.sleep(0.5)
            assert source.fetches - spent <= 2
            nursery.cancel_scope.cancel()
        ((provider_of_google,),) = (keys._providers.values(),)
        assert len(provider_of_google.missed) <= 256


async def is_found(keys: KeyRing, kid: str) -> bool:
    try:
        return bool(await keys.find("google", kid, "RS256"))
    except AuthnetError:
        return False


@at_virtual_time
async def test_what_is_remembered_as_missing_is_bounded() -> None:
    source = Provider()
    async with ring(source, burst=1000, missed=16) as keys:
        await trio.sleep(1)
        for number in range(50):
            await refused(Code.TOKEN_KEY_UNKNOWN, keys.find("google", f"junk-{number}", "RS256"))
        assert len(keys._providers["google"].missed) == 16


@at_virtual_time
async def test_a_request_waits_for_a_bounded_time_and_few_wait_at_once() -> None:
    source = Provider()
    async with ring(source) as keys:
        source.slow_s = 1000
        started = trio.current_time()
        async with trio.open_nursery() as nursery:
            for number in range(100):
                nursery.start_soon(refused, Code.TOKEN_KEY_UNKNOWN, keys.find("google", f"junk-{number}", "RS256"))
            await trio.testing.wait_all_tasks_blocked()
            assert len(nursery.child_tasks) <= 8
        assert trio.current_time() - started <= 2.001


@at_virtual_time
async def test_the_last_good_set_serves_while_the_provider_is_down() -> None:
    source = Provider()
    async with ring(source) as keys:
        source.down = True
        await trio.sleep(3600)
        assert source.fetches > 5
        assert await keys.find("google", "rsa-1", "RS256")
        source.down, source.answer = False, b"<html>maintenance</html>"
        await trio.sleep(3600)
        assert await keys.find("google", "rsa-1", "RS256")
        await trio.sleep(86_400)
        await refused(Code.UNAVAILABLE, keys.find("google", "rsa-1", "RS256"))


@at_virtual_time
async def test_a_withdrawn_key_is_gone_after_one_refresh() -> None:
    source = Provider()
    async with ring(source) as keys:
        source.answer = provider.key_set(provider.rsa_jwk("rsa-2"))
        await trio.sleep(361)
        await refused(Code.TOKEN_KEY_UNKNOWN, keys.find("google", "rsa-1", "RS256"))
        assert source.fetches <= 4


@at_virtual_time
async def test_a_provider_that_was_never_reached() -> None:
    source = Provider()
    source.down = True
    async with ring(source) as keys:
        await refused(Code.UNAVAILABLE, keys.find("google", "rsa-1", "RS256"))
        source.down = False
        await trio.sleep(10)
        assert await keys.find("google", "rsa-1", "RS256")


@at_virtual_time
async def test_a_new_url_drops_the_keys_of_the_old_one() -> None:
    source = Provider()
    async with ring(source) as keys:
        source.down = True
        keys.follow([verifier(jwks_url="https://other.test/keys")])
        await refused(Code.UNAVAILABLE, keys.find("google", "rsa-1", "RS256"))
        keys.follow([verifier(removed=True)])
        await refused(Code.VERIFIER_UNKNOWN, keys.find("google", "rsa-1", "RS256"))


@at_virtual_time
async def test_a_surprise_in_a_key_set_does_not_end_the_keeper() -> None:
    class Broken(Provider):
        async def __call__(self, url: str) -> bytes:
            if self.down:
                raise ZeroDivisionError
            return await super().__call__(url)

    source = Broken()
    async with ring(source) as keys:
        source.down = True
        await trio.sleep(1000)
        assert await keys.find("google", "rsa-1", "RS256")
