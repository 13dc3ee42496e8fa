"""What an honest dealer makes passes; each way to be wrong is found by the test of a receiver."""

from dataclasses import replace

import pytest

from authnet_core.crypto.secp256k1 import Q
from authnet_core.crypto.shamir import evaluate
from authnet_core.protocol.reshare import check
from authnet_core.protocol.reshare.check import open_own
from authnet_core.protocol.reshare.deal import answer, make_dealing, plaintexts_of, shares_of
from authnet_core.protocol.reshare.messages import ReshareTest
from tests.sim.reshare.dealers import CONVICTED, evil_dealing
from tests.unit.reshare.setting import (
    ABSENT,
    DEALINGS,
    ESTATE,
    GAMMA,
    PARAMS,
    TESTS,
    filled,
    make_setting,
    seed_of,
)

GOOD = DEALINGS[2]


def test_a_deal_made_again_is_the_same_to_the_byte() -> None:
    again = make_dealing(PARAMS, 2, seed_of(2), shares_of(ESTATE.rows[2]), ESTATE.masks[2])
    assert (again.deal, again.bundle) == (GOOD.deal, GOOD.bundle)


@pytest.mark.parametrize("change", [{"attempt": 1}, {"counter": 1}, {"mask_index": 9}])
def test_another_rid_gives_unrelated_secrets(change: dict[str, int]) -> None:
    other = make_dealing(replace(PARAMS, **change), 2, seed_of(2), shares_of(ESTATE.rows[2]), ESTATE.masks[2])
    assert other.deal.e != GOOD.deal.e
    assert not set(other.sharing.columns[1:]) & set(GOOD.sharing.columns[1:])


def test_the_constants_are_the_dealers_shares() -> None:
    columns = GOOD.sharing.columns
    assert columns[0] == shares_of(ESTATE.rows[2]) + ESTATE.masks[2]
    assert len(columns) == PARAMS.new.k
    plaintexts = plaintexts_of(PARAMS, GOOD.sharing)
    first = [int.from_bytes(column[:32], "big") for column in columns]
    assert [int.from_bytes(p[:32], "big") for p in plaintexts] == [evaluate(first, m) for m in PARAMS.receivers]


@pytest.mark.parametrize("shares", [b"", bytes(32), Q.to_bytes(32, "big") * 2, bytes(96)])
def test_shares_of_another_shape_are_not_dealt(shares: bytes) -> None:
    with pytest.raises(ValueError, match="canonical share"):
        make_dealing(PARAMS, 2, seed_of(2), shares, ESTATE.masks[2])


@pytest.mark.parametrize("dealer", list(PARAMS.dealers))
def test_an_honest_dealer_passes(dealer: int) -> None:
    made = DEALINGS[dealer]
    assert check.refuse_deal(PARAMS, dealer, made.deal) is None
    assert check.refuse_bundle(PARAMS, made.deal, made.bundle) is None
    assert check.refuse_own(PARAMS, made, GAMMA, TESTS[dealer]) is None
    for m, ek in ESTATE.eks.items():
        plaintext = open_own(PARAMS, m, made.deal, made.bundle, ek)
        assert check.refuse_plaintext(PARAMS, m, GAMMA, TESTS[dealer], plaintext) is None
    assert made.bundle.ciphertexts[ABSENT - 1] == b""


def test_a_deal_is_refused() -> None:
    deal = GOOD.deal
    assert check.refuse_deal(PARAMS, 3, deal) == "no proof of knowledge for E"
    assert check.refuse_deal(PARAMS, 6, deal) == "deal of another resharing"
    assert check.refuse_deal(PARAMS, 2, replace(deal, rid=filled(1))) == "deal of another resharing"
    assert check.refuse_deal(PARAMS, 2, replace(deal, root=b"")) == "deal with a field of wrong length"
    assert check.refuse_deal(PARAMS, 2, replace(deal, e=DEALINGS[1].deal.e)) == "no proof of knowledge for E"
    assert check.refuse_deal(PARAMS, 2, replace(deal, e=bytes(33))) == "no proof of knowledge for E"


def test_a_test_is_refused() -> None:
    u = TESTS[2].u
    wrong = "test polynomial that is not k' canonical scalars"
    for bad in (u[:-1], (*u, u[0]), (u[0][1:], *u[1:]), (Q.to_bytes(32, "big"), *u[1:])):
        assert check.refuse_test(PARAMS, ReshareTest(PARAMS.rid, bad, bytes(32))) == wrong
    assert (
        check.refuse_test(PARAMS, replace(TESTS[2], rid=filled(1)))
        == "test of another resharing, or under no challenge"
    )
    assert check.refuse_test(PARAMS, replace(TESTS[2], gamma_seed=b"")) is not None


