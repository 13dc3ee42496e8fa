"""Old members that lie: a scripted dealer in place of the machine's old half."""

from dataclasses import dataclass, field, replace
from random import Random

from authnet_core.crypto.secp256k1 import Q
from authnet_core.protocol.reshare.deal import (
    Dealing,
    answer,
    assemble,
    derive_sharing,
    nonces_of,
    plaintexts_of,
    shares_of,
)
from authnet_core.protocol.reshare.effects import ReshareEffect, SendNew, Submit
from authnet_core.protocol.reshare.messages import (
    Nonces,
    ReshareMessage,
    ReshareTest,
    WantNonces,
    WantReshareBundle,
)
from authnet_core.protocol.reshare.params import ReshareParams, Sender
from authnet_core.protocol.views import ReshareView
from tests.sim.reshare.estate import Estate, wide

CONVICTED = ("bad share", "not canonical", "garbage", "wrong degree", "random test", "test off by one")
"""Lies that a receiver proves with a complaint."""
OFF_THE_LINE = ("wrong constant", "wrong mask")
"""Lies that only the sum of all shows."""
UNPROVABLE = (
    "absent",
    "no test",
    "late test",
    "withholds",
    "two deals",
    "copied E",
    "wrong nonces",
    "partly zero nonces",
    "no nonces",
)
OLD_STRATEGIES = CONVICTED + OFF_THE_LINE + UNPROVABLE
NEEDS_MORE_THAN_ONE_VICTIM = ("wrong degree", "random test", "test off by one")


def spoil(row: bytes, by: int) -> bytes:
    return wide((int.from_bytes(row, "big") + by) % Q)


def evil_dealing(estate: Estate, j: int, seed: bytes, strategy: str, victim: int) -> Dealing:
    """A dealing that is wrong in the one way that the strategy names; else the right one."""
    own = shares_of(estate.rows[j]), estate.masks[j]
    return bent_dealing(estate.params, j, seed, own, (strategy, victim))


def bent_dealing(params: ReshareParams, j: int, seed: bytes, own: tuple[bytes, bytes], lie: tuple[str, int]) -> Dealing:
    """The same from own shares of the batch and of the mask; `lie` is (strategy, victim among the receivers)."""
    (shares, mask), (strategy, victim) = own, lie
    if strategy == "wrong constant":
        shares = shares[:-32] + spoil(shares[-32:], 1)
    if strategy == "wrong mask":
        mask = spoil(mask, 1)
    sharing = derive_sharing(params, j, seed, shares, mask)
    plaintexts = plaintexts_of(params, sharing)
    mine = plaintexts[victim - 1]
    match strategy:
        case "bad share":
            plaintexts[victim - 1] = spoil(mine[:32], 1) + mine[32:]
        case "not canonical":
            plaintexts[victim - 1] = Q.to_bytes(32, "big") + mine[32:]
        case "garbage":
            plaintexts[victim - 1] = bytes(len(mine) - 1) + b"\x07"
        case "wrong degree":
            plaintexts = [spoil(p[:32], 5 * m**params.new.k) + p[32:] for m, p in enumerate(plaintexts, 1)]
    return assemble(params, j, sharing, plaintexts)


@dataclass
class LyingDealer:
    """Plays old member j. `others` sees what others put on chain, through the view."""

    estate: Estate
    j: int
    strategy: str
    rng: Random
    dealing: Dealing = field(init=False)
    second: Dealing = field(init=False)
    sent: bool = False
    test: ReshareTest | None = None

    def __post_init__(self) -> None:
        victims = [m for m in self.estate.params.receivers if m in self.estate.eks]
        self.victim = self.rng.choice(victims)
        self.dealing = self._make()
        self.second = self._make()

    def _make(self) -> Dealing:
        return evil_dealing(self.estate, self.j, self.rng.randbytes(32), self.strategy, self.victim)

    def on_chain(self, view: ReshareView) -> list[ReshareEffect]:
        if self.strategy == "absent":
            return []
        effects: list[ReshareEffect] = []
        if view.phase == "deal" and self.j not in view.deals:
            effects += self._deal(view)
        if not self.sent:
            self.sent = True
            effects += self._bundles()
        if self.test is None and self.j in view.dealers and view.gamma_seed:
            self.test = self._answer(bytes.fromhex(view.gamma_seed))
        wanted = "ack" if self.strategy == "late test" else "test"
        if self.test is not None and view.phase == wanted and self.j not in view.tests and self.strategy != "no test":
            effects.append(Submit(self.test))
        return effects

    def _deal(self, view: ReshareView) -> list[ReshareEffect]:
        deals = [self.dealing.deal]
        if self.strategy == "two deals":
            deals.append(self.second.deal)
        if self.strategy == "copied E":
            theirs = [deal for i, deal in view.deals.items() if i != self.j]
            if theirs:
                e, pok = bytes.fromhex(theirs[0].e), bytes.fromhex(theirs[0].pok)
                deals = [replace(self.dealing.deal, e=e, pok=pok)]
        return [Submit(deal) for deal in deals]

    def _bundles(self) -> list[ReshareEffect]:
        receivers = list(self.estate.params.receivers)
        if self.strategy == "withholds":
            receivers = receivers[: self.estate.params.new.k]
        told = dict.fromkeys(receivers, self.dealing.bundle)
        if self.strategy == "two deals":
            told |= dict.fromkeys(receivers[::2], self.second.bundle)
        return [SendNew(m, bundle) for m, bundle in told.items()]

    def _answer(self, gamma_seed: bytes) -> ReshareTest:
        test = answer(self.estate.params, self.dealing.sharing, gamma_seed)
        match self.strategy:
            case "random test":
                return replace(test, u=tuple(wide(self.rng.randrange(Q)) for _ in test.u))
            case "test off by one":
                return replace(test, u=(spoil(test.u[0], 1), *test.u[1:]))
        return test

    def handle(self, sender: Sender, message: ReshareMessage) -> list[ReshareEffect]:
        if sender.new is None or self.strategy == "absent":
            return []
        match message:
            case WantReshareBundle(dealer=self.j) if self.strategy not in ("withholds", "two deals"):
                return [SendNew(sender.new, self.dealing.bundle)]
            case WantNonces() if self.strategy != "no nonces":
                return [SendNew(sender.new, Nonces(message.rid, self._nonces()))]
        return []

    def _nonces(self) -> bytes:
        nonces = nonces_of(self.estate.rows[self.j])
        match self.strategy:
            case "wrong nonces":
                return nonces[:-32] + spoil(nonces[-32:], 1)
            case "partly zero nonces":
                return nonces[:-32] + bytes(32)
        return nonces
