"""M, the new shares, the check of nonces: against the same things computed one by one."""

from itertools import combinations

import pytest

from authnet_core.crypto.secp256k1 import Q, mul_public, pub, sum_points
from authnet_core.crypto.shamir import interpolate_at_zero
from authnet_core.protocol.reshare import sums
from authnet_core.protocol.reshare.check import open_own
from authnet_core.protocol.reshare.choose import fits
from authnet_core.protocol.reshare.deal import gamma_weights, plaintexts_of
from tests.sim.reshare.dealers import spoil
from tests.unit.reshare.setting import CONSTANTS, DEALINGS, ESTATE, GAMMA, KEYS, PARAMS, TOTAL, make_setting

NONCES = ESTATE.nonces


def test_m_is_the_weighted_sum_of_the_keys_and_the_mask() -> None:
    weights = gamma_weights(PARAMS, GAMMA)
    parts = [mul_public(int.from_bytes(weights[:16], "big"), KEYS.pairs[:33])]
    parts.append(mul_public(int.from_bytes(weights[16:], "big"), KEYS.pairs[66:99]))
    assert sum_points([*parts, KEYS.mask]) == TOTAL


def test_every_k_honest_constants_give_m() -> None:
    for chosen in combinations(PARAMS.dealers, PARAMS.old.k):
        assert fits({j: CONSTANTS[j] for j in chosen}, TOTAL)


@pytest.mark.parametrize("q", [(1, 2, 3), (2, 4, 5)])
def test_any_k_new_shares_open_the_same_keys(q: tuple[int, ...]) -> None:
    shares = {}
    for m in PARAMS.receivers:
        plains = {j: plaintexts_of(PARAMS, DEALINGS[j].sharing)[m - 1] for j in q}
        shares[m] = sums.new_shares(PARAMS, plains)
    for at, secret in enumerate(ESTATE.secrets):
        for chosen in combinations(PARAMS.receivers, PARAMS.new.k):
            assert interpolate_at_zero({m: shares[m][at] for m in chosen}) == secret
        assert interpolate_at_zero({m: shares[m][at] for m in (1, 2)}) != secret


def test_sharings_of_two_q_do_not_mix() -> None:
    """Why Q' must be the same for all."""
    made = {}
    for m, q in ((1, (1, 2, 3)), (2, (1, 2, 3)), (3, (2, 4, 5))):
        plains = {j: plaintexts_of(PARAMS, DEALINGS[j].sharing)[m - 1] for j in q}
        made[m] = sums.new_shares(PARAMS, plains)[0]
    assert interpolate_at_zero(made) != ESTATE.secrets[0]


def test_recovery_gives_the_dealers_own_plaintext() -> None:
    plaintexts = plaintexts_of(PARAMS, DEALINGS[2].sharing)
    mine = open_own(PARAMS, 3, DEALINGS[2].deal, DEALINGS[2].bundle, ESTATE.eks[3])
    assert sums.interpolate_plaintext({m: plaintexts[m - 1] for m in (1, 2, 4)}, 3) == mine == plaintexts[2]


def test_nonces_are_checked_against_n() -> None:
    assert sums.refuse_nonces(PARAMS, KEYS, NONCES) is None
    assert [pub(NONCES[at : at + 32]) for at in (0, 32)] == [KEYS.pairs[33:66], KEYS.pairs[99:132]]
    assert sums.refuse_nonces(PARAMS, KEYS, NONCES[:32] + spoil(NONCES[32:], 1)) == "nonces that do not give N"
    assert sums.refuse_nonces(PARAMS, KEYS, NONCES[32:] + NONCES[:32]) == "nonces that do not give N"


def test_errors_of_nonces_do_not_cancel() -> None:
    """+1 on one and -1 on the other keep the plain sum."""
    assert sums.refuse_nonces(PARAMS, KEYS, spoil(NONCES[:32], 1) + spoil(NONCES[32:], -1))


def test_a_nonce_of_zero_says_nothing() -> None:
    assert sums.refuse_nonces(PARAMS, KEYS, bytes(32) + NONCES[32:]) is None
    assert sums.refuse_nonces(PARAMS, KEYS, bytes(64)) is None
    assert sums.present(bytes(32) + NONCES[32:]) == [1]


@pytest.mark.parametrize("nonces", [b"", NONCES[:32], NONCES + NONCES, NONCES[:32] + Q.to_bytes(32, "big")])
def test_nonces_of_another_shape_are_refused(nonces: bytes) -> None:
    assert sums.refuse_nonces(PARAMS, KEYS, nonces) == "nonces that are not one canonical scalar for each key"


def test_many_keys_take_the_bulk_path() -> None:
    """More keys than the naive sum serves: the same answers."""
    estate = make_setting(count=80)
    total = sums.key_total(estate.params, estate.keys, GAMMA)
    weights = gamma_weights(estate.params, GAMMA)
    secret = sum(int.from_bytes(weights[16 * at : 16 * at + 16], "big") * x for at, x in enumerate(estate.secrets))
    assert total == pub((secret + estate.mask_secret) % Q)
    assert sums.refuse_nonces(estate.params, estate.keys, estate.nonces) is None
    assert sums.refuse_nonces(estate.params, estate.keys, spoil(estate.nonces[:32], 1) + estate.nonces[32:])
