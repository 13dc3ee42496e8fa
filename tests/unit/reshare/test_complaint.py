"""Who a complaint convicts: the cheating dealer, or whoever complains about a right dealing."""

from dataclasses import replace

import pytest

from authnet_core.crypto.secp256k1 import pub
from authnet_core.protocol.reshare.complaint import is_about, judge, make_complaint, malformed, verify_shared
from authnet_core.protocol.reshare.deal import answer
from authnet_core.protocol.reshare.messages import ReshareComplain
from tests.sim.reshare.dealers import CONVICTED, evil_dealing
from tests.unit.reshare.setting import ABSENT, DEALINGS, ESTATE, GAMMA, PARAMS, TESTS, filled, seed_of

DEALER, ME = 2, 3
GOOD = DEALINGS[DEALER]
FALSE = make_complaint(PARAMS, ME, GOOD.deal, GAMMA, TESTS[DEALER], GOOD.bundle, ESTATE.eks[ME])


@pytest.mark.parametrize("strategy", [s for s in CONVICTED if "test" not in s])
def test_a_cheating_dealer_is_convicted(strategy: str) -> None:
    made = evil_dealing(ESTATE, DEALER, seed_of(DEALER), strategy, victim=ME)
    test = answer(PARAMS, made.sharing, GAMMA)
    complain = make_complaint(PARAMS, ME, made.deal, GAMMA, test, made.bundle, ESTATE.eks[ME])
    assert malformed(PARAMS, complain) is None
    assert is_about(made.deal, GAMMA, test, complain)
    assert judge(PARAMS, made.deal, GAMMA, test, ME, complain).convict_is_dealer


def test_a_wrong_answer_convicts_a_dealer_with_a_right_sharing() -> None:
    test = TESTS[1]
    complain = make_complaint(PARAMS, ME, GOOD.deal, GAMMA, test, GOOD.bundle, ESTATE.eks[ME])
    assert judge(PARAMS, GOOD.deal, GAMMA, test, ME, complain).convict_is_dealer


@pytest.mark.parametrize("receiver", sorted(ESTATE.eks))
def test_who_complains_about_a_right_dealing_is_convicted(receiver: int) -> None:
    made = make_complaint(PARAMS, receiver, GOOD.deal, GAMMA, TESTS[DEALER], GOOD.bundle, ESTATE.eks[receiver])
    judgement = judge(PARAMS, GOOD.deal, GAMMA, TESTS[DEALER], receiver, made)
    assert not judgement.convict_is_dealer
    assert judgement.reason == "complaint about a share that passes the test"


LIES: dict[str, ReshareComplain] = {
    "another ciphertext": replace(FALSE, ciphertext=bytes(len(FALSE.ciphertext))),
    "another receiver's ciphertext": replace(FALSE, ciphertext=GOOD.bundle.ciphertexts[0]),
    "other leaves": replace(FALSE, leaves=tuple(reversed(FALSE.leaves))),
    "another dealer's leaves": replace(FALSE, leaves=DEALINGS[1].bundle.leaves),
    "another D": replace(FALSE, shared=pub(5)),
    "D that is no point": replace(FALSE, shared=bytes(33)),
    "no proof": replace(FALSE, dleq=bytes(64)),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_about_a_right_dealing_convicts_its_sender(lie: str) -> None:
    assert not judge(PARAMS, GOOD.deal, GAMMA, TESTS[DEALER], ME, LIES[lie]).convict_is_dealer


def test_a_member_without_a_key_or_outside_can_not_complain() -> None:
    for party in (ABSENT, 0, 6):
        assert not judge(PARAMS, GOOD.deal, GAMMA, TESTS[1], party, FALSE).convict_is_dealer


def test_a_complaint_names_deal_challenge_and_answer() -> None:
    assert is_about(GOOD.deal, GAMMA, TESTS[DEALER], FALSE)
    assert not is_about(DEALINGS[1].deal, GAMMA, TESTS[DEALER], FALSE)
    assert not is_about(GOOD.deal, filled(1), TESTS[DEALER], FALSE)
    assert not is_about(GOOD.deal, GAMMA, TESTS[1], FALSE)


@pytest.mark.parametrize(
    "change",
    [
        {"rid": filled(1)},
        {"dealer": 6},
        {"shared": b""},
        {"dleq": b""},
        {"leaves": FALSE.leaves[1:]},
        {"ciphertext": b""},
        {"deal_hash": b""},
    ],
)
def test_malformed_ones_convict_nobody(change: dict[str, object]) -> None:
    assert malformed(PARAMS, replace(FALSE, **change))


def test_d_is_proven_for_one_resharing_dealer_and_receiver() -> None:
    e = GOOD.deal.e
    assert verify_shared(PARAMS, DEALER, ME, e, FALSE.shared, FALSE.dleq)
    assert not verify_shared(replace(PARAMS, attempt=1), DEALER, ME, e, FALSE.shared, FALSE.dleq)
    assert not verify_shared(PARAMS, 1, ME, e, FALSE.shared, FALSE.dleq)
    assert not verify_shared(PARAMS, DEALER, 1, e, FALSE.shared, FALSE.dleq)
    assert not verify_shared(PARAMS, DEALER, ABSENT, e, FALSE.shared, FALSE.dleq)


def test_a_foreign_key_makes_no_complaint() -> None:
    with pytest.raises(ValueError, match="not the encryption key"):
        make_complaint(PARAMS, ME, GOOD.deal, GAMMA, TESTS[DEALER], GOOD.bundle, filled(3))
