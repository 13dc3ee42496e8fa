"""One run of chaos: step after step, load beside it, and at the end a look at everything.

Leaves the network whole, whatever happens in between. A run is over when its schedule or its time is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread

from authnet_client import Client, Network
from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.committee import Committee
from localnet.chaos import final
from localnet.chaos.actions import Actions
from localnet.chaos.lights import NODE_S, SERVICE_S, Light
from localnet.chaos.load import CLIENT_S, Load
from localnet.chaos.record import Episode, Record
from localnet.chaos.schedule import SILENT, TOGETHER, Fault, Kind, Step, Wish, draw
from localnet.chaos.watch import Watch
from localnet.places import Places

LOOK_S = 0.25
PACE_S = 0.1
SEEN_S = 0.5
"""Pause between looks at whether nodes are back."""
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Order:
    """What to run."""

    places: Places
    wish: Wish
    liar: Path | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run came to."""

    order: Order
    schedule: tuple[Step, ...]
    record: Record
    seconds: float
    looked_at: dict[str, int]

    @property
    def ok(self) -> bool:
        return self.record.lights.green


class Run:
    """Use once. `record` can be watched while `run` is under way."""

    def __init__(self, order: Order, tell: Tell) -> None:
        self.order, self._tell = order, tell
        self.schedule = draw(order.wish)
        self.record = Record()
        self.watch = Watch(order.places, self.record)
        self._actions = Actions(order.places, order.liar)
        self._broken: list[Fault] = []
        self._convicted = 0
        self.now_doing = "starting"

    async def run(self) -> Outcome:
        """Raises AuthnetError when the network is not whole to begin with."""
        places, record = self.order.places, self.record
        await self._require_whole()
        looked_at: dict[str, int] = {}
        async with Client(Network.from_file(places.dir / "network.json"), timeout_s=CLIENT_S) as client:
            load = Load(places, client, record)
            await load.begin()
            try:
                async with anyio.create_task_group() as group:
                    group.start_soon(self.watch.run)
                    group.start_soon(self._feel_pace)
                    group.start_soon(load.run)
                    await self._all_steps(load)
                    group.cancel_scope.cancel()
            finally:
                with anyio.CancelScope(shield=True):
                    await self._heal_rest()
        seconds = record.now()
        self._check_gaps(seconds)
        if await self._nodes_are_back("at the end") is not None:
            self.now_doing = "opening every key"
            looked_at = await self._look_at_everything()
        self.now_doing = "done"
        return Outcome(self.order, self.schedule, record, seconds, looked_at)

    async def _feel_pace(self) -> None:
        """A machine that is too busy for this program is too busy for the nodes as well."""
        while True:
            due = self.record.now() + PACE_S
            await anyio.sleep(PACE_S)
            self.record.note_stall(max(0.0, self.record.now() - due))

    async def _require_whole(self) -> None:
        """A session may be under way, so nodes are given the time they have after a heal."""
        self.now_doing = "waiting for all nodes to hold all shares"
        if missing := await self._missing_in_the_end():
            raise AuthnetError(Code.UNAVAILABLE, f"the network is not whole: {'; '.join(missing)}")
        self._convicted = len(await anyio.to_thread.run_sync(final.convictions, self.order.places))
        self.record.begun += self.record.now()

    async def _all_steps(self, load: Load) -> None:
        for step in self.schedule:
            if self.record.now() > self.order.wish.minutes * 60:
                self._tell(f"time is over before step {step.number}")
                return
            self.record.step = step.number
            self.now_doing = str(step)
            await anyio.sleep(step.pause_s)
            if not await self._carry_out(step, load):
                self._tell("a node did not come back: with another fault too many would be faulty")
                return

    async def _carry_out(self, step: Step, load: Load) -> bool:
        """Whether all nodes are back after it."""
        record = self.record
        episode = Episode(step, record.now())
        record.episodes.append(episode)
        for fault in sorted(step.faults, key=_turn):
            await self._break(fault)
        self._note_lack(step)
        await anyio.sleep(step.hold_s)
        record.halted_s = record.silent_s = None
        await self._heal_rest()
        episode.healed_s = record.now()
        await self._await_return(episode, load)
        if any(fault.kind is Kind.HAND_OVER for fault in step.faults):
            await anyio.to_thread.run_sync(final.check_hand_over, self.order.places, record, self._actions.announced)
        episode.over_s = record.now()
        self._tell(_line(episode))
        return episode.nodes_s is not None

    def _note_lack(self, step: Step) -> None:
        """When more nodes are out than the network can bear, some things must stop."""
        t = Committee.of(self.order.wish.nodes).t
        out = len({fault.node for fault in step.faults if fault.kind in TOGETHER})
        silent = len({fault.node for fault in step.faults if fault.kind in SILENT})
        self.record.halted_s = self.record.now() if out > t else None
        self.record.silent_s = self.record.now() if silent > t else None

    async def _break(self, fault: Fault) -> None:
        self._broken.append(fault)
        try:
            await anyio.to_thread.run_sync(self._actions.apply, fault)
        except (AuthnetError, OSError, ValueError) as error:
            self._tell(f"{fault}: could not be done: {error}")

    async def _heal_rest(self) -> None:
        while self._broken:
            fault = self._broken.pop()
            try:
                await anyio.to_thread.run_sync(self._actions.heal, fault)
            except (AuthnetError, OSError) as error:
                self.record.check(Light.NODES, False, f"{fault} could not be healed: {error}")

    async def _await_return(self, episode: Episode, load: Load) -> None:
        """Side by side: until a login succeeds, and until every node has everything."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._await_service, episode, load)
            episode.nodes_s = await self._nodes_are_back(f"after {episode.step}")

    async def _await_service(self, episode: Episode, load: Load) -> None:
        healed = self.record.now()
        with anyio.move_on_after(SERVICE_S):
            while not await load.log_in(2):  # noqa: ASYNC110 - each look is a call
                await anyio.sleep(LOOK_S)
            episode.service_s = self.record.now() - healed
        text = f"no two-round login within {SERVICE_S:g} s of the heal of {episode.step}"
        self.record.check(Light.SERVICE, episode.service_s is not None, text)

    async def _nodes_are_back(self, when: str) -> float | None:
        """Seconds until they are; None when they are not in time."""
        begun = self.record.now()
        missing = await self._missing_in_the_end()
        self.record.check(Light.NODES, not missing, f"{when}: {'; '.join(missing)}")
        return None if missing else self.record.now() - begun

    async def _missing_in_the_end(self) -> list[str]:
        """What `Watch.missing` says when nothing is missing or the time is over."""
        missing = ["nobody was asked"]
        with anyio.move_on_after(NODE_S):
            while missing := await anyio.to_thread.run_sync(self.watch.missing):  # noqa: ASYNC110
                await anyio.sleep(SEEN_S)
        return missing

    def _check_gaps(self, until_s: float) -> None:
        """Logins of one kind or the other go on throughout: k nodes are always left."""
        for begun, end in self.record.gaps(until_s, least_s=SERVICE_S):
            self.record.check(Light.SERVICE, False, f"no login at all from {begun:.0f} s to {end:.0f} s")

    async def _look_at_everything(self) -> dict[str, int]:
        try:
            return await anyio.to_thread.run_sync(partial(final.check, self.order.places, self.record, self._convicted))
        except AuthnetError as error:
            self.record.check(Light.NODES, False, f"the last look at all keys: {error}")
            return {}


def _turn(fault: Fault) -> int:
    """A liar is up, and a hand-over known to the chain, before anything else breaks."""
    return {Kind.LIAR: 0, Kind.HAND_OVER: 1}.get(fault.kind, 2)


def _line(episode: Episode) -> str:
    service = "no login" if episode.service_s is None else f"login after {episode.service_s:.1f} s"
    nodes = "not whole" if episode.nodes_s is None else f"whole after {episode.nodes_s:.1f} s"
    what = ", ".join(str(fault) for fault in episode.step.faults)
    return f"{episode.healed_s:6.1f} s  step {episode.step.number:2d}  {what}: {service}, {nodes}"
