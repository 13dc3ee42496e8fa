"""A MODEL of the chain's rules for one session: ordering, phases and deadlines, in memory and virtual time.

Not the application: that lives in abci_app and is compared with this one block by block in test_model_is_the_app.py.
The rules are those of docs/protocol/dkg.md.
"""

from collections import Counter
from dataclasses import dataclass, field

from authnet_core.crypto import merkle
from authnet_core.protocol.dkg import check, complaint
from authnet_core.protocol.dkg.keys import leaves_of
from authnet_core.protocol.dkg.messages import (
    Ack,
    ChainMessage,
    Complain,
    Deal,
    FallbackList,
    FallbackScalar,
    Final,
    Have,
    Keys,
    Opened,
)
from authnet_core.protocol.dkg.params import SessionParams
from authnet_core.protocol.views import ComplaintView, DealView, SessionView
from tests.sim.model_fallback import T_OPEN_MS, ModelFallback

T_Q_MS, T_MAX_MS, MIN_BLOCKS, COMPLAINTS_A_BLOCK = 2_000, 60_000, 3, 2


@dataclass
class ModelChain:
    """One session's record. Blocks are made by the world; a refused transaction is counted and changes nothing."""

    params: SessionParams
    phase: str = "deal"
    height: int = 1
    h0: int = 1
    t0_ms: int = 0
    deals: dict[int, tuple[Deal, int]] = field(default_factory=dict)
    acks: dict[int, int] = field(default_factory=dict)
    opened: dict[int, int] = field(default_factory=dict)
    finals: dict[int, bytes] = field(default_factory=dict)
    chunks: dict[int, bytes] = field(default_factory=dict)
    holders: set[int] = field(default_factory=set)
    q: tuple[int, ...] = ()
    q_height: int = 0
    root: bytes = b""
    final_height: int = 0
    left_out: frozenset[int] = frozenset()
    complaints: dict[tuple[int, int], ComplaintView] = field(default_factory=dict)
    block_complaints: Counter[int] = field(default_factory=Counter)
    evidence: dict[tuple[int, int], Complain] = field(default_factory=dict)
    fallbacks: dict[int, ModelFallback] = field(default_factory=dict)
    t1_ms: int = 0
    """Time of the block after the one that fixed Q."""
    refused: Counter[str] = field(default_factory=Counter)

    def block(self, now_ms: int, txs: list[tuple[int, ChainMessage]]) -> None:
        self.height += 1
        self.block_complaints.clear()
        if self.t0_ms == 0:
            self.t0_ms = now_ms
        if self.q_height and self.t1_ms == 0:
            self.t1_ms = now_ms
        for sender, message in txs:
            if (message.sid != self.params.sid) or not self._apply(sender, message):
                self.refused[type(message).__name__] += 1
        self._advance(now_ms)

    def _apply(self, sender: int, message: ChainMessage) -> bool:
        match message:
            case Deal():
                return self._deal(sender, message)
            case Ack(dealers=bits):
                fine = (
                    self.phase == "deal" and bool(self.params.eks[sender - 1]) and not bits >> self.params.committee.n
                )
                fine = fine and all(i in self.deals for i in self.params.parties if bits >> (i - 1) & 1)
                return fine and self._gain(self.acks, sender, bits)
            case Opened(dealers=bits):
                fine = self.phase in ("certified", "opened") and not bits >> self.params.committee.n
                fine = fine and all(i in self.q for i in self.params.parties if bits >> (i - 1) & 1)
                return fine and self._gain(self.opened, sender, bits)
            case Complain():
                return self._complain(sender, message)
            case FallbackList():
                return self._falls_back(sender, message.dealer) and self.fallbacks[message.dealer].take_list(
                    sender, message
                )
            case FallbackScalar():
                return self._falls_back(sender, message.dealer) and self.fallbacks[message.dealer].take_scalar(
                    sender, message
                )
            case Final(root=root):
                return self._final(sender, root)
            case Have():
                return self._have(sender)
            case Keys():
                return self._keys(message)

    def _deal(self, sender: int, deal: Deal) -> bool:
        if self.phase != "deal" or sender in self.deals or sender in self.left_out:
            return False
        if any(d.e == deal.e for d, _ in self.deals.values()) or check.refuse_deal(self.params, sender, deal):
            return False
        self.deals[sender] = (deal, self.height)
        return True

    @staticmethod
    def _gain(bitmaps: dict[int, int], sender: int, bits: int) -> bool:
        before = bitmaps.get(sender, 0)
        bitmaps[sender] = before | bits
        return bitmaps[sender] != before

    def _complain(self, sender: int, message: Complain) -> bool:
        pair, deal = (message.dealer, sender), self.deals.get(message.dealer)
        everybody = len(self.holders) == self.params.committee.n
        if self.phase == "abandoned" or (self.phase == "final" and everybody) or pair in self.complaints:
            return False
        if deal is None or not self.params.eks[sender - 1] or message.dealer == sender:
            return False
        if sender in self.false_accusers or self.block_complaints[sender] >= COMPLAINTS_A_BLOCK:
            return False
        if self.phase == "final" and not self._is_recoverable(message.dealer):
            return False
        if complaint.malformed(self.params, message) or not complaint.is_about(deal[0], message):
            return False
        upheld = complaint.judge(self.params, deal[0], sender, message).convict_is_dealer
        verdict = ComplaintView(dealer=message.dealer, complainer=sender, upheld=upheld, height=self.height)
        self.complaints[pair], self.evidence[pair] = verdict, message
        self.block_complaints[sender] += 1
        return True

    def _is_recoverable(self, dealer: int) -> bool:
        return dealer not in self.q or len(self.convicted_of_q | {dealer}) <= self.params.committee.t

    @property
    def false_accusers(self) -> set[int]:
        return {c.complainer for c in self.complaints.values() if not c.upheld}

    @property
    def convicted(self) -> set[int]:
        """Dealers with an upheld complaint."""
        return {c.dealer for c in self.complaints.values() if c.upheld}

    @property
    def convicted_of_q(self) -> set[int]:
        return self.convicted & set(self.q)

    def _falls_back(self, sender: int, dealer: int) -> bool:
        if self.phase != "certified" or dealer not in self.fallbacks or not self.params.eks[sender - 1]:
            return False
        return self._count(self.opened, dealer) <= self.params.committee.t

    def _final(self, sender: int, root: bytes) -> bool:
        late = self.phase == "final" and root == self.root
        if sender in self.finals | dict.fromkeys(self.holders) or not (self.phase == "opened" or late):
            return False
        if not self.params.eks[sender - 1] or len(root) != 32:
            return False
        self.finals[sender] = root
        if late:
            self.holders.add(sender)
        return True

    def _have(self, sender: int) -> bool:
        if self.phase != "final" or sender in self.holders or not self.params.eks[sender - 1]:
            return False
        self.holders.add(sender)
        return True

    def _keys(self, message: Keys) -> bool:
        total = self.params.keys_of(self.q)
        leaves = leaves_of(message.keys)
        if self.phase != "final" or message.chunk in self.chunks:
            return False
        if not merkle.verify_chunk(self.root, leaves, message.chunk, total, message.path):
            return False
        self.chunks[message.chunk] = message.keys
        return True

    def _advance(self, now_ms: int) -> None:
        if self._is_hopeless():
            self.phase = "abandoned"
        match self.phase:
            case "deal":
                self._fix_q(now_ms)
            case "certified":
                self._open(now_ms)
            case "opened":
                self._finish()
        if self.phase not in ("final", "abandoned") and self._due(now_ms, T_MAX_MS):
            self.phase = "abandoned"

    def _is_hopeless(self) -> bool:
        """Convicts leave fewer than n-t dealers, or are more of Q than late recovery answers for."""
        if self.phase in ("final", "abandoned"):
            return False
        if self.phase == "deal":
            out = self.left_out | self.convicted
            return bool(self.convicted) and self.params.committee.n - len(out) < self.params.committee.quorum
        return len(self.convicted_of_q) > self.params.committee.t

    def _fix_q(self, now_ms: int) -> None:
        committee, out = self.params.committee, self.left_out | self.convicted
        acked = (i for i in sorted(self.deals) if self._count(self.acks, i) >= committee.quorum)
        certified = tuple(i for i in acked if i not in out)
        late = self._due(now_ms, T_Q_MS) and len(certified) >= committee.quorum
        if len(certified) == committee.n - len(out) >= committee.quorum or late:
            self.phase, self.q, self.q_height = "certified", certified, self.height

    def _open(self, now_ms: int) -> None:
        shut = [i for i in self.q if self._count(self.opened, i) <= self.params.committee.t]
        if not shut:
            self.phase = "opened"
            return
        for dealer, fallback in self.fallbacks.items():
            if dealer in shut:
                fallback.cut_off(self.params, dealer, self.height)
        late = self.t1_ms and now_ms >= self.t1_ms + T_OPEN_MS and self.height >= self.q_height + MIN_BLOCKS
        if late and not self.fallbacks:
            self.fallbacks = {dealer: ModelFallback() for dealer in shut}

    def _finish(self) -> None:
        for root, votes in Counter(self.finals.values()).items():
            if votes >= self.params.committee.quorum:
                self.phase, self.root, self.final_height = "final", root, self.height
                self.holders = {i for i, given in self.finals.items() if given == root}

    def _due(self, now_ms: int, delay_ms: int) -> bool:
        return self.t0_ms > 0 and now_ms >= self.t0_ms + delay_ms and self.height >= self.h0 + MIN_BLOCKS

    @staticmethod
    def _count(bitmaps: dict[int, int], party: int) -> int:
        return sum(bits >> (party - 1) & 1 for bits in bitmaps.values())

    def view(self) -> SessionView:
        deals = {
            i: DealView(
                e=d.e.hex(),
                pok=d.pok.hex(),
                root=d.root.hex(),
                list_hash=d.list_hash.hex(),
                nonce_hash=d.nonce_hash.hex(),
                u=tuple(c.hex() for c in d.u),
                height=height,
            )
            for i, (d, height) in self.deals.items()
        }
        return SessionView(
            sid=self.params.sid.hex(),
            epoch=self.params.epoch,
            curve=self.params.curve,
            counter=self.params.counter,
            rows=self.params.rows,
            phase=self.phase,
            h0=self.h0,
            t0_ms=self.t0_ms,
            eks=tuple(ek.hex() for ek in self.params.eks),
            deals=deals,
            acks=dict(self.acks),
            q=self.q,
            q_height=self.q_height,
            opened=dict(self.opened),
            finals={i: root.hex() for i, root in self.finals.items()},
            root=self.root.hex(),
            final_height=self.final_height,
            count=self.params.keys_of(self.q) if self.q else 0,
            chunks=tuple(sorted(self.chunks)),
            holders=tuple(sorted(self.holders)),
            left_out=tuple(sorted(self.left_out)),
            complaints=tuple(self.complaints.values()),
            fallbacks={i: fallback.view() for i, fallback in sorted(self.fallbacks.items())},
            height=self.height,
        )
