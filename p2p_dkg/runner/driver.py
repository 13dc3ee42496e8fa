"""Drives one machine: inputs one at a time, effects strictly in order, what is stored is durable before anything after
it happens.

Messages, timers and chain views wait here while the machine works in a thread; of views only the newest is kept.
`Driver` is that of a key generation session; a resharing's differs in who is spoken to and for which epoch is signed.
"""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import trio
from anyio import CapacityLimiter, to_thread

from authnet_core.protocol.dkg.effects import (
    Blame,
    Done,
    Erase,
    Send,
    SendAll,
    SetTimer,
    Store,
    Submit,
)
from authnet_core.protocol.dkg.messages import Message
from authnet_core.protocol.dkg.params import Party, SessionParams
from authnet_core.protocol.views import ReshareView, SessionView
from authnet_runtime.logs import get_logger
from authnet_runtime.metrics import Counter
from p2p_dkg.faults import FaultPoints
from p2p_dkg.network.mesh import Mesh
from p2p_dkg.runner.records import SessionShelves
from p2p_dkg.runner.submit import TxDesk
from p2p_dkg.runner.transactions import to_transaction

MAX_PER_SENDER = 32
"""Messages of one member that may wait at a session; each has up to 1 MiB."""
BLAMED = Counter("authnet_dkg_blamed", "Messages of members that break the protocol", ["peer"])
SETTLED = Counter("authnet_dkg_sessions", "Sessions settled at this node, by outcome", ["outcome"])
CPU = Counter("authnet_dkg_cpu_seconds", "Processor time of the session machines")
SENT = Counter("authnet_dkg_messages_sent", "Messages sent to members, by kind", ["kind"])
DROPPED = Counter("authnet_dkg_messages_dropped", "Messages dropped because a session was busy")
_log = get_logger("session")

ViewT = TypeVar("ViewT", bound=SessionView | ReshareView)
_ViewT_contra = TypeVar("_ViewT_contra", contravariant=True)
_SenderT_contra = TypeVar("_SenderT_contra", contravariant=True)
_MessageT_contra = TypeVar("_MessageT_contra", contravariant=True)
SenderT = TypeVar("SenderT")
MessageT = TypeVar("MessageT")


class Machine(Protocol[_ViewT_contra, _SenderT_contra, _MessageT_contra]):
    """What a driver needs of a machine."""

    @property
    def closed(self) -> bool:
        """Nothing is left to do or to serve."""

    @property
    def missing(self) -> tuple[str, ...]:
        """What it waits for, for `status`."""

    def on_chain(self, view: _ViewT_contra) -> Sequence[Any]:
        """The chain's record now."""

    def handle(self, sender: _SenderT_contra, message: _MessageT_contra) -> Sequence[Any]:
        """A member's message."""

    def on_timer(self, name: str) -> Sequence[Any]:
        """A timer ran out."""


