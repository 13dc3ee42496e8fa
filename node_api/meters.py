"""What the door counts. Labels are method, outcome and nothing a client may choose freely."""

from __future__ import annotations

from functools import lru_cache

from authnet_runtime.metrics import Counter, Gauge, Histogram

REQUESTS = Counter("authnet_api_requests", "Requests answered", ["method", "outcome"])
LATENCY = Histogram(
    "authnet_api_seconds",
    "Time from the whole body to the answer",
    ["method"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0),
)
CONNECTIONS = Gauge("authnet_api_connections", "Open client connections")
LIMITED = Counter("authnet_api_rate_limited", "Requests refused because a bucket was empty", ["bucket"])
BUSY = Counter("authnet_api_busy", "Requests refused because too many were under way", ["what"])
UNDER_WAY = Gauge("authnet_api_under_way", "Requests being answered", ["what"])
DROPPED = Counter("authnet_api_dropped_connections", "Connections refused or cut", ["why"])


@lru_cache(maxsize=512)
def _request(method: str, outcome: str) -> Counter:
    return REQUESTS.labels(method, outcome)


@lru_cache(maxsize=64)
def _seconds(method: str) -> Histogram:
    return LATENCY.labels(method)


def observe(method: str, outcome: str, seconds: float) -> None:
    """Count one answer."""
    _request(method, outcome).inc()
    _seconds(method).observe(seconds)
