"""Runs a plan: nodes, a lossy network, a modelled chain, crashes. Everything follows from the plan's seed."""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count
from random import Random
from typing import Protocol

from authnet_core.protocol.committee import Committee
from authnet_core.protocol.reshare.effects import (
    Blame,
    Done,
    Erase,
    ReshareEffect,
    SendAllNew,
    SendNew,
    SendOld,
    SetTimer,
    Shelf,
    Store,
    Submit,
)
from authnet_core.protocol.reshare.machine import Resharing
from authnet_core.protocol.reshare.messages import ReshareBundle, ReshareChainMessage, ReshareMessage
from authnet_core.protocol.reshare.params import Sender
from authnet_core.protocol.views import ComplaintView, ReshareView
from tests.sim.reshare.dealers import LyingDealer
from tests.sim.reshare.estate import Estate, make_estate, scalar, wide
from tests.sim.reshare.modelled_chain import ModelledChain
from tests.sim.reshare.plan import Plan
from tests.sim.reshare.receivers import LyingReceiver

BLOCK_MS = 500
LIMIT_MS = 90_000


@dataclass
class Node:
    """One machine with its disk; a liar's halves in front of it."""

    place: Sender
    dealer: LyingDealer | None = None
    receiver: LyingReceiver | None = None
    machine: Resharing | None = None
    disk: dict[str, tuple[Shelf, bytes]] = field(default_factory=dict)
    has_ek: bool = True
    stores: int = 0
    crashes: list[int] = field(default_factory=list)
    life: int = 0
    done: list[Done] = field(default_factory=list)

    def write(self, effect: Store | Erase) -> None:
        if isinstance(effect, Store):
            self.disk[effect.name] = (effect.shelf, effect.payload)
            return
        self.disk = {name: record for name, record in self.disk.items() if record[0] is not effect.shelf}
        self.has_ek = self.has_ek and effect.shelf is not Shelf.RETAINED

    @property
    def is_liar(self) -> bool:
        return self.dealer is not None or self.receiver is not None


class Chain(Protocol):
    """A model, or the application."""

    @property
    def phase(self) -> str: ...
    @property
    def complaints(self) -> list[ComplaintView]: ...
    @property
    def holders(self) -> set[int]: ...
    @property
    def blamed_old(self) -> set[int]: ...
    @property
    def blamed_new(self) -> set[int]: ...
    def block(self, now_ms: int, txs: list[tuple[Sender, ReshareChainMessage]], /) -> None: ...
    def view(self) -> ReshareView: ...


def make_estate_of(plan: Plan, attempt: int) -> Estate:
    """The same keys in each attempt, another mask."""
    old, new = Committee.of(plan.old), Committee.of(plan.new)
    return make_estate(Random(plan.seed), old, new, plan.count, plan.upgraded, plan.without_key, attempt)


