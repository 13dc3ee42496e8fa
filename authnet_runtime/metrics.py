"""Prometheus metrics of one process. Names start with `authnet_`; labels never carry an id, token or address."""

from __future__ import annotations

from prometheus_client import REGISTRY, Counter, Gauge, Histogram, generate_latest

__all__ = ["Counter", "Gauge", "Histogram", "render"]


def render() -> str:
    """The text exposition of everything this process counts."""
    return generate_latest(REGISTRY).decode()