def _timed(call: Callable[[], Sequence[Any]]) -> Sequence[Any]:
    """Run the machine and count the processor time it took."""
    before = time.thread_time()
    try:
        return call()
    finally:
        CPU.inc(time.thread_time() - before)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every driver uses."""

    mesh: Mesh
    desk: TxDesk
    faults: FaultPoints
    threads: CapacityLimiter


class MachineDriver(ABC, Generic[ViewT, SenderT, MessageT]):
    """One machine of this node, named by its sid or rid."""

    max_per_sender = MAX_PER_SENDER

    def __init__(
        self, key: bytes, machine: Machine[ViewT, SenderT, MessageT], shelves: SessionShelves, around: Surroundings
    ) -> None:
        self.key, self.machine, self._shelves, self._around = key, machine, shelves, around
        self.view: ViewT | None = None
        self._fresh = False
        self._messages: deque[tuple[SenderT, MessageT]] = deque()
        self._deadlines: dict[str, float] = {}
        self._missing: tuple[str, ...] = ()
        self._wake = trio.Event()
        self.outcome = ""
        self.used_at = math.inf
        """When a member last asked or sent; set at the start, since it is made in a thread, where trio has no clock."""

    @abstractmethod
    async def _speak(self, effect: Any) -> None:
        """Carry out an effect that goes to members or to the chain."""

    @abstractmethod
    def show(self) -> dict[str, Any]:
        """For `status`."""

    def see(self, view: ViewT) -> None:
        """Take the chain's record."""
        self.view, self._fresh = view, True
        self._wake.set()

    def take(self, sender: SenderT, message: MessageT) -> None:
        """Take a member's message; dropped when too many wait, since the machine asks again for what it misses."""
        if sum(waiting == sender for waiting, _ in self._messages) >= self.max_per_sender:
            DROPPED.inc()
            return
        self.used_at = trio.current_time()
        self._messages.append((sender, message))
        self._wake.set()

    def ring(self, timer: str) -> None:
        """Let a timer run out now."""
        self._deadlines[timer] = trio.current_time()
        self._wake.set()

    @property
    def is_idle(self) -> bool:
        """Settled, and only there to serve others."""
        return bool(self.outcome) and not self._messages

    async def run(self) -> None:
        """Work until nothing is left to do or to serve."""
        self.used_at = trio.current_time()
        while not self.machine.closed:
            call = self._next_input()
            if call is None:
                await self._sleep()
                continue
            effects = await to_thread.run_sync(self._step, call, limiter=self._around.threads)
            await self._carry_out(effects)

    def _step(self, call: Callable[[], Sequence[Any]]) -> Sequence[Any]:
        """One input, in a thread. What `status` shows is taken here too: the machine is for one thread at a time."""
        effects = _timed(call)
        self._missing = self.machine.missing
        return effects

    def _next_input(self) -> Callable[[], Sequence[Any]] | None:
        if self._fresh and self.view is not None:
            view, self._fresh = self.view, False
            return lambda: self.machine.on_chain(view)
        # Before messages: a peer that never stops sending must not keep this node from asking others and from acking.
        if (name := self._due_timer()) is not None:
            del self._deadlines[name]
            return lambda: self.machine.on_timer(name)
        if self._messages:
            sender, message = self._messages.popleft()
            return lambda: self.machine.handle(sender, message)
        return None

    def _due_timer(self) -> str | None:
        now = trio.current_time()
        return next((name for name, deadline in self._deadlines.items() if deadline <= now), None)

    async def _sleep(self) -> None:
        self._wake = trio.Event()
        until = min(self._deadlines.values(), default=trio.current_time() + 3600)
        with trio.move_on_at(until):
            await self._wake.wait()

    async def _carry_out(self, effects: Sequence[Any]) -> None:
        stores: list[Store] = []
        for effect in effects:
            if isinstance(effect, Store) and not self._around.faults.armed:
                stores.append(effect)
                continue
            await self._flush(stores)
            await self._carry_out_one(effect)
        await self._flush(stores)

    async def _flush(self, stores: list[Store]) -> None:
        if stores:
            await to_thread.run_sync(self._shelves.store, list(stores))
            stores.clear()

    async def _carry_out_one(self, effect: Any) -> None:
        match effect:
            case Store(name):
                await to_thread.run_sync(self._shelves.store, [effect])
                self._reach(f"store:{name}")
                self._reach(f"store:{name.partition('/')[0]}")
            case Erase(shelf):
                await to_thread.run_sync(self._shelves.erase, shelf)
                self._reach(f"erase:{shelf.value}")
            case SetTimer(name, delay_ms):
                self._deadlines[name] = trio.current_time() + delay_ms / 1000
            case Blame(party, reason):
                BLAMED.labels(self._name_of(party, reason)).inc()
                _log.warning("peer.blamed", peer=party, reason=reason, sid=self.key.hex())
            case Done(outcome):
                self.outcome = outcome.value
                SETTLED.labels(outcome.value).inc()
                _log.info("session.settled", sid=self.key.hex(), outcome=outcome.value)
            case _:
                await self._speak(effect)

    def _reach(self, point: str) -> None:
        self._around.faults.reach(point)

    def _name_of(self, party: Party, _: str) -> str:
        """Label of a blamed member in metrics."""
        return str(party)


class Driver(MachineDriver[SessionView, Party, Message]):
    """One key generation session."""

    def __init__(
        self,
        params: SessionParams,
        machine: Machine[SessionView, Party, Message],
        shelves: SessionShelves,
        around: Surroundings,
    ) -> None:
        super().__init__(params.sid, machine, shelves, around)
        self.sid, self.epoch = params.sid, params.epoch

    def show(self) -> dict[str, Any]:
        """For `status`."""
        view = self.view
        return {
            "sid": self.sid.hex(),
            "phase": view.phase if view is not None else "",
            "h0": view.h0 if view is not None else 0,
            "missing": list(self._missing),
            "outcome": self.outcome,
        }

    async def _speak(self, effect: Any) -> None:
        match effect:
            case Send(to, message):
                SENT.labels(type(message).__name__).inc()
                self._around.mesh.send(self.epoch, to, message)
            case SendAll(message):
                self._around.mesh.send_all(self.epoch, message)
            case Submit(chain_message):
                kind, fields = to_transaction(chain_message)
                await self._around.desk.try_send(self.epoch, kind, fields)
