"""Sessions with a dealer that lies, and the chain's answers to it, for tests of one machine at a time.

All five members have an encryption key here: k = 3 lists open a dealer's points, n-t = 4 hashes fix the challenge.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from authnet_core.protocol.dkg import fallback, strings
from authnet_core.protocol.dkg.check import Plain, split
from authnet_core.protocol.dkg.deal import Dealing
from authnet_core.protocol.dkg.effects import Effect, Store
from authnet_core.protocol.dkg.machine import Session
from authnet_core.protocol.dkg.messages import Ack, ChainMessage, Final, Opened, Parts
from authnet_core.protocol.views import ComplaintView, FallbackView, SessionView
from tests.sim.evil import evil_dealing
from tests.sim.model_chain import ModelChain
from tests.unit.dkg.setting import ek_secret, make_dealings, make_params, seed_of

PARAMS = make_params(absent=())
SID, PARTIES = PARAMS.sid, PARAMS.parties
HONEST = make_dealings(PARAMS)
LIAR, VICTIM = 1, 2
"""`tests.sim.evil` cheats the next party."""
CHEAT = {**HONEST, LIAR: evil_dealing(PARAMS, LIAR, seed_of(LIAR), "one bad share")}


def session(me: int, durable: dict[str, bytes] | None = None) -> Session:
    return Session(PARAMS, me, ek_secret(me), seed_of(me), durable or {})


def stored(effects: list[Effect]) -> dict[str, bytes]:
    return {e.name: e.payload for e in effects if isinstance(e, Store)}


def plain(dealings: Mapping[int, Dealing], dealer: int, receiver: int) -> Plain:
    return split(PARAMS, dealings[dealer].plaintexts[receiver - 1])


@dataclass
class Told:
    """A model chain of honest steps, with what this test's chain says of complaints and fallbacks beside it."""

    dealings: Mapping[int, Dealing]
    chain: ModelChain = field(default_factory=lambda: ModelChain(PARAMS))
    complaints: tuple[ComplaintView, ...] = ()
    fallbacks: dict[int, FallbackView] = field(default_factory=dict)
    root: bytes = bytes(32)
    now: int = 0
    passed: set[str] = field(default_factory=set)

    def to(self, phase: str) -> "Told":
        """Bring the chain to a phase; the block after the one that opened it is there. The victim may not ack all."""
        everybody = (1 << len(PARTIES)) - 1
        acked = {j: everybody & ~(1 << (LIAR - 1)) if j == VICTIM else everybody for j in PARTIES}
        steps: dict[str, list[tuple[int, ChainMessage]]] = {
            "deal": [(i, self.dealings[i].deal) for i in PARTIES],
            "certified": [(j, Ack(SID, bits)) for j, bits in acked.items()],
            "opened": [(j, Opened(SID, everybody)) for j in PARTIES],
            "final": [(j, Final(SID, self.root)) for j in PARTIES if j != VICTIM],
        }
        for name, txs in steps.items():
            if name not in self.passed:
                self.passed.add(name)
                self.chain.block(self._tick(), txs)
            if name == phase:
                break
        assert self.chain.phase == phase
        return self.next()

    def next(self, blocks: int = 1) -> "Told":
        for _ in range(blocks):
            self.chain.block(self._tick(), [])
        return self

    def _tick(self) -> int:
        self.now += 250
        return self.now

    def uphold(self, dealer: int, complainer: int, *, upheld: bool = True) -> "Told":
        """In the newest block."""
        judged = ComplaintView(dealer=dealer, complainer=complainer, upheld=upheld, height=self.chain.height)
        self.complaints = (*self.complaints, judged)
        return self

    @property
    def view(self) -> SessionView:
        return msgspec.structs.replace(self.chain.view(), complaints=self.complaints, fallbacks=self.fallbacks)


def live(me: int, told: Told, dealings: Mapping[int, Dealing], without_list: int = 0) -> tuple[Session, list[Effect]]:
    """A machine that was there all the time, and all it did. The chain is at the end of its deal phase."""
    machine = session(me)
    effects = machine.on_chain(ModelChain(PARAMS).view())
    effects += machine.on_chain(told.to("deal").view)
    for i in PARTIES:
        if i != me:
            effects += machine.handle(i, dealings[i].bundle)
            effects += [] if i == without_list else machine.handle(i, dealings[i].points)
    return machine, effects


# -- the fallback as the others play it ---------------------------------------------------------------------------


def part(dealings: Mapping[int, Dealing], dealer: int, holder: int) -> Parts:
    return fallback.make_parts(PARAMS, dealer, holder, plain(dealings, dealer, holder))


def shown_fallback(
    parts: Mapping[int, Parts], dealer: int, seed_height: int = 0, scalars: Mapping[int, bytes] | None = None
) -> FallbackView:
    """The chain's record: with a height, the challenge over these lists is fixed."""
    digests = {holder: fallback.hash_of(list_) for holder, list_ in sorted(parts.items())}
    seed = strings.fallback_seed(SID, dealer, list(digests.items())) if seed_height else b""
    return FallbackView(
        lists={holder: digest.hex() for holder, digest in digests.items()},
        seed=seed.hex(),
        seed_height=seed_height,
        scalars={holder: w.hex() for holder, w in (scalars or {}).items()},
    )


def answers(dealings: Mapping[int, Dealing], dealer: int, seed: str, holders: tuple[int, ...]) -> dict[int, bytes]:
    return {j: fallback.answer(PARAMS, plain(dealings, dealer, j), bytes.fromhex(seed)) for j in holders}
