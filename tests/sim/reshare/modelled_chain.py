"""A modelled chain for one resharing: the rules of docs/protocol/resharing.md without envelopes or consensus.

It is a model: the application has its own code for the same rules (abci_app/reshare_*.py).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from authnet_core.protocol.dkg.picture import bit
from authnet_core.protocol.reshare import check, choose, complaint, strings
from authnet_core.protocol.reshare.messages import (
    ReshareAck,
    ReshareChainMessage,
    ReshareComplain,
    ReshareDeal,
    ReshareHave,
    ReshareReady,
    ReshareTest,
)
from authnet_core.protocol.reshare.params import ReshareParams, Sender
from authnet_core.protocol.views import ComplaintView, ReshareDealView, ReshareView

T_DEAL, T_TEST, T_ACK, T_READY = 2_000, 2_000, 5_000, 10_000


@dataclass
class ModelledChain:
    """Old members send RDEAL and RTEST, new ones the rest; every transaction is in its block or refused."""

    params: ReshareParams
    phase: str = "deal"
    height: int = 0
    began_ms: int | None = None
    """Time of the block that opened the phase."""
    deals: dict[int, ReshareDeal] = field(default_factory=dict)
    deal_heights: dict[int, int] = field(default_factory=dict)
    dealers: tuple[int, ...] = ()
    gamma_seed: bytes = b""
    tests: dict[int, ReshareTest] = field(default_factory=dict)
    acks: dict[int, int] = field(default_factory=dict)
    sums: dict[int, bytes] = field(default_factory=dict)
    complaints: list[ComplaintView] = field(default_factory=list)
    candidates: tuple[int, ...] = ()
    q: tuple[int, ...] = ()
    total: bytes = b""
    readies: dict[int, bytes] = field(default_factory=dict)
    hash: bytes = b""
    holders: set[int] = field(default_factory=set)
    blamed_old: set[int] = field(default_factory=set)
    """Convicted by a complaint, or off a W that k + t agree on."""
    blamed_new: set[int] = field(default_factory=set)
    """False complainers."""

    def block(self, now: int, txs: Iterable[tuple[Sender, ReshareChainMessage]]) -> None:
        self.height += 1
        self.began_ms = now if self.began_ms is None else self.began_ms
        for sender, message in txs:
            if message.rid == self.params.rid and self.phase != "failed":
                self._apply(sender, message)
        self._end_block(now)

    def _apply(self, sender: Sender, message: ReshareChainMessage) -> None:
        if isinstance(message, ReshareDeal | ReshareTest):
            if sender.old is not None:
                self._apply_old(sender.old, message)
        elif sender.new is not None:
            self._apply_new(sender.new, message)

    def _apply_old(self, j: int, message: ReshareDeal | ReshareTest) -> None:
        if isinstance(message, ReshareDeal):
            known = {deal.e for deal in self.deals.values()}
            bad = self.phase != "deal" or j in self.deals or message.e in known
            if not bad and check.refuse_deal(self.params, j, message) is None:
                self.deals[j], self.deal_heights[j] = message, self.height
            return
        may_answer = self.phase == "test" and j in self.dealers and j not in self.tests
        if isinstance(message, ReshareTest) and may_answer and check.refuse_test(self.params, message) is None:
            self.tests[j] = message

    def _apply_new(self, m: int, message: ReshareChainMessage) -> None:
        match message:
            case ReshareAck(dealers=bits, sum=total) if self.phase == "ack" and bits >> self.params.old.n == 0:
                self.acks[m] = self.acks.get(m, 0) | bits
                self.sums.setdefault(m, total)
            case ReshareComplain() if self.phase in ("ack", "ready", "final"):
                self._complain(m, message)
            case ReshareReady(hash=digest) if self.phase in ("ready", "final") and m not in self.readies:
                self.readies[m] = digest
                if self.phase == "final" and digest == self.hash:
                    self.holders.add(m)
            case ReshareHave() if self.phase == "final":
                self.holders.add(m)

    def _complain(self, m: int, message: ReshareComplain) -> None:
        test = self.tests.get(message.dealer)
        if test is None or any((c.dealer, c.complainer) == (message.dealer, m) for c in self.complaints):
            return
        deal = self.deals[message.dealer]
        if complaint.malformed(self.params, message) or not self.params.eks[m - 1]:
            return
        if not complaint.is_about(deal, self.gamma_seed, test, message):
            return
        if self.phase != "ack" and (
            message.dealer not in self.q or len((self.upheld & set(self.q)) - {message.dealer}) >= self.params.old.t
        ):
            return
        judgement = complaint.judge(self.params, deal, self.gamma_seed, test, m, message)
        upheld = judgement.convict_is_dealer
        (self.blamed_old if upheld else self.blamed_new).add(message.dealer if upheld else m)
        view = ComplaintView(dealer=message.dealer, complainer=m, upheld=upheld, height=self.height)
        self.complaints.append(view)

    @property
    def upheld(self) -> set[int]:
        return {c.dealer for c in self.complaints if c.upheld}

    def _end_block(self, now: int) -> None:
        waited = now - (self.began_ms or 0)
        before = self.phase
        match self.phase:
            case "deal":
                self._fix_dealers(waited)
            case "test":
                self._cut_off(waited)
            case "ack":
                self._choose(waited)
            case "ready":
                self._finish(waited)
        if self.phase != before:
            self.began_ms = now

    def _fix_dealers(self, waited: int) -> None:
        old, dealt = self.params.old, len(self.deals)
        enough = (
            dealt == old.n or (waited >= T_DEAL and dealt >= old.quorum) or (waited >= 2 * T_DEAL and dealt >= old.k)
        )
        if enough:
            self.phase, self.dealers = "test", tuple(sorted(self.deals))
            roots = {j: self.deals[j].root for j in self.dealers}
            self.gamma_seed = strings.gamma_seed(self.params.rid, self.params.root, roots)
        elif waited >= 4 * T_DEAL:
            self.phase = "failed"

    def _cut_off(self, waited: int) -> None:
        if len(self.tests) == len(self.dealers) or waited >= T_TEST:
            self.phase = "ack" if len(self.tests) >= self.params.old.k else "failed"

    def _choose(self, waited: int) -> None:
        new, good = self.params.new, set(self.tests) - self.upheld
        full = sum(bit(j) for j in good)
        complete = [m for m, bits in self.acks.items() if bits & full == full]
        if len(complete) < new.n and (waited < T_ACK or len(self.acks) < new.quorum) and waited < 2 * T_ACK:
            return
        counts = {j: sum(bits >> (j - 1) & 1 for bits in self.acks.values()) for j in good}
        self.candidates = tuple(j for j in sorted(good) if counts[j] >= new.quorum)
        said = list(self.sums.values())
        self.total = next((total for total in sorted(set(said)) if said.count(total) >= new.quorum), b"")
        values = {j: int.from_bytes(test.u[0], "big") for j, test in self.tests.items()}
        self.q = choose.choose_q(self.params.rid, self.candidates, values, self.total, self.params.old.k)
        self.blamed_old |= set(choose.liars(values, self.params.old.k, self.params.old.t))
        self.phase = "ready" if self.q else "failed"

    def _finish(self, waited: int) -> None:
        said = list(self.readies.values())
        for digest in sorted(set(said)):
            if said.count(digest) >= self.params.new.quorum:
                self.phase, self.hash = "final", digest
                self.holders = {m for m, signed in self.readies.items() if signed == digest}
                return
        if waited >= 3 * T_READY:
            self.phase = "failed"

    def view(self) -> ReshareView:
        params = self.params
        return ReshareView(
            rid=params.rid.hex(),
            from_epoch=params.from_epoch,
            to_epoch=params.to_epoch,
            curve=params.curve,
            first_index=params.first_index,
            count=params.count,
            root=params.root.hex(),
            source="",
            mask_index=params.mask_index,
            mask_source="",
            attempt=params.attempt,
            counter=params.counter,
            eks=tuple(ek.hex() for ek in params.eks),
            phase=self.phase,
            h0=0,
            t0_ms=0,
            deals={j: self._deal_view(j) for j in self.deals},
            dealers=self.dealers,
            gamma_seed=self.gamma_seed.hex(),
            tests={j: tuple(c.hex() for c in test.u) for j, test in self.tests.items()},
            acks=dict(self.acks),
            sums={m: total.hex() for m, total in self.sums.items()},
            complaints=tuple(self.complaints),
            candidates=self.candidates,
            q=self.q,
            readies={m: digest.hex() for m, digest in self.readies.items()},
            hash=self.hash.hex(),
            holders=tuple(sorted(self.holders)),
            height=self.height,
        )

    def _deal_view(self, j: int) -> ReshareDealView:
        deal = self.deals[j]
        height = self.deal_heights[j]
        return ReshareDealView(e=deal.e.hex(), pok=deal.pok.hex(), root=deal.root.hex(), height=height)
