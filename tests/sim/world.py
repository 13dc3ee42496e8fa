"""One whole session from one plan: n machines, a model chain, virtual time, a bad network, bad luck and liars.

Every message goes through the keepers' frame encoding. Every run with the same plan is the same run.
"""

import heapq
from collections.abc import Callable, Iterable
from random import Random

from authnet_core.crypto.secp256k1 import pub
from authnet_core.errors import DecodeError
from authnet_core.protocol.dkg.effects import Blame, Done, Effect, Erase, Send, SendAll, SetTimer, Store, Submit
from authnet_core.protocol.dkg.machine import Session
from authnet_core.protocol.dkg.messages import ChainMessage, Message
from authnet_core.protocol.dkg.params import SessionParams
from authnet_core.protocol.dkg.state import Timing
from authnet_core.protocol.dkg.strings import committee_hash
from authnet_core.protocol.views import SessionView
from p2p_dkg.network import frames
from tests.sim.liar import Act, Later, Liar, SendRaw
from tests.sim.model_chain import ModelChain
from tests.sim.node import Node, Sent
from tests.sim.plan import NEVER, Plan, Slow
from tests.sim.strategies import STRATEGIES

BLOCK_MS = 250
LIMIT_MS = 90_000
SIM_TIMING = Timing(grace=5_000)
Event = tuple[int, int, Callable[[], None]]


