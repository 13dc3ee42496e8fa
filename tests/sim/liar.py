"""A dishonest node: the real machine behind a filter that knows what its accomplices know.

A strategy (tests/sim/strategies.py) gives the filter its conduct; whatever it does not touch stays honest, so that
liars are as believable as they can be. Liars acknowledge each other's deals and do not complain about each other.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from random import Random
from typing import TYPE_CHECKING, TypeAlias

from authnet_core.protocol.dkg import fallback
from authnet_core.protocol.dkg.deal import Dealing
from authnet_core.protocol.dkg.effects import Effect, Send, SendAll, Submit
from authnet_core.protocol.dkg.messages import Ack, Bundle, Complain, Deal, Message, Parts
from authnet_core.protocol.dkg.params import SessionParams
from authnet_core.protocol.dkg.picture import bit, parse_deal
from authnet_core.protocol.views import SessionView

if TYPE_CHECKING:
    from tests.sim.world import World


@dataclass(frozen=True)
class SendRaw:
    """Bytes on a link that need not be a frame."""

    to: int
    raw: bytes


@dataclass(frozen=True)
class Later:
    """An act after a pause."""

    delay_ms: int
    act: "Act"


Act: TypeAlias = Effect | SendRaw | Later


@dataclass
class Conduct:
    """What a strategy changes: the deal, what goes out, and what is added whenever the chain is seen."""

    deal: Callable[[bytes], Dealing] | None = None
    out: Callable[[Act], Iterable[Act]] | None = None
    seen: Callable[[SessionView], Iterable[Act]] | None = None


@dataclass
class Liar:
    """What strategies may use. Nothing of the honest but what they sent."""

    world: "World"
    index: int
    rng: Random
    conducts: list[tuple[int, Conduct]] = field(default_factory=list)
    """(from when, what)."""
    heard: list[tuple[int, Message]] = field(default_factory=list)
    once: set[object] = field(default_factory=set)
    """What a strategy has done already."""
    deviated: set[str] = field(default_factory=set)
    """In what it ever did other than an honest node would: deal, out or seen, as in Conduct."""

    @property
    def params(self) -> SessionParams:
        return self.world.params

    @property
    def view(self) -> SessionView:
        return self.world.chain.view()

    @property
    def ek(self) -> bytes:
        return self.world.nodes[self.index].secret

    def others(self) -> list[int]:
        return [party for party in self.params.parties if party != self.index]

    def victims(self) -> list[int]:
        """Honest receivers after this node, at most t."""
        n = self.params.committee.n
        ring = [(self.index - 1 + step) % n + 1 for step in range(1, n)]
        honest = [party for party in ring if party not in self.world.liars and self.params.eks[party - 1]]
        return honest[: self.params.committee.t]

    def deal_of(self, dealer: int) -> Deal | None:
        found = self.view.deals.get(dealer)
        return parse_deal(self.params.sid, found) if found else None

    def bundle_of(self, dealer: int) -> Bundle | None:
        """A bundle that this node holds or was sent."""
        session = self.world.nodes[self.index].session
        held = session._state.held.bundles.get(dealer) if session else None
        sent = (m for _, m in self.heard if isinstance(m, Bundle) and m.dealer == dealer)
        return held or next(sent, None)

    def parts_of(self, dealer: int) -> Parts | None:
        """Its own true list for the fallback."""
        session = self.world.nodes[self.index].session
        plain = session._state.held.plains.get(dealer) if session else None
        return fallback.make_parts(self.params, dealer, self.index, plain) if plain else None

    def to_all(self, message: Message) -> list[Act]:
        return [Send(to, message) for to in self.others()]

    def honest_dealers(self) -> list[int]:
        """Whose DEAL is on chain."""
        return [i for i in sorted(self.world.chain.deals) if i not in self.world.liars]

    def first(self, what: object) -> bool:
        """True once for each thing."""
        fresh = what not in self.once
        self.once.add(what)
        return fresh

    def make_deal(self, seed: bytes) -> Dealing | None:
        makers = [conduct.deal for _, conduct in self.conducts if conduct.deal]
        self.deviated |= {"deal"} if makers else set()
        return makers[0](seed) if makers else None

    def filter(self, effects: Iterable[Effect]) -> list[Act]:
        """What goes out instead of an honest machine's effects."""
        acts: list[Act] = [act for effect in effects for act in self._loyal(effect)]
        loyal = acts
        for since, conduct in self.conducts:
            if conduct.out and self.world.now >= since:
                acts = [changed for act in acts for changed in conduct.out(act)]
        self.deviated |= {"out"} if acts != loyal else set()
        return acts

    def look(self, view: SessionView) -> list[Act]:
        """What strategies add at a new view of the chain."""
        active = [conduct for since, conduct in self.conducts if conduct.seen and self.world.now >= since]
        acts = [act for conduct in active if conduct.seen for act in conduct.seen(view)]
        self.deviated |= {"seen"} if acts else set()
        return acts

    def _loyal(self, effect: Effect) -> Iterable[Effect]:
        liars = self.world.liars
        match effect:
            case Submit(Complain(dealer=dealer)) if dealer in liars:
                return
            case Submit(Ack(sid, bits)):
                accomplices = [i for i in self.world.chain.deals if i in liars]
                yield Submit(Ack(sid, bits | sum(bit(i) for i in accomplices if not bits & bit(i))))
            case SendAll(message):
                yield from (Send(to, message) for to in self.others())
            case _:
                yield effect


def changed(message: Message, **fields: object) -> Message:
    """`dataclasses.replace` for any message."""
    return replace(message, **fields)  # type: ignore[arg-type]
