"""A small resharing 5 -> 5 from fixed numbers, for unit tests and vectors. New member 5 has no encryption key."""

from dataclasses import replace
from random import Random

from authnet_core.protocol.committee import Committee
from authnet_core.protocol.reshare import strings
from authnet_core.protocol.reshare.deal import Dealing, answer, make_dealing, shares_of
from authnet_core.protocol.reshare.messages import ReshareTest
from authnet_core.protocol.reshare.sums import key_total
from tests.sim.reshare.estate import Estate, make_estate

FIVE = Committee.of(5)
ABSENT = 5


def filled(byte: int) -> bytes:
    return bytes([byte]) * 32


def seed_of(dealer: int) -> bytes:
    return filled(0x40 + dealer)


def make_setting(count: int = 2, upgraded: tuple[int, ...] = (), seed: int = 1) -> Estate:
    estate = make_estate(Random(seed), FIVE, FIVE, count, upgraded, (ABSENT,))
    return replace(estate, params=replace(estate.params, chain_id="vectors-1"))


ESTATE = make_setting()
PARAMS, KEYS = ESTATE.params, ESTATE.keys


def make_dealings(estate: Estate = ESTATE) -> dict[int, Dealing]:
    params = estate.params
    return {j: make_dealing(params, j, seed_of(j), shares_of(estate.rows[j]), estate.masks[j]) for j in params.dealers}


DEALINGS = make_dealings()
GAMMA = strings.gamma_seed(PARAMS.rid, PARAMS.root, {j: made.deal.root for j, made in DEALINGS.items()})
TESTS: dict[int, ReshareTest] = {j: answer(PARAMS, made.sharing, GAMMA) for j, made in DEALINGS.items()}
CONSTANTS = {j: int.from_bytes(test.u[0], "big") for j, test in TESTS.items()}
_TOTAL = key_total(PARAMS, KEYS, GAMMA)
assert _TOTAL is not None
TOTAL: bytes = _TOTAL
