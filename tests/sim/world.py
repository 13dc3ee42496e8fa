"""One whole session from one seed: n machines, a model chain, virtual time, a bad network and bad luck.

The seed decides who is away from when to when, at which Store who crashes, and the fate of every message. Every run
with the same seed is the same run.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from authnet_core.crypto.secp256k1 import pub
from authnet_core.protocol.committee import Committee
from authnet_core.protocol.dkg.effects import (
    Blame,
    Done,
    Effect,
    Erase,
    Outcome,
    Send,
    SendAll,
    SetTimer,
    Shelf,
    Store,
    Submit,
)
from authnet_core.protocol.dkg.machine import Session
from authnet_core.protocol.dkg.messages import (
    Ack,
    Bundle,
    ChainMessage,
    Deal,
    Final,
    Have,
    Message,
    PointList,
)
from authnet_core.protocol.dkg.params import SessionParams
from authnet_core.protocol.dkg.state import Timing
from authnet_core.protocol.dkg.strings import committee_hash
from tests.sim.evil import BEHAVIOURS, CHEATING, STRATEGIES, evil_dealing, misbehave, victim_of
from tests.sim.model_chain import ModelChain

NEVER = 1 << 60
BLOCK_MS = 250
LIMIT_MS = 90_000
SIM_TIMING = Timing(grace=5_000)


@dataclass(frozen=True)
class Weather:
    """What the network does to a message in flight."""

    loss: float
    double: float
    delay_ms: tuple[int, int]


@dataclass
class Node:
    """A machine and its disk. The disk survives a crash, the machine does not."""

    index: int
    seed: bytes
    ek: bytes | None
    session: Session | None = None
    life: int = 0
    disk: dict[str, bytes] = field(default_factory=dict)
    written: dict[str, bytes] = field(default_factory=dict)
    """Whatever was ever on disk."""
    shelf_of: dict[str, Shelf] = field(default_factory=dict)
    erased: list[Shelf] = field(default_factory=list)
    outcome: Outcome | None = None
    stores: int = 0
    crash_at_stores: frozenset[int] = frozenset()
    crash_after: bool = False
    deals_sent: set[bytes] = field(default_factory=set)
    blamed: list[Blame] = field(default_factory=list)


@dataclass
class Fault:
    """An absence in virtual time; until NEVER means for good."""

    party: int
    start_ms: int
    end_ms: int


class World:
    """Runs one schedule; `tests/sim/invariants.py` judges it."""

    def __init__(self, seed: int, n: int, rows: int = 2) -> None:
        self.rng = Random(seed)
        self.seed, self.now, self.over_at = seed, 0, NEVER
        self.committee = Committee.of(n)
        self.evil = self._draw_evil()
        self.faults = self._draw_faults()
        without_ek = self._draw_without_ek()
        secrets = {j: self.rng.randbytes(32) for j in range(1, n + 1)}
        eks = tuple(b"" if j in without_ek else pub(secrets[j]) for j in range(1, n + 1))
        identities = [pub(self.rng.randbytes(32)) for _ in range(n)]
        self.params = SessionParams(
            "sim-1", 1, seed % 1000, self.committee, committee_hash(self.committee, identities), rows, eks
        )
        self.nodes = {
            j: Node(j, self.rng.randbytes(32), None if j in without_ek else secrets[j]) for j in self.params.parties
        }
        self.weather = Weather(
            loss=self.rng.choice([0.0, 0.0, 0.1, 0.3]),
            double=self.rng.choice([0.0, 0.1]),
            delay_ms=self.rng.choice([(1, 5), (1, 400), (50, 900)]),
        )
        self._draw_crashes()
        self.chain = ModelChain(self.params)
        self.mempool: list[tuple[int, ChainMessage]] = []
        self.queue: list[tuple[int, int, Callable[[], None]]] = []
        self.sequence = 0
        self.wire: list[tuple[int, int, int, Message, int]] = []
        """(time, from, to, message, chain height) of all that was sent."""
        self.tamper: Callable[[int, int, Message], Message | None] = lambda _from, _to, message: message

    # -- the schedule, drawn once -----------------------------------------------------------------------------

    def _draw_evil(self) -> dict[int, str]:
        """Who lies in its dealing, or behaves badly towards its peers; they count as faulty."""
        count = self.rng.choice([0, 0, self.rng.randint(1, self.committee.t)])
        liars = self.rng.sample(range(1, self.committee.n + 1), count)
        return {party: self.rng.choice(STRATEGIES + BEHAVIOURS) for party in liars}

    def _draw_faults(self) -> list[Fault]:
        faults = []
        honest = [party for party in range(1, self.committee.n + 1) if party not in self.evil]
        for party in self.rng.sample(honest, self.rng.randint(0, self.committee.t - len(self.evil))):
            start = self.rng.choice([0, self.rng.randint(0, 3_000)])
            end = self.rng.choice([NEVER, start + self.rng.randint(100, 20_000)])
            faults.append(Fault(party, start, end))
        return faults

    def _draw_without_ek(self) -> set[int]:
        away = [fault.party for fault in self.faults if fault.start_ms == 0]
        return {party for party in away if self.rng.random() < 0.3}

    def _draw_crashes(self) -> None:
        for node in self.nodes.values():
            count = 0 if node.index in self.evil else self.rng.choice([0, 0, 1, 2])
            node.crash_at_stores = frozenset(self.rng.randint(1, 3 * self.committee.n) for _ in range(count))
            node.crash_after = self.rng.random() < 0.5

    # -- events -----------------------------------------------------------------------------------------------

    def at(self, time_ms: int, action: Callable[[], None]) -> None:
        self.sequence += 1
        heapq.heappush(self.queue, (time_ms, self.sequence, action))

    def run(self) -> "World":
        for node in self.nodes.values():
            if not any(f.party == node.index and f.start_ms == 0 for f in self.faults):
                self.at(self.rng.randint(0, 100), lambda node=node: self.start(node))
        for fault in self.faults:
            self.at(fault.start_ms, lambda f=fault: self.stop(self.nodes[f.party]))
            if fault.end_ms != NEVER:
                self.at(fault.end_ms, lambda f=fault: self.start(self.nodes[f.party]))
        self.at(BLOCK_MS, self._block)
        while self.queue and not self._is_over():
            self.now, _, action = heapq.heappop(self.queue)
            if self.now > LIMIT_MS:
                break
            action()
        return self

    def _is_over(self) -> bool:
        """Everybody who will ever be there has settled, and the time for erasing is over too."""
        absent = {f.party for f in self.faults if f.end_ms == NEVER}
        there = [node for node in self.nodes.values() if node.index not in absent]
        if all(node.session is not None and node.session.closed for node in there):
            return True
        settled = [n for n in there if n.outcome is not None or n.ek is None or self._is_cheated(n)]
        if len(settled) == len(there) and self.chain.chunks and self.over_at == NEVER:
            self.over_at = self.now + SIM_TIMING.grace + 2_000
        return self.now > self.over_at

    def _is_cheated(self, node: Node) -> bool:
        liars = [i for i, strategy in self.evil.items() if strategy in CHEATING and i in self.chain.q]
        return node.index in {victim_of(self.params, i) for i in liars}

    def _block(self) -> None:
        reachable = len([n for n in self.nodes.values() if n.session is not None])
        if reachable >= self.committee.quorum:  # consensus needs n - t as well
            txs, self.mempool = self.mempool, []
            self.rng.shuffle(txs)
            self.chain.block(self.now, txs)
            view = self.chain.view()
            for node in self.nodes.values():
                delay = self.rng.randint(0, 60)
                self.at(self.now + delay, lambda node=node, view=view: self._show(node, view))
        self.at(self.now + BLOCK_MS, self._block)

    def _show(self, node: Node, view: object) -> None:
        if node.session is not None:
            self.carry_out(node, node.session.on_chain(view))  # type: ignore[arg-type]

    def start(self, node: Node) -> None:
        if node.session is None:
            node.life += 1
            node.session = Session(self.params, node.index, node.ek, node.seed, dict(node.disk), SIM_TIMING)
            strategy = self.evil.get(node.index)
            if strategy in STRATEGIES:
                node.session._state.adopt(evil_dealing(self.params, node.index, node.seed, strategy))
            # A restarted keeper draws a new seed; only the stored one may count.
            node.seed = self.rng.randbytes(32)
            self._show(node, self.chain.view())

    def stop(self, node: Node) -> None:
        node.session = None

    def _crash(self, node: Node) -> None:
        self.stop(node)
        self.at(self.now + self.rng.randint(10, 4_000), lambda: self.start(node))

    # -- effects ----------------------------------------------------------------------------------------------

    def carry_out(self, node: Node, effects: list[Effect]) -> None:
        for effect in effects:
            if not self._carry_out_one(node, effect):
                return

    def _carry_out_one(self, node: Node, effect: Effect) -> bool:
        """False if the node crashed here: later effects never happen."""
        match effect:
            case Store(name, payload, shelf):
                return self._store(node, name, payload, shelf)
            case Send(to, message):
                self.send(node.index, to, message)
            case SendAll(message):
                self._send_all(node, message)
            case Submit(message):
                self._submit(node, message)
            case SetTimer(name, delay_ms):
                life = node.life
                self.at(self.now + delay_ms, lambda: self._timer(node, life, name))
            case Erase(shelf):
                self._erase(node, shelf)
            case Blame():
                node.blamed.append(effect)
            case Done(outcome):
                node.outcome = outcome
        return True

    def _send_all(self, node: Node, message: Message) -> None:
        for other in self.nodes:
            if other != node.index:
                self.send(node.index, other, message)

    def _store(self, node: Node, name: str, payload: bytes, shelf: Shelf) -> bool:
        assert shelf not in node.erased, f"stored {name} on a shredded shelf, seed {self.seed}"
        node.stores += 1
        crash = node.stores in node.crash_at_stores
        if not crash or node.crash_after:
            node.disk[name], node.shelf_of[name] = payload, shelf
            node.written[name] = payload
        if crash:
            self._crash(node)
        return not crash

    def _erase(self, node: Node, shelf: Shelf) -> None:
        node.erased.append(shelf)
        for name in [name for name, where in node.shelf_of.items() if where is shelf]:
            del node.disk[name], node.shelf_of[name]

    def _submit(self, node: Node, message: ChainMessage) -> None:
        match message:
            case Deal():
                node.deals_sent.add(message.encode())
            case Ack(dealers=bits) if node.index not in self.evil:
                acked = [i for i in self.params.parties if bits >> (i - 1) & 1]
                stored = all(f"share/{i}" in node.disk and f"bundle/{i}" in node.disk for i in acked)
                assert stored, f"party {node.index} acked what is not on disk, seed {self.seed}"
            case Final() | Have():
                assert "shares" in node.disk, f"party {node.index} vouches without shares, seed {self.seed}"
        if self.rng.random() >= self.weather.loss / 2:
            self.mempool.append((node.index, message))

    def _timer(self, node: Node, life: int, name: str) -> None:
        if node.session is not None and node.life == life:
            self.carry_out(node, node.session.on_timer(name))

    def send(self, sender: int, to: int, message: Message) -> None:
        self.wire.append((self.now, sender, to, message, self.chain.height))
        tampered = self.tamper(sender, to, message)
        if tampered is not None and sender in self.evil:
            tampered = misbehave(self.params, self.evil[sender], sender, to, tampered)
        copies = 0 if self.rng.random() < self.weather.loss else 2 if self.rng.random() < self.weather.double else 1
        for _ in range(copies if tampered is not None else 0):
            delay = self.rng.randint(*self.weather.delay_ms)
            self.at(self.now + delay, lambda: self._deliver(sender, to, tampered))

    def _deliver(self, sender: int, to: int, message: Message | None) -> None:
        node = self.nodes[to]
        if node.session is not None and message is not None:
            self.carry_out(node, node.session.handle(sender, message))

    # -- what tests look at -----------------------------------------------------------------------------------

    def sent(self, kind: type[Bundle] | type[PointList]) -> list[tuple[int, int, int, Message, int]]:
        return [entry for entry in self.wire if isinstance(entry[3], kind)]
