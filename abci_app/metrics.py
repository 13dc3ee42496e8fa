"""What this process counts."""

from __future__ import annotations

from abci_app.rules.execution import Finalized
from authnet_runtime.metrics import Counter, Gauge, Histogram

HEIGHT = Gauge("authnet_app_height", "Newest committed height")
ACCEPTED = Counter("authnet_app_transactions_total", "Transactions in blocks, by code", ["code"])
CHECKED = Counter("authnet_app_checked_total", "CheckTx verdicts, by code", ["code"])
EVENTS = Counter("authnet_app_events_total", "Events in blocks, by type", ["type"])
FINALIZE_SECONDS = Histogram("authnet_app_finalize_seconds", "Time in FinalizeBlock")


def count(finalized: Finalized) -> None:
    """Count a committed block."""
    HEIGHT.set(finalized.pending.meta.height)
    for outcome in finalized.outcomes:
        ACCEPTED.labels("accepted" if outcome.code is None else outcome.code.value).inc()
    for event in finalized.all_events:
        EVENTS.labels(event.type).inc()
