"""How often one client address, or one verifier's users together, may ask, and how much may be under way at once.

The table of addresses is bounded and forgets the least recently seen first, so a flood from many addresses
costs no memory; what all of them together may have under way is bounded too. No clock of its own: the caller
passes a monotonic time.
"""

from __future__ import annotations

import ipaddress
from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from authnet_core.errors import AuthnetError, Code
from node_api.meters import BUSY, LIMITED, UNDER_WAY

TABLE_SIZE = 16_384
VERIFIER_FACTOR = 10
"""One verifier may be asked about ten times as often as one address may ask."""
WORK, WORK_OF_ONE = 512, 128
"""Requests under way: all, and one address's. A body that is still coming is none."""
ASSIGNS, ASSIGNS_OF_ONE = 128, 64
"""Of these, look-ups that wait for a block to assign a key: logins must not wait behind them."""
CLIENT: ContextVar[str] = ContextVar("client", default="")
"""The address that the running request counts for."""


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class Buckets:
    """One bucket a name, `burst` deep, filled at `rate` a second."""

    def __init__(self, rate: float, burst: int, size: int = TABLE_SIZE) -> None:
        self._rate, self._burst, self._size = rate, burst, size
        self._table: OrderedDict[str, _Bucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._table)

    def take(self, name: str, now: float) -> float:
        """Take one token: 0 when there was one, else the seconds until there is."""
        bucket = self._table.get(name)
        if bucket is None:
            bucket = self._table[name] = _Bucket(float(self._burst), now)
            if len(self._table) > self._size:
                self._table.popitem(last=False)
        else:
            self._table.move_to_end(name)
            bucket.tokens = min(self._burst, bucket.tokens + (now - bucket.at) * self._rate)
            bucket.at = now
        if bucket.tokens >= 1:
            bucket.tokens -= 1
            return 0.0
        return (1 - bucket.tokens) / self._rate


class Slots:
    """What may be under way at once: so much in all, and a part of it for one client address."""

    def __init__(self, name: str, total: int, of_one: int) -> None:
        self._name, self._total, self._of_one = name, total, of_one
        self._taken: Counter[str] = Counter()
        self._all = 0

    @contextmanager
    def one(self) -> Iterator[None]:
        """Hold a slot for the running request's address. Raises BUSY when there is none."""
        client = CLIENT.get()
        if self._all >= self._total or self._taken[client] >= self._of_one:
            BUSY.labels(self._name).inc()
            raise AuthnetError(Code.BUSY, "the node has as much under way as it can", retry_ms=1000)
        self._all += 1
        self._taken[client] += 1
        UNDER_WAY.labels(self._name).inc()
        try:
            yield
        finally:
            self._all -= 1
            self._taken[client] -= 1
            if not self._taken[client]:
                del self._taken[client]
            UNDER_WAY.labels(self._name).dec()


class Limits:
    """Buckets and slots of one node."""

    def __init__(self, rate_per_s: float, burst: int, new_keys_per_s: float = 1.0, new_keys_burst: int = 60) -> None:
        self._addresses = Buckets(rate_per_s, burst)
        self._verifiers = Buckets(rate_per_s * VERIFIER_FACTOR, burst * VERIFIER_FACTOR, 1024)
        self._new_keys = Buckets(new_keys_per_s, new_keys_burst)
        self.work = Slots("request", WORK, WORK_OF_ONE)
        self.assigns = Slots("assign", ASSIGNS, ASSIGNS_OF_ONE)

    def admit_address(self, address: str, now: float) -> None:
        """Raises RATE_LIMITED when `address` asks too often."""
        _refuse(self._addresses.take(address, now), "this address asks too often", "address")

    def admit_verifier(self, verifier: str, now: float) -> None:
        """Raises RATE_LIMITED when a known verifier's accounts are asked for too often."""
        _refuse(self._verifiers.take(verifier, now), "this verifier's accounts are asked for too often", "verifier")

    def admit_new_key(self, now: float) -> None:
        """Raises RATE_LIMITED when the running request's address has had many accounts assigned."""
        _refuse(self._new_keys.take(CLIENT.get(), now), "this address asks for new keys too often", "new_keys")


def _refuse(wait_s: float, why: str, bucket: str) -> None:
    if wait_s:
        LIMITED.labels(bucket).inc()
        text = f"{why}; try again in {wait_s:.1f} s"
        raise AuthnetError(Code.RATE_LIMITED, text, retry_ms=int(wait_s * 1000) + 1)


def client_address(peer: str, forwarded: str, proxies: frozenset[str]) -> str:
    """The address a request counts for.

    Forwarded-for entries are believed only as far as configured proxies wrote them: the right-most one that
    is no proxy. An IPv6 client counts by its /64, which one person has whole.
    """
    address = peer
    if peer in proxies:
        entries = [entry.strip() for entry in forwarded.split(",") if entry.strip()]
        address = next((entry for entry in reversed(entries) if entry not in proxies), peer)
    return _canonical(address)


def _canonical(address: str) -> str:
    if ":" not in address:
        return address[:64]
    try:
        parsed = ipaddress.IPv6Address(address.split("%", 1)[0])
    except ValueError:
        return address[:64]
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((parsed, 64), strict=False))


def proxy_set(proxies: Iterable[str]) -> frozenset[str]:
    """The configured proxies' addresses."""
    return frozenset(proxies)