def test_a_bundle_is_refused() -> None:
    bundle = GOOD.bundle
    other = DEALINGS[1].bundle
    moved = (bundle.ciphertexts[1], bundle.ciphertexts[0], *bundle.ciphertexts[2:])
    cases = {
        "bundle of another resharing": replace(bundle, dealer=6),
        "bundle with a wrong number of leaves": replace(bundle, leaves=bundle.leaves[1:]),
        "bundle with a ciphertext of wrong length": replace(bundle, ciphertexts=(b"", *bundle.ciphertexts[1:])),
        "ciphertext does not fit its leaf": replace(bundle, ciphertexts=moved),
        "bundle does not fit the root on chain": replace(other, dealer=2),
    }
    for reason, bad in cases.items():
        assert check.refuse_bundle(PARAMS, GOOD.deal, bad) == reason


@pytest.mark.parametrize("strategy", [s for s in CONVICTED if "test" not in s])
def test_a_wrong_sharing_fails_at_a_receiver(strategy: str) -> None:
    made = evil_dealing(ESTATE, 2, seed_of(2), strategy, victim=3)
    test = answer(PARAMS, made.sharing, GAMMA)
    failing = [
        m
        for m, ek in ESTATE.eks.items()
        if check.refuse_plaintext(PARAMS, m, GAMMA, test, open_own(PARAMS, m, made.deal, made.bundle, ek))
    ]
    assert failing == (sorted(ESTATE.eks) if strategy == "wrong degree" else [3])
    assert check.refuse_own(PARAMS, made, GAMMA, test)


def test_another_challenge_or_answer_fails() -> None:
    plaintext = open_own(PARAMS, 3, GOOD.deal, GOOD.bundle, ESTATE.eks[3])
    assert check.refuse_plaintext(PARAMS, 3, filled(9), TESTS[2], plaintext) == "shares that fail the test"
    assert check.refuse_plaintext(PARAMS, 3, GAMMA, TESTS[1], plaintext) == "shares that fail the test"
    assert check.refuse_plaintext(PARAMS, 4, GAMMA, TESTS[2], plaintext) == "shares that fail the test"
    assert check.refuse_plaintext(PARAMS, 3, GAMMA, TESTS[2], plaintext[1:]) == "plaintext of wrong length"


def test_two_spellings_of_one_share_are_not_the_same() -> None:
    """q is zero to the test, and would be another number to whoever stores it."""
    zeros = ReshareTest(PARAMS.rid, (bytes(32),) * PARAMS.new.k, bytes(32))
    assert check.refuse_plaintext(PARAMS, 3, GAMMA, zeros, bytes(96)) is None
    spelled = Q.to_bytes(32, "big") + bytes(64)
    assert check.refuse_plaintext(PARAMS, 3, GAMMA, zeros, spelled) == "share that is not canonical"


def test_the_mask_is_in_the_test() -> None:
    """Without it the test polynomial would give away a combination of shares."""
    plaintext = open_own(PARAMS, 3, GOOD.deal, GOOD.bundle, ESTATE.eks[3])
    spoilt = plaintext[:-1] + bytes([plaintext[-1] ^ 1])
    assert check.refuse_plaintext(PARAMS, 3, GAMMA, TESTS[2], spoilt) == "shares that fail the test"


def test_parameters_are_refused() -> None:
    for change in ({"curve": "ed25519"}, {"count": 0}, {"count": 1 << 17}, {"eks": PARAMS.eks[1:]}, {"mask_index": -1}):
        with pytest.raises(ValueError, match=r"curve|keys|encryption key"):
            replace(PARAMS, **change)
    with pytest.raises(ValueError, match="encryption key"):
        replace(PARAMS, eks=(bytes(33), *PARAMS.eks[1:]))


def test_keys_must_hang_below_the_batch_root() -> None:
    keys = ESTATE.keys
    assert keys.refuse(PARAMS) is None
    assert keys.refuse(replace(PARAMS, root=filled(1))) == "keys that do not give the batch's root"
    assert make_setting(seed=2).keys.refuse(PARAMS) == "keys that do not give the batch's root"
    assert replace(keys, mask=bytes(33)).refuse(PARAMS)
    assert replace(keys, pairs=keys.pairs[:66]).refuse(PARAMS)
