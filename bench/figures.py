"""Percentiles and rates of timings, in the shape bench/out/latest.json has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


def percentile(values: Sequence[float], part: float) -> float:
    """Nearest-rank percentile; 0 of nothing."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, round(part * len(ordered) + 0.5) - 1))]


def median(values: Sequence[float]) -> float:
    return percentile(values, 0.5)


@dataclass(frozen=True)
class Timings:
    """One kind of request: latencies one at a time, rate when many run at once."""

    alone_ms: tuple[float, ...]
    loaded_ms: tuple[float, ...]
    per_s: float
    retries: int = 0
    errors: int = 0
    client_cores: float = 0.0
    """CPU that the load generator took of the machine meanwhile."""

    def as_json(self) -> dict[str, float | int]:
        found: dict[str, float | int] = {}
        for name, part in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
            found[name] = round(percentile(self.alone_ms, part), 1)
            found[f"loaded_{name}"] = round(percentile(self.loaded_ms, part), 1)
        return found | {
            "per_s": round(self.per_s, 1),
            "retries": self.retries,
            "errors": self.errors,
            "samples": len(self.alone_ms) + len(self.loaded_ms),
            "client_cores": round(self.client_cores, 2),
        }
