"""The key sets of all verifiers, kept fresh in the background: a login never waits for a provider it need not.

One task per verifier fetches its JWKS at intervals, and sooner when a token names an unknown key. However
many unknown keys are asked for, the fetches are bounded by a token bucket and one is in flight; a key that a fetch
did not bring is not asked for again for a while, so that a client with an old token spends no fetch that a client
with a key just rotated in would need. While a provider is down its last good set serves, up to `stale_s`.
"""

from __future__ import annotations

import math
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

import trio

from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.views import VerifierView
from authnet_runtime.logs import get_logger
from p2p_dkg.login import metrics
from p2p_dkg.login.key_set import KeySet, TokenKey, read_key_set

Fetch = Callable[[str], Awaitable[bytes]]
_log = get_logger("login")
_random = secrets.SystemRandom()


@dataclass(frozen=True, slots=True)
class RingLimits:
    """How often providers are asked, and for how long a request may wait."""

    refresh_s: float = 300.0
    retry_s: float = 2.0
    """First pause after a failure; doubles up to `refresh_s`."""
    wait_s: float = 2.0
    burst: int = 4
    refill_s: float = 15.0
    waiting: int = 8
    """Requests that may wait for one provider; more of them fail at once and hold nothing up."""
    stale_s: float = 86_400.0
    missed_s: float = 15.0
    """For how long a key that was just not there is not asked for; no longer than the bucket takes for one fetch."""
    missed: int = 256


@dataclass(slots=True)
class _Provider:
    url: str
    bucket: float
    keys: KeySet | None = None
    began_at: float = 0.0
    fetched_at: float = 0.0
    counted_at: float = 0.0
    failures: int = 0
    waiting: int = 0
    missed: OrderedDict[tuple[str | None, str], float] = field(default_factory=OrderedDict)
    """Keys that were not in a set fetched since they were asked for, and when that was; bounded."""
    in_flight: bool = False
    asked: trio.Event = field(default_factory=trio.Event)
    finished: trio.Event = field(default_factory=trio.Event)
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)


class KeyRing:
    """Verifier name -> keys. `run` must be running for anything to be fetched."""

    def __init__(self, fetch: Fetch, limits: RingLimits | None = None) -> None:
        self._fetch = fetch
        self._limits = limits or RingLimits()
        self._providers: dict[str, _Provider] = {}
        self._nursery: trio.Nursery | None = None

    async def run(self) -> None:
        """Keep the sets fresh until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            for name, provider in self._providers.items():
                nursery.start_soon(self._keep, name, provider)
            try:
                await trio.sleep_forever()
            finally:
                self._nursery = None

    def follow(self, records: Iterable[VerifierView]) -> None:
        """Take over the verifiers' records. A changed URL drops the keys of the old one at once."""
        wanted = {r.name: r.jwks_url for r in records if not r.removed}
        for name, provider in list(self._providers.items()):
            if wanted.get(name) != provider.url:
                provider.scope.cancel()
                del self._providers[name]
        for name, url in wanted.items():
            if name not in self._providers:
                self._providers[name] = provider = _Provider(url, float(self._limits.burst))
                if self._nursery is not None:
                    self._nursery.start_soon(self._keep, name, provider)

    async def find(self, verifier: str, kid: str | None, algorithm: str) -> TokenKey:
        """The provider's key, after at most one fetch and `wait_s`. Raises TOKEN_KEY_UNKNOWN or UNAVAILABLE."""
        provider = self._providers.get(verifier)
        if provider is None:
            raise AuthnetError(Code.VERIFIER_UNKNOWN, "Verifier not supported")
        key = self._known(provider, kid, algorithm)
        if key is None:
            key = await self._look_again(provider, kid, algorithm)
        if key is not None:
            return key
        if provider.keys is None or self._is_stale(provider):
            raise AuthnetError(Code.UNAVAILABLE, "the provider's keys can not be read at present")
        raise AuthnetError(Code.TOKEN_KEY_UNKNOWN, "the provider publishes no key with the token's kid")

    async def _look_again(self, provider: _Provider, kid: str | None, algorithm: str) -> TokenKey | None:
        """Have the set fetched for a key that is not in it, unless that can help nobody."""
        asked_at, name = trio.current_time(), (kid, algorithm)
        if asked_at - provider.missed.get(name, -math.inf) < self._limits.missed_s:
            metrics.UNKNOWN_KEYS.labels(answer="missed before").inc()
            return None
        if provider.waiting >= self._limits.waiting or not self._ask(provider):
            metrics.UNKNOWN_KEYS.labels(answer="limited").inc()
            return None
        await self._wait(provider)
        key = self._known(provider, kid, algorithm)
        metrics.UNKNOWN_KEYS.labels(answer="fetched" if key else "missed").inc()
        if key is None and provider.began_at >= asked_at and provider.fetched_at >= provider.began_at:
            provider.missed[name] = provider.began_at
            if len(provider.missed) > self._limits.missed:
                provider.missed.popitem(last=False)
        return key

    async def _wait(self, provider: _Provider) -> None:
        provider.waiting += 1
        try:
            with trio.move_on_after(self._limits.wait_s):
                await provider.finished.wait()
        finally:
            provider.waiting -= 1

    def _known(self, provider: _Provider, kid: str | None, algorithm: str) -> TokenKey | None:
        if provider.keys is None or self._is_stale(provider):
            return None
        return provider.keys.find(kid, algorithm)

    def _is_stale(self, provider: _Provider) -> bool:
        return trio.current_time() - provider.fetched_at > self._limits.stale_s

    def _ask(self, provider: _Provider) -> bool:
        """Whether a fetch is under way that is worth waiting for; starts one if the bucket allows."""
        if provider.in_flight or provider.asked.is_set():
            return True
        now = trio.current_time()
        filled = provider.bucket + (now - provider.counted_at) / self._limits.refill_s
        provider.bucket, provider.counted_at = min(float(self._limits.burst), filled), now
        if provider.bucket < 1:
            return False
        provider.bucket -= 1
        provider.asked.set()
        return True

    async def _keep(self, name: str, provider: _Provider) -> None:
        with provider.scope:
            while True:
                provider.in_flight, provider.asked = True, trio.Event()
                provider.began_at = trio.current_time()
                await self._refresh(name, provider)
                provider.in_flight = False
                finished, provider.finished = provider.finished, trio.Event()
                finished.set()
                with trio.move_on_after(self._pause(provider)):
                    await provider.asked.wait()

    async def _refresh(self, name: str, provider: _Provider) -> None:
        try:
            keys = read_key_set(await self._fetch(provider.url))
        except AuthnetError as refusal:
            provider.failures += 1
            metrics.JWKS_FETCHES.labels(outcome=refusal.code.value).inc()
            _log.warning("jwks.failed", verifier=name, code=refusal.code.value, reason=refusal.message)
            return
        except Exception as error:
            # The document comes from outside and all keepers read it: no surprise in it may end them all at once.
            provider.failures += 1
            metrics.JWKS_FETCHES.labels(outcome=Code.INTERNAL.value).inc()
            _log.error("jwks.failed", verifier=name, code=Code.INTERNAL.value, error=type(error).__name__)
            return
        provider.keys, provider.fetched_at, provider.failures = keys, trio.current_time(), 0
        metrics.JWKS_FETCHES.labels(outcome="ok").inc()

    def _pause(self, provider: _Provider) -> float:
        limits = self._limits
        pause = limits.refresh_s
        if provider.failures:
            pause = min(pause, limits.retry_s * 2.0 ** min(provider.failures - 1, 10))
        return pause * _random.uniform(0.8, 1.2)
