"""Views of one resharing at each phase, machines in it, and picking effects apart."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from authnet_core.protocol.reshare import strings
from authnet_core.protocol.reshare.effects import ReshareEffect, SendAllNew, SendNew, SendOld, Store, Submit
from authnet_core.protocol.reshare.machine import Resharing
from authnet_core.protocol.reshare.messages import Nonces, ReshareDeal, WantNonces
from authnet_core.protocol.reshare.params import Sender
from authnet_core.protocol.views import ComplaintView, ReshareView
from tests.sim.reshare.estate import Estate
from tests.sim.reshare.modelled_chain import ModelledChain
from tests.unit.reshare.setting import DEALINGS, ESTATE, GAMMA, PARAMS, TESTS, TOTAL, filled, seed_of

Q3 = (1, 2, 3)
READY = strings.ready_hash(PARAMS.rid, PARAMS.root, Q3, TOTAL, {j: TESTS[j].u for j in Q3})
ORDER = ("deal", "test", "ack", "ready", "final", "failed")
M = TypeVar("M")


def view(phase: str, height: int, **changes: Any) -> ReshareView:
    """The chain's record in this phase, as if everybody had done its part of the phases before."""
    chain, at = ModelledChain(PARAMS), ORDER.index(phase)
    chain.phase, chain.height = phase, height
    if at >= 1:
        chain.deals = {j: made.deal for j, made in DEALINGS.items()}
        chain.deal_heights = dict.fromkeys(chain.deals, 1)
        chain.dealers, chain.gamma_seed = tuple(chain.deals), GAMMA
    if at >= 2:
        chain.tests = dict(TESTS)
    if at in (3, 4):
        chain.acks, chain.q = dict.fromkeys((1, 2, 3, 4), 0b11111), Q3
    if phase == "final":
        chain.hash, chain.holders = READY, {1, 2, 3, 4}
        chain.readies = dict.fromkeys(chain.holders, READY)
    for name, value in changes.items():
        assert hasattr(chain, name), name
        setattr(chain, name, value)
    chain.deal_heights = {j: chain.deal_heights.get(j, 1) for j in chain.deals}
    return chain.view()


def upheld(dealer: int, complainer: int, height: int = 4) -> list[ComplaintView]:
    return [ComplaintView(dealer=dealer, complainer=complainer, upheld=True, height=height)]


def old_machine(
    j: int = 2, durable: Mapping[str, bytes] | None = None, seed: bytes | None = None, estate: Estate = ESTATE
) -> Resharing:
    rows, mask = estate.rows[j], estate.masks[j]
    keys, params = estate.keys, estate.params
    return Resharing(params, keys, j, None, None, rows, mask, seed or seed_of(j), durable or {})


def new_machine(m: int = 3, durable: Mapping[str, bytes] | None = None, estate: Estate = ESTATE) -> Resharing:
    return Resharing(estate.params, estate.keys, None, m, estate.eks.get(m), None, None, filled(9), durable or {})


def both_machine(i: int = 3, durable: Mapping[str, bytes] | None = None) -> Resharing:
    rows, mask = ESTATE.rows[i], ESTATE.masks[i]
    return Resharing(PARAMS, ESTATE.keys, i, i, ESTATE.eks[i], rows, mask, seed_of(i), durable or {})


def kept(effects: Iterable[ReshareEffect]) -> dict[str, bytes]:
    return {effect.name: effect.payload for effect in effects if isinstance(effect, Store)}


def submitted(effects: Iterable[ReshareEffect]) -> list[Any]:
    return [effect.message for effect in effects if isinstance(effect, Submit)]


def sent(effects: Iterable[ReshareEffect], kind: type[M]) -> list[tuple[Any, M]]:
    """(receiver or None for all, message) of this kind."""
    found = []
    for effect in effects:
        if isinstance(effect, SendOld | SendNew | SendAllNew) and isinstance(effect.message, kind):
            found.append((getattr(effect, "to", None), effect.message))
    return found


def names(effects: Iterable[ReshareEffect]) -> list[str]:
    return [type(effect).__name__ for effect in effects]


def feed(machine: Resharing, *dealers: int) -> dict[str, bytes]:
    """The bundles of these dealers, from themselves."""
    stored: dict[str, bytes] = {}
    for j in dealers or tuple(DEALINGS):
        stored |= kept(machine.handle(Sender(old=j), DEALINGS[j].bundle))
    return stored


def give_nonces(machine: Resharing, nonces: bytes = ESTATE.nonces) -> list[ReshareEffect]:
    """To whoever was asked first."""
    asked = next(peer for peer, want in machine._state.fetcher.asked if want == WantNonces(PARAMS.rid))
    sender = Sender(old=asked.index) if asked.is_old else Sender(new=asked.index)
    return machine.handle(sender, Nonces(PARAMS.rid, nonces))


def read_gamma(deals: dict[int, ReshareDeal]) -> bytes:
    """The challenge that these deals give."""
    return strings.gamma_seed(PARAMS.rid, PARAMS.root, {j: deal.root for j, deal in deals.items()})
