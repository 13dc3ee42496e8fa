"""Users who log in and look addresses up without pause while the network changes under them; failures are counted.

Each call is one of the SDK's, as a wallet makes it. A failed one is tried again within two seconds: only those that
fail again count as lost.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

import anyio

from authnet_client import Client, Network
from authnet_core.errors import AuthnetError
from tests.e2e.net import Net

RETRY_S = 2.0
TICK_S = 0.05
BUSY = 3.0
"""A machine that lets this program run a tick so many times too late, on average over a call, is no judge of time."""
UNANSWERED = frozenset({"TIMEOUT", "NETWORK_DOWN", "TOO_FEW_NODES"})
VERIFIER = "mock-google"


@dataclass
class Tally:
    """What happened to one kind of call."""

    done: int = 0
    retried: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    slowest_s: float = 0.0
    late: int = 0
    """Lost because nodes did not answer in time while this machine was too busy to let anybody answer."""

    def __str__(self) -> str:
        text = f"{self.done} done, {self.retried.total()} cured by a retry {dict(self.retried)}"
        text += f", {self.lost.total()} lost {dict(self.lost)}, {self.late} starved"
        return f"{text}, {len(self.wrong)} wrong, {self.slowest_s:.1f} s at most"


class Travellers:
    """Use as a context manager: a thread with an event loop that works until the block ends."""

    def __init__(self, net: Net, addresses: dict[str, str], per_s: float = 5.0) -> None:
        """`addresses`: each account's address, which no call may ever contradict."""
        self._network = Network.from_file(net.dir / "network.json")
        self._addresses, self._per_s = addresses, per_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: anyio.run(self._run), daemon=True)
        self.tallies = {"one round": Tally(), "two rounds": Tally(), "look-up": Tally()}
        self.log: list[str] = []
        self._ticks: list[float] = []
        self._random = random.Random(5)

    def __enter__(self) -> Travellers:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(60)

    @property
    def lost(self) -> int:
        return sum(tally.lost.total() for tally in self.tallies.values())

    @property
    def wrong(self) -> list[str]:
        return [text for tally in self.tallies.values() for text in tally.wrong]

    @property
    def done(self) -> int:
        return sum(tally.done for tally in self.tallies.values())

    def __str__(self) -> str:
        return "\n".join(f"{kind}: {tally}" for kind, tally in self.tallies.items())

    async def _run(self) -> None:
        kinds = list(self.tallies)
        async with Client(self._network, timeout_s=10) as client, anyio.create_task_group() as group:
            group.start_soon(self._tick)
            due = time.monotonic()
            while not self._stop.is_set():
                group.start_soon(self._one, client, self._random.choice(kinds))
                due += 1 / self._per_s
                await anyio.sleep(max(0.0, due - time.monotonic()))
            group.cancel_scope.deadline = anyio.current_time() + 40

    async def _tick(self) -> None:
        """Notices how late this machine lets programs run."""
        while not self._stop.is_set():
            self._ticks.append(time.monotonic())
            await anyio.sleep(TICK_S)

    def _was_busy(self, began: float) -> bool:
        ticks = sum(at >= began for at in self._ticks)
        return (time.monotonic() - began) / TICK_S > BUSY * max(ticks, 1)

    async def _one(self, client: Client, kind: str) -> None:
        tally, began = self.tallies[kind], time.monotonic()
        user, address = self._random.choice(list(self._addresses.items()))
        code = ""
        while True:
            try:
                found = await self._call(client, kind, user)
            except AuthnetError as error:
                code = error.code.value
                self.log.append(f"{time.time():.2f} {kind} {user}: {code} {error.message}")
                if time.monotonic() - began > RETRY_S:
                    is_late = code in UNANSWERED and "no answer in" in error.message and self._was_busy(began)
                    tally.late += is_late
                    tally.lost[code] += not is_late
                    return
                tally.retried[code] += 1
                await anyio.sleep(0.25)
                continue
            tally.done += 1
            tally.slowest_s = max(tally.slowest_s, time.monotonic() - began)
            if found != address:
                tally.wrong.append(f"{user}: {found} instead of {address}")
            return

    async def _call(self, client: Client, kind: str, user: str) -> str:
        if kind == "look-up":
            return (await client.resolve(VERIFIER, user, assign=False)).address
        options = {} if kind == "two rounds" else {"aud": "authnet"}
        rounds = 2 if kind == "two rounds" else 1
        return (await client.login(VERIFIER, user, client.dev_tokens(VERIFIER, user, **options), rounds=rounds)).address
