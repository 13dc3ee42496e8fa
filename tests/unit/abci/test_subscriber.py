"""What a subscriber of read.sock is told when a block has more events than a frame holds."""

from __future__ import annotations

from typing import Any

import anyio

from abci_app.queries.readsock import Subscriber
from authnet_core.errors import DecodeError


class NarrowConnection:
    """Takes notes of at most one event, then is closed."""

    def __init__(self) -> None:
        self.closed = anyio.Event()
        self.got: list[dict[str, Any]] = []

    async def notify(self, method: str, note: dict[str, Any]) -> None:
        if len(note["events"]) > 1:
            raise DecodeError("too large")
        self.got.append(note)
        if note["height"] == 2:
            self.closed.set()


def test_a_note_too_large_comes_without_its_events() -> None:
    connection = NarrowConnection()

    async def run() -> None:
        subscriber = Subscriber(connection)  # type: ignore[arg-type]
        subscriber.push({"height": 1, "events": [{}, {}], "refused": {"ab": "EXPIRED"}})
        subscriber.push({"height": 2, "events": [{}], "refused": {"cd": "EXPIRED"}})
        await subscriber.run()

    anyio.run(run)
    assert connection.got == [
        {"height": 1, "events": [], "refused": {}},
        {"height": 2, "events": [{}], "refused": {"cd": "EXPIRED"}},
    ]