class World:
    """Runs one plan; `tests/sim/invariants.py` judges it."""

    def __init__(self, plan: Plan, params: SessionParams | None = None, eks: dict[int, bytes] | None = None) -> None:
        """`params` and encryption secrets come from elsewhere when a real chain has started the session."""
        self.plan, self.seed, self.committee = plan, plan.seed, plan.committee
        self.now, self.over_at, self.sequence = 0, NEVER, 0
        self.fate = Random(f"fate {plan.seed}")
        draws = Random(f"secrets {plan.seed}")
        secrets = eks or {j: draws.randbytes(32) for j in range(1, plan.n + 1)}
        self.params = params or self._make_params(secrets, draws)
        self.nodes = {
            j: Node(j, draws.randbytes(32), secrets[j], secrets[j] if self.params.eks[j - 1] else None)
            for j in self.params.parties
        }
        self.liars = {party: Liar(self, party, Random(f"liar {party} {plan.seed}")) for party in plan.liars}
        for lie in plan.lies:
            liar = self.liars[lie.party]
            liar.conducts.append((lie.since_ms, STRATEGIES[lie.strategy](liar)))
        self.slow = {slow.party: slow for slow in plan.slow}
        self.chain = ModelChain(self.params, left_out=frozenset(plan.left_out))
        self.mempool: list[tuple[int, ChainMessage]] = []
        self.said: list[ChainMessage] = []
        """Whatever was submitted."""
        self.queue: list[Event] = []
        self.wire: list[Sent] = []
        """What the honest sent."""
        self.submitted: list[tuple[int, int, ChainMessage]] = []
        """(chain height, who, what) of the honest."""
        self.blocks: list[tuple[int, list[tuple[int, ChainMessage]]]] = []
        self.notes: list[tuple[int, str]] | None = None
        """A trace, if somebody wants one."""

    def _make_params(self, secrets: dict[int, bytes], draws: Random) -> SessionParams:
        plan = self.plan
        eks = tuple(b"" if j in plan.without_ek else pub(secret) for j, secret in secrets.items())
        identities = [pub(draws.randbytes(32)) for _ in range(plan.n)]
        members = committee_hash(plan.committee, identities)
        return SessionParams("sim-1", 1, plan.seed % 1000, plan.committee, members, plan.rows, eks)

    def note(self, text: str) -> None:
        if self.notes is not None:
            self.notes.append((self.now, text))

    @property
    def honest(self) -> list[Node]:
        return [node for node in self.nodes.values() if node.index not in self.liars]

    # -- events -----------------------------------------------------------------------------------------------

    def at(self, time_ms: int, action: Callable[[], None]) -> None:
        self.sequence += 1
        heapq.heappush(self.queue, (time_ms, self.sequence, action))

    def run(self) -> "World":
        away = {absence.party for absence in self.plan.absences if absence.start_ms == 0}
        for node in self.nodes.values():
            if node.index not in away:
                self.at(self.fate.randint(0, 100), lambda node=node: self.start(node))  # type: ignore[misc]
        for absence in self.plan.absences:
            node = self.nodes[absence.party]
            self.at(absence.start_ms, lambda node=node: self.stop(node))  # type: ignore[misc]
            if absence.end_ms != NEVER:
                self.at(absence.end_ms, lambda node=node: self.start(node))  # type: ignore[misc]
        self.at(BLOCK_MS, self._block)
        while self.queue and not self._is_over():
            self.now, _, action = heapq.heappop(self.queue)
            if self.now > LIMIT_MS:
                break
            action()
        return self

    def _is_over(self) -> bool:
        """All honest ones who will ever be there have settled, and the time for erasing is over too."""
        there = [node for node in self.honest if node.index not in self.plan.gone]
        if all(node.session is not None and node.session.closed for node in there):
            return True
        settled = all(node.outcome is not None or not self.params.eks[node.index - 1] for node in there)
        if settled and self.chain.chunks and self.over_at == NEVER:
            self.over_at = self.now + SIM_TIMING.grace + 2_000
        return self.now > self.over_at

    def _block(self) -> None:
        reachable = len([n for n in self.nodes.values() if n.session is not None])
        if reachable >= self.committee.quorum:  # consensus needs n - t as well
            txs, self.mempool = self.mempool, []
            self.fate.shuffle(txs)
            self.blocks.append((self.now, txs))
            phase = self.chain.phase
            self.chain.block(self.now, txs)
            view = self.chain.view()
            if view.phase != phase:
                self.note(f"block {view.height}: {view.phase}, Q = {view.q}")
            for node in self.nodes.values():
                delay = self.fate.randint(0, 60)
                self.at(self.now + delay, lambda node=node, view=view: self._show(node, view))  # type: ignore[misc]
        self.at(self.now + BLOCK_MS, self._block)

    def _show(self, node: Node, view: SessionView) -> None:
        if node.session is None:
            return
        self.carry_out(node, node.session.on_chain(view))
        if liar := self.liars.get(node.index):
            self._act_all(node, liar.look(view))

    def start(self, node: Node) -> None:
        if node.session is None:
            node.life += 1
            node.session = Session(self.params, node.index, node.ek, node.seed, dict(node.disk), SIM_TIMING)
            liar = self.liars.get(node.index)
            if liar and node.life == 1 and (dealing := liar.make_deal(node.seed)):
                node.session._state.adopt(dealing)
            # A restarted keeper draws a new seed; only the stored one may count.
            node.seed = self.fate.randbytes(32)
            self.note(f"{node.index} starts, life {node.life}")
            self._show(node, self.chain.view())

    def stop(self, node: Node) -> None:
        node.session = None

    def _crash(self, node: Node) -> None:
        self.note(f"{node.index} crashes at store {node.stores}")
        self.stop(node)
        self.at(self.now + self.fate.randint(10, 4_000), lambda: self.start(node))

    # -- effects ----------------------------------------------------------------------------------------------

    def carry_out(self, node: Node, effects: list[Effect]) -> None:
        liar = self.liars.get(node.index)
        self._act_all(node, liar.filter(effects) if liar else effects)

    def _act_all(self, node: Node, acts: Iterable[Act]) -> None:
        for act in acts:
            if not self._act(node, act):
                return

    def _act(self, node: Node, act: Act) -> bool:
        """False if the node crashed here: later effects never happen."""
        match act:
            case Store():
                return self._store(node, act)
            case Send(to, message):
                self.send(node.index, to, message)
            case SendAll(message):
                for other in (other for other in self.nodes if other != node.index):
                    self.send(node.index, other, message)
            case Submit(message):
                self._submit(node, message)
            case SendRaw(to, raw):
                self._transmit(node.index, to, raw)
            case Later(delay_ms, later):
                self.at(self.now + delay_ms, lambda: self._act_all(node, [later]))
            case SetTimer(name, delay_ms):
                life = node.life
                self.at(self.now + delay_ms, lambda: self._timer(node, life, name))
            case Erase() | Blame() | Done():
                self._take_note(node, act)
        return True

    def _take_note(self, node: Node, act: Erase | Blame | Done) -> None:
        match act:
            case Erase(shelf):
                node.shred(shelf)
            case Blame(party, reason):
                self.note(f"{node.index} blames {party}: {reason}")
                node.blamed.append(act)
            case Done(outcome):
                self.note(f"{node.index}: {outcome}")
                node.outcome = outcome

    def _store(self, node: Node, store: Store) -> bool:
        assert store.shelf not in node.erased, f"stored {store.name} on a shredded shelf, seed {self.seed}"
        node.stores += 1
        crashes = {(crash.store, crash.after) for crash in self.plan.crashes if crash.party == node.index}
        if (node.stores, False) not in crashes:
            node.keep(store)
        if {(node.stores, False), (node.stores, True)} & crashes:
            self._crash(node)
            return False
        return True

    def _submit(self, node: Node, message: ChainMessage) -> None:
        self.said.append(message)
        if node.index not in self.liars:
            self.submitted.append((self.chain.height, node.index, message))
            node.check_stored_before(message, self)
            # A liar's transactions may come at once; the honest one's luck is the weather's.
            if self.fate.random() < self.plan.weather.loss / 2:
                return
        self.note(f"{node.index} submits {type(message).__name__} {brief(message)}")
        delay = self._slowness(node.index).tx_ms
        self.at(self.now + delay, lambda: self.mempool.append((node.index, message)))

    def _slowness(self, party: int) -> Slow:
        return self.slow.get(party) or Slow(party, 0, 0)

    def _timer(self, node: Node, life: int, name: str) -> None:
        if node.session is not None and node.life == life:
            self.carry_out(node, node.session.on_timer(name))

    # -- the network ------------------------------------------------------------------------------------------

    def send(self, sender: int, to: int, message: Message) -> None:
        if sender not in self.liars:
            self.wire.append(Sent(self.now, sender, to, message, self.chain.height))
        self._transmit(sender, to, frames.encode(message))

    def _transmit(self, sender: int, to: int, raw: bytes) -> None:
        weather, fate = self.plan.weather, self.fate
        copies = 0 if fate.random() < weather.loss else 2 if fate.random() < weather.double else 1
        for _ in range(copies):
            delay = fate.randint(*weather.delay_ms) + fate.randint(0, self._slowness(to).message_ms)
            self.at(self.now + delay, lambda: self._deliver(sender, to, raw))

    def _deliver(self, sender: int, to: int, raw: bytes) -> None:
        node = self.nodes[to]
        if node.session is None:
            return
        try:
            message = frames.decode(raw)
        except DecodeError:
            node.undecodable += 1
            return
        assert len(raw) <= frames.MAX_FRAME, f"a frame of {len(raw)} bytes was taken, seed {self.seed}"
        assert not isinstance(message, frames.Hello | frames.Ping | frames.ReceiptAsk | frames.ReceiptAnswer)
        if liar := self.liars.get(to):
            liar.heard.append((sender, message))
        self.carry_out(node, node.session.handle(sender, message))


def brief(message: ChainMessage) -> str:
    """What a trace shows of a transaction."""
    dealer, bits = getattr(message, "dealer", None), getattr(message, "dealers", None)
    return f"about {dealer}" if dealer is not None else f"{bits:b}" if bits is not None else ""