class World:
    """One attempt of a plan; another attempt moves the same keys under another mask, in other weather."""

    def __init__(self, plan: Plan, attempt: int = 0, estate: Estate | None = None, chain: Chain | None = None) -> None:
        self.plan, self.rng = plan, Random(f"{plan.seed}/{attempt}")
        self.estate = estate or make_estate_of(plan, attempt)
        self.chain: Chain = chain or ModelledChain(self.estate.params)
        self.now, self._order = 0, count()
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._mempool: list[tuple[Sender, ReshareChainMessage]] = []
        self.submitted: list[tuple[Node, ReshareChainMessage]] = []
        self.sent: list[tuple[Node, Sender, ReshareMessage]] = []
        self.blames: list[tuple[Node, Blame]] = []
        self.nodes = [self._node(number, place) for number, place in enumerate(self._places())]
        for node in self.nodes:
            self._start(node)

    def _places(self) -> list[Sender]:
        both, plan = self.plan.shared, self.plan
        places = [Sender(i, i) for i in range(1, both + 1)]
        places += [Sender(old=j) for j in range(both + 1, plan.old + 1)]
        return places + [Sender(new=m) for m in range(both + 1, plan.new + 1)]

    def _node(self, number: int, place: Sender) -> Node:
        node = Node(place, crashes=list(dict(self.plan.crashes).get(number, ())))
        old_lie, new_lie = dict(self.plan.old_lies).get(place.old or 0), dict(self.plan.new_lies).get(place.new or 0)
        if old_lie and place.old:
            node.dealer = LyingDealer(self.estate, place.old, old_lie, Random(self.rng.random()))
        elif place.old and place.old > self.plan.old - self.plan.company:
            node.dealer = LyingDealer(self._agreed(), place.old, "right", Random(self.rng.random()))
        if new_lie and place.new:
            node.receiver = LyingReceiver(self.estate, place.new, new_lie, Random(self.rng.random()))
        return node

    def _agreed(self) -> Estate:
        """What a company of liars pretends to hold: sharings of other keys, of right degree and fitting each other."""
        mine = self.estate
        other = make_estate(Random(self.plan.seed + 1), mine.params.old, mine.params.new, self.plan.count)
        return replace(mine, rows=other.rows, masks=other.masks)

    def _start(self, node: Node) -> None:
        """A fresh life from what is on disk, with a seed that must not matter any more once one is stored."""
        place, estate = node.place, self.estate
        node.life += 1
        old = None if node.dealer else place.old
        if old is None and place.new is None:
            return
        node.machine = Resharing(
            estate.params,
            estate.keys,
            old,
            place.new,
            estate.eks.get(place.new or 0) if node.has_ek else None,
            estate.rows[old] if old else None,
            estate.masks[old] if old else None,
            wide(scalar(self.rng)),
            {name: payload for name, (_, payload) in node.disk.items()},
        )

    def at(self, delay: int, act: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self.now + delay, next(self._order), act))

    def delay(self, node: Node, until: int) -> None:
        """The node is away from the beginning."""
        node.machine = None
        node.life += 1
        self.at(until, lambda: self._start(node))

    def run(self) -> "World":
        self.at(0, self._block)
        while self._events and self.now < LIMIT_MS:
            self.now, _, act = heapq.heappop(self._events)
            act()
        return self

    def _block(self) -> None:
        txs, self._mempool = self._mempool, []
        self.chain.block(self.now, txs)
        view = self.chain.view()
        for node in self.nodes:
            self.at(self.rng.randint(0, 50), lambda node=node: self._on_chain(node, view))  # type: ignore[misc]
        if not self.is_over():
            self.at(BLOCK_MS, self._block)

    def is_over(self) -> bool:
        honest = [n for n in self.nodes if not n.is_liar and n.place.new in {None, *self.estate.eks}]
        return all(node.machine is not None and node.machine.closed for node in honest)

    def _on_chain(self, node: Node, view: ReshareView) -> None:
        if node.machine is not None:
            self._carry_out(node, node.machine.on_chain(view))
        for half in (node.dealer, node.receiver):
            if half is not None:
                self._carry_out(node, half.on_chain(view), honest=False)

    def _deliver(self, sender: Sender, node: Node, message: ReshareMessage) -> None:
        if node.receiver is not None and isinstance(message, ReshareBundle):
            node.receiver.bundles.setdefault(message.dealer, message)
        if node.machine is not None:
            self._carry_out(node, node.machine.handle(sender, message))
        if node.dealer is not None:
            self._carry_out(node, node.dealer.handle(sender, message), honest=False)

    def _on_timer(self, node: Node, life: int, name: str) -> None:
        if node.life == life and node.machine is not None:
            self._carry_out(node, node.machine.on_timer(name))

    def _carry_out(self, node: Node, effects: list[ReshareEffect], *, honest: bool = True) -> None:
        if node.receiver is not None and honest:
            effects = node.receiver.twist(effects)
        for effect in effects:
            self._one(node, effect)
            if isinstance(effect, Store):
                node.stores += 1
                if node.stores in node.crashes:
                    self._crash(node)
                    return

    def _crash(self, node: Node) -> None:
        """Whatever was not carried out is lost, and the node is away for a while."""
        node.machine = None
        node.life += 1
        self.at(self.rng.choice((10, 700, 2_500)), lambda: self._start(node))

    def _one(self, node: Node, effect: ReshareEffect) -> None:
        match effect:
            case Submit(message):
                self.submitted.append((node, message))
                self._travel(lambda: self._mempool.append((node.place, message)))
            case SendAllNew(message):
                self._send_to(node, [to for to in self.nodes if to.place.new and to is not node], message)
            case SendNew(index, message):
                self._send_to(node, [to for to in self.nodes if to.place.new == index], message)
            case SendOld(index, message):
                self._send_to(node, [to for to in self.nodes if to.place.old == index], message)
            case SetTimer(name, delay):
                life = node.life
                self.at(delay, lambda: self._on_timer(node, life, name))
            case Store() | Erase():
                node.write(effect)
            case Blame():
                self.blames.append((node, effect))
            case Done():
                node.done.append(effect)

    def _send_to(self, node: Node, receivers: list[Node], message: ReshareMessage) -> None:
        for to in receivers:
            self._send(node, to, message)

    def _send(self, node: Node, to: Node, message: ReshareMessage) -> None:
        self.sent.append((node, to.place, message))
        self._travel(lambda: self._deliver(node.place, to, message))

    def _travel(self, arrive: Callable[[], None]) -> None:
        weather = self.plan.weather
        if self.rng.random() < weather.loss:
            return
        for _ in range(2 if self.rng.random() < weather.twice else 1):
            self.at(self.rng.randint(*weather.delay), arrive)
