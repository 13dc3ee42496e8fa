"""The demo's act of the next committee: other nodes take over while users log in without pause."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from authnet_core.errors import AuthnetError, Code
from authnet_runtime.rpc_once import call_once
from localnet.discovery import ask_chain
from localnet.places import Places, load
from localnet.selftest import ask_members

if TYPE_CHECKING:
    from authnet_client import Resolution
    from localnet.demo import Demo

LIMIT_S = 300.0
BEGIN_S = 120.0
POLL_S = 0.3
PAUSE_S = 0.2
"""Between two logins of the user who does not stop: five a second."""
RETRY_S = 2.0


class Restless:
    """Logs in again and again until told to stop. A failed login is lost if a retry within two seconds fails too."""

    def __init__(self, login: Callable[[], Awaitable[str]], address: str) -> None:
        self._login, self._address = login, address
        self.done = self.retried = self.lost = self.wrong = 0

    async def run(self) -> None:
        while True:
            began = time.monotonic()
            while not await self._once() and time.monotonic() - began < RETRY_S:
                self.retried += 1
            await anyio.sleep(PAUSE_S)

    async def _once(self) -> bool:
        try:
            found = await self._login()
        except AuthnetError:
            self.lost += 1
            return False
        self.done += 1
        self.wrong += found != self._address
        return True

    def __str__(self) -> str:
        return f"{self.done} logins meanwhile, {self.lost - self.retried} lost, {self.retried} tried again"


async def hand_over(places: Places, restless: Restless, tick: Callable[[str], None]) -> dict[str, Any]:
    """Rotate to as many other nodes and return the plan when they serve. Raises AuthnetError (EPOCH_STUCK)."""
    plan: dict[str, Any] = {}
    failure: AuthnetError | None = None
    async with anyio.create_task_group() as group:
        group.start_soon(restless.run)
        try:
            plan = await anyio.to_thread.run_sync(_begin, places)
            await _until_it_serves(places, plan["epoch"], tick)
        except AuthnetError as error:
            failure = error
        group.cancel_scope.cancel()
    if failure is not None:
        raise failure
    return plan


def _begin(places: Places) -> dict[str, Any]:
    plan: dict[str, Any] = call_once(places.daemon_sock, "rotate", {}, timeout=BEGIN_S)
    return plan


async def _until_it_serves(places: Places, epoch: int, tick: Callable[[str], None]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while (text := await anyio.to_thread.run_sync(_look, places, epoch)) is not None:
        if time.monotonic() > deadline:
            raise AuthnetError(Code.EPOCH_STUCK, f"epoch {epoch} does not serve after {LIMIT_S:g} s: {text}")
        tick(text)
        await anyio.sleep(POLL_S)


async def self_test(places: Places, epoch: int) -> str:
    """Raises AuthnetError if a sampled key does not open under the new shares."""
    tested = await anyio.to_thread.run_sync(ask_members, places, epoch)
    if tested.refusal is not None:
        raise tested.refusal
    return str(tested)


def _look(places: Places, epoch: int) -> str | None:
    """What the hand-over does now, None when the new committee serves."""
    try:
        if ask_chain(places, "/epoch/serving")["epoch"] == epoch:
            return None
        handover = ask_chain(places, "/handover")
    except AuthnetError:
        return "the registry's owner announces the next committee"
    return f"{handover['phase']}: {handover['keys_done']} of {handover['keys']} keys moved"


def who_leaves(places: Places) -> str:
    """One sentence about nodes of former committees that still run; empty when there are none."""
    places = load(places.dir) or places
    parting: dict[int, float] = {}
    for epoch in (1, *places.committees):
        try:
            view = ask_chain(places, f"/epoch/{epoch}")
        except AuthnetError:
            continue
        if view["status"] == "retired":
            left_s = max(0.0, view["grace_ends_ms"] / 1000 - time.time())
            running = [node for node in places.committee(epoch) if node not in places.retired]
            parting |= {node: max(left_s, parting.get(node, 0.0)) for node in running}
        elif view["status"] in ("serving", "next"):
            parting = {node: s for node, s in parting.items() if node not in places.committee(epoch)}
    if not parting:
        return ""
    nodes = ", ".join(map(str, sorted(parting)))
    return (
        f"Nodes {nodes} have left the committee and still run: for {max(parting.values()):.0f} s more they answer for "
        f"tokens issued before.\nThen they erase their shares and are stopped; nobody has to do anything. "
        f"See it: authnet epoch status --dir {places.dir}"
    )


async def others_take_over(demo: Demo, bob: str, found: Resolution) -> None:
    demo.say.chapter(f"{demo.size.n} other nodes take over, one share at a time. bob logs in without pause.")
    begun = time.monotonic()

    async def once() -> str:
        return (await demo.login(bob, rounds=2)).address

    restless = Restless(once, found.address)
    plan = await hand_over(demo.places, restless, demo.say.ticking)
    demo.meet_the_committee()
    demo.say.check(restless.wrong == 0, "every login gave the same key")
    come, left = (", ".join(map(str, plan[which])) for which in ("new", "left"))
    demo.say.row(f"nodes {come} for {left}", str(restless), begun)
    begun = time.monotonic()
    done = await demo.login(bob, rounds=1)
    demo.say.check(done.address == found.address, "the new committee gives bob the key he had")
    demo.say.row("self-test of the new shares", await self_test(demo.places, plan["epoch"]), begun)
