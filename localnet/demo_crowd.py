"""The demo's act of the crowd: hundreds of new users at once, on a network that is one node short."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import anyio

from authnet_core.errors import AuthnetError, Code

if TYPE_CHECKING:
    from authnet_client import Client
    from localnet.demo import Demo

VERIFIER = "mock-google"
CROWD_AT_ONCE = 60
CROWD_LIMIT = 400
TRIES = 3
UNANSWERED = frozenset({Code.TIMEOUT, Code.TOO_FEW_NODES, Code.NETWORK_DOWN, Code.BUSY})


async def crowd_arrives(demo: Demo) -> None:
    """So many new users that the pool falls below its low mark and the nodes make new keys, one short."""
    status = demo.status()
    count = status["pool"]["free"] - status["pool"]["low"] + 10
    if not 0 < count <= CROWD_LIMIT:
        return
    demo.say.chapter(f"{count} people are looked up at once. The pool runs low; the remaining nodes make new keys.")
    begun = time.monotonic()
    names = [f"guest-{number}-{int(time.time())}@example.com" for number in range(count)]
    seen, again = await look_up_all(demo.client, names, at_once(status))
    demo.say.check(len(seen) == count, f"{count} people, {count} addresses")
    text = f"{count} new addresses, {count / (time.monotonic() - begun):.0f} a second"
    demo.say.row("a crowd", text + (f", {again} asked for again" if again else ""), begun)
    begun = time.monotonic()
    found = await demo.until("pool", lambda s: s["pool"]["free"] >= s["pool"]["low"], 90)
    demo.say.row(f"new keys without node {demo.nodes[-1]}", f"{found['pool']['free']} free", begun)


def at_once(status: dict[str, Any]) -> int:
    """How many of the crowd ask together: fewer while nodes that have left the committee still use this machine."""
    running = [node for node in status["nodes"] if node["state"] in ("up", "starting")]
    leaving = sum(not node["party"] for node in running)
    return CROWD_AT_ONCE if not leaving else CROWD_AT_ONCE // 3


async def look_up_all(client: Client, names: list[str], together: int) -> tuple[set[str], int]:
    """The addresses of all names, and how many were asked for again since no answer came. Raises AuthnetError.

    Asking again is what a wallet does: an account gets one key however often it is looked up.
    """
    limit = anyio.CapacityLimiter(together)
    seen: set[str] = set()
    again: set[str] = set()
    refusals: list[AuthnetError] = []

    async def one(name: str) -> None:
        async with limit:
            for left in reversed(range(TRIES)):
                try:
                    seen.add((await client.resolve(VERIFIER, name)).address)
                except AuthnetError as error:
                    if not left or error.code not in UNANSWERED:
                        refusals.append(error)
                        return
                    again.add(name)
                else:
                    return

    async with anyio.create_task_group() as group:
        for name in names:
            group.start_soon(one, name)
    if refusals:
        raise refusals[0]
    return seen, len(again)
