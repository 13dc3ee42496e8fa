"""New members that lie: what they make of the effects of an honest machine."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from random import Random

from authnet_core.crypto.secp256k1 import pub
from authnet_core.protocol.dkg.picture import bit
from authnet_core.protocol.reshare.complaint import make_complaint
from authnet_core.protocol.reshare.effects import ReshareEffect, SendNew, SendOld, Submit
from authnet_core.protocol.reshare.messages import (
    ReshareAck,
    ReshareBundle,
    ReshareComplain,
    ReshareDeal,
    ReshareHave,
    ReshareReady,
    ReshareRecovery,
    ReshareTest,
    WantNonces,
    WantReshareRecovery,
)
from authnet_core.protocol.views import ReshareView
from tests.sim.reshare.estate import Estate

NEW_STRATEGIES = (
    "absent",
    "forged M",
    "acks all",
    "acks nobody",
    "false complaint",
    "complaint with altered D",
    "complaint with altered ciphertext",
    "wrong READY",
    "lies of READY",
    "junk recovery",
    "begs",
)
FORGED = pub(7)
CHAIN = (ReshareAck, ReshareComplain, ReshareReady, ReshareHave)


@dataclass
class LyingReceiver:
    """Plays new member m, on top of an honest machine whose effects it twists."""

    estate: Estate
    m: int
    strategy: str
    rng: Random
    bundles: dict[int, ReshareBundle] = field(default_factory=dict)
    complained: set[int] = field(default_factory=set)

    def twist(self, effects: list[ReshareEffect]) -> list[ReshareEffect]:
        return [twisted for effect in effects for twisted in self._one(effect)]

    def _one(self, effect: ReshareEffect) -> Iterator[ReshareEffect]:
        is_ours = isinstance(effect, Submit) and isinstance(effect.message, CHAIN)
        match effect:
            case Submit(ReshareAck() as ack) if self.strategy in ("forged M", "acks all", "acks nobody"):
                everybody = sum(bit(j) for j in self.estate.params.dealers)
                if self.strategy == "forged M":
                    yield Submit(replace(ack, sum=FORGED))
                elif self.strategy == "acks all":
                    yield Submit(replace(ack, dealers=everybody))
                else:
                    yield Submit(replace(ack, dealers=0))
            case Submit(ReshareReady() as ready) if self.strategy == "wrong READY":
                yield Submit(replace(ready, hash=bytes(31) + b"\1"))
            case SendNew(to, ReshareRecovery() as recovery) if self.strategy == "junk recovery":
                yield SendNew(to, replace(recovery, shared=FORGED))
            case _ if self.strategy == "absent" and (is_ours or isinstance(effect, SendNew | SendOld)):
                return
            case _:
                yield effect

    def on_chain(self, view: ReshareView) -> list[ReshareEffect]:
        rid = bytes.fromhex(view.rid)
        if self.strategy == "lies of READY" and view.phase == "ready":
            return [Submit(ReshareReady(rid, bytes(32)))]
        if self.strategy == "begs" and view.q:
            asks = [WantReshareRecovery(rid, j) for j in view.q]
            places = self.estate.params.receivers
            dealers: list[ReshareEffect] = [SendOld(j, WantNonces(rid)) for j in self.estate.params.dealers]
            return dealers + [SendNew(m, ask) for ask in asks for m in places if m != self.m]
        if "complaint" in self.strategy and view.phase in ("ack", "ready"):
            return [Submit(made) for j in sorted(view.tests) for made in self._complain(view, j)]
        return []

    def _complain(self, view: ReshareView, j: int) -> Iterator[ReshareComplain]:
        if j in self.complained or j not in self.bundles or self.m not in self.estate.eks:
            return
        self.complained.add(j)
        rid, seen = bytes.fromhex(view.rid), view.deals[j]
        deal = ReshareDeal(rid, bytes.fromhex(seen.e), bytes.fromhex(seen.pok), bytes.fromhex(seen.root))
        gamma, ek = bytes.fromhex(view.gamma_seed), self.estate.eks[self.m]
        test = ReshareTest(rid, tuple(bytes.fromhex(c) for c in view.tests[j]), gamma)
        made = make_complaint(self.estate.params, self.m, deal, gamma, test, self.bundles[j], ek)
        match self.strategy:
            case "complaint with altered D":
                yield replace(made, shared=FORGED)
            case "complaint with altered ciphertext":
                yield replace(made, ciphertext=bytes(len(made.ciphertext)))
            case _:
                yield made
