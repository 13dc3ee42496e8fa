"""What a node refuses of a dealer: each attack of docs/protocol/dkg.md that shows in a DEAL, a bundle or a list."""

from dataclasses import replace
from itertools import combinations

import pytest

from authnet_core.crypto.points import parse_points64
from authnet_core.crypto.secp256k1 import Q, pub
from authnet_core.protocol.dkg import check, opening, strings
from authnet_core.protocol.dkg.deal import Dealing, make_dealing
from authnet_core.protocol.dkg.messages import Bundle, Deal, PointList
from authnet_core.protocol.dkg.params import SessionParams, alpha
from tests.sim.evil import STRATEGIES, evil_dealing, victim_of
from tests.unit.dkg.setting import ABSENT, ek_secret, make_dealings, make_params, seed_of

PARAMS = make_params(rows=3)
GOOD = make_dealings(PARAMS)
DEALING = GOOD[2]


def judge(params: SessionParams, dealing: Dealing, receiver: int) -> str | None:
    """All that a receiver checks, in order."""
    dealer = dealing.bundle.dealer
    if reason := check.refuse_deal(params, dealer, dealing.deal) or check.refuse_bundle(
        params, dealing.deal, dealing.bundle
    ):
        return reason
    plaintext = check.open_own(params, receiver, dealing.deal, dealing.bundle, ek_secret(receiver))
    return check.refuse_plaintext(params, dealer, receiver, dealing.deal, plaintext)


@pytest.mark.parametrize("dealer", PARAMS.parties)
def test_good_dealings_pass_everywhere(dealer: int) -> None:
    dealing = GOOD[dealer]
    assert check.refuse_own_dealing(PARAMS, dealer, dealing) is None
    assert all(judge(PARAMS, dealing, j) is None for j in PARAMS.parties if j != ABSENT)
    assert opening.refuse_list(PARAMS, dealing.deal, dealing.points) is None
    points = opening.parse_list(dealing.points)
    assert points is not None
    assert opening.refuse_points(PARAMS, dealing.deal, dealing.points, points) is None


def test_dealings_are_deterministic_and_bound_to_seed_sid_and_index() -> None:
    assert make_dealing(PARAMS, 2, seed_of(2)) == DEALING
    others = [
        make_dealing(PARAMS, 2, seed_of(3)),
        make_dealing(PARAMS, 3, seed_of(2)),
        make_dealing(make_params(rows=3, counter=4), 2, seed_of(2)),
    ]
    for other, field in ((o, f) for o in others for f in ("e", "root", "list_hash", "nonce_hash", "u")):
        assert getattr(other.deal, field) != getattr(DEALING.deal, field)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_lying_dealer_is_caught_by_whom_it_cheats(strategy: str) -> None:
    dealing = evil_dealing(PARAMS, 2, seed_of(2), strategy)
    assert check.refuse_bundle(PARAMS, dealing.deal, dealing.bundle) is None, "the lie is inside what the root binds"
    victims = {j for j in PARAMS.parties if j != ABSENT and judge(PARAMS, dealing, j)}
    assert check.refuse_own_dealing(PARAMS, 2, dealing) is not None or strategy == "wrong list"
    if strategy in ("wrong degree", "garbage"):
        assert victims == {1, 2, 3, 4}
    elif strategy == "wrong list":
        points = opening.parse_list(dealing.points)
        assert points is not None
        assert victims == set()
        assert opening.refuse_list(PARAMS, dealing.deal, dealing.points) is None
        assert "low-degree" in (opening.refuse_points(PARAMS, dealing.deal, dealing.points, points) or "")
    else:
        assert victims == {victim_of(PARAMS, 2)}


def changed(deal: Deal) -> dict[str, Deal]:
    return {
        "other session": replace(deal, sid=bytes(32)),
        "short E": replace(deal, e=deal.e[:32]),
        "E off the curve": replace(deal, e=b"\x02" + (5).to_bytes(32, "big")),
        "other E": replace(deal, e=pub(5)),
        "short root": replace(deal, root=b""),
        "short h": replace(deal, list_hash=deal.list_hash[1:]),
        "long c": replace(deal, nonce_hash=deal.nonce_hash + b"\x00"),
        "u too short": replace(deal, u=deal.u[:-1]),
        "u too long": replace(deal, u=(*deal.u, bytes(32))),
        "u not canonical": replace(deal, u=(Q.to_bytes(32, "big"), *deal.u[1:])),
        "short scalar": replace(deal, u=(deal.u[0][1:], *deal.u[1:])),
        "bad proof": replace(deal, pok=deal.pok[:64] + bytes([deal.pok[64] ^ 1])),
        "no proof": replace(deal, pok=b""),
    }


@pytest.mark.parametrize("name", changed(DEALING.deal))
def test_malformed_deals_are_refused(name: str) -> None:
    assert check.refuse_deal(PARAMS, 2, changed(DEALING.deal)[name]) is not None


def test_a_deal_under_another_index_session_or_epoch_is_refused() -> None:
    assert check.refuse_deal(PARAMS, 3, DEALING.deal) is not None
    assert check.refuse_deal(PARAMS, 0, DEALING.deal) is not None
    assert check.refuse_deal(PARAMS, 6, DEALING.deal) is not None
    for other in (make_params(rows=3, counter=4), replace(PARAMS, epoch=2), replace(PARAMS, chain_id="other-1")):
        assert check.refuse_deal(other, 2, DEALING.deal) is not None
        assert check.refuse_deal(other, 2, replace(DEALING.deal, sid=other.sid)) is not None


def test_a_copied_e_is_the_later_ones_fault() -> None:
    copy = replace(GOOD[1].deal, e=DEALING.deal.e)
    assert check.copied_keys({1: copy, 2: DEALING.deal}, {1: 8, 2: 7}) == {1}
    assert check.copied_keys({1: GOOD[1].deal, 2: DEALING.deal}, {1: 8, 2: 7}) == set()
    assert check.refuse_deal(PARAMS, 1, copy) is not None, "and its proof is not the copier's"


def bad_bundles(bundle: Bundle) -> dict[str, Bundle]:
    flipped = bytes([bundle.ciphertexts[1][0] ^ 1]) + bundle.ciphertexts[1][1:]
    cts = bundle.ciphertexts
    return {
        "other session": replace(bundle, sid=bytes(32)),
        "dealer 0": replace(bundle, dealer=0),
        "dealer 6": replace(bundle, dealer=6),
        "other dealer": replace(bundle, dealer=3),
        "a leaf less": replace(bundle, leaves=bundle.leaves[:-1]),
        "short leaf": replace(bundle, leaves=(b"", *bundle.leaves[1:])),
        "a ciphertext less": replace(bundle, ciphertexts=cts[:-1]),
        "short ciphertext": replace(bundle, ciphertexts=(cts[0][1:], *cts[1:])),
        "long ciphertext": replace(bundle, ciphertexts=(cts[0] + b"\x00", *cts[1:])),
        "ciphertext for the absent": replace(bundle, ciphertexts=(*cts[:4], cts[0])),
        "flipped": replace(bundle, ciphertexts=(cts[0], flipped, *cts[2:])),
        "swapped": replace(bundle, ciphertexts=(cts[1], cts[0], *cts[2:])),
        "other leaves": replace(bundle, leaves=tuple(reversed(bundle.leaves))),
        "another dealer's": replace(GOOD[3].bundle, dealer=2),
    }


@pytest.mark.parametrize("name", bad_bundles(DEALING.bundle))
def test_malformed_bundles_are_refused(name: str) -> None:
    assert check.refuse_bundle(PARAMS, DEALING.deal, bad_bundles(DEALING.bundle)[name]) is not None


def test_a_ciphertext_is_of_no_use_to_another_receiver_dealer_or_session() -> None:
    for params, receiver, dealing in (
        (PARAMS, 1, replace(DEALING, bundle=replace(DEALING.bundle, dealer=3))),
        (replace(PARAMS, counter=9), 1, DEALING),
    ):
        plaintext = check.open_own(params, receiver, dealing.deal, dealing.bundle, ek_secret(receiver))
        assert plaintext != DEALING.plaintexts[receiver - 1]
    swapped = replace(DEALING.bundle, ciphertexts=(DEALING.bundle.ciphertexts[1], *DEALING.bundle.ciphertexts[1:]))
    assert check.open_own(PARAMS, 1, DEALING.deal, swapped, ek_secret(1)) != DEALING.plaintexts[1]


def test_plaintexts_of_wrong_length_are_refused() -> None:
    plaintext = DEALING.plaintexts[0]
    for bad in (b"", plaintext[:-1], plaintext + b"\x00"):
        assert check.refuse_plaintext(PARAMS, 2, 1, DEALING.deal, bad) is not None
    assert check.refuse_plaintext(PARAMS, 2, 3, DEALING.deal, plaintext) is not None


def bad_lists(opened: PointList) -> dict[str, PointList]:
    return {
        "other session": replace(opened, sid=bytes(32)),
        "dealer 0": replace(opened, dealer=0),
        "short": replace(opened, points64=opened.points64[:-64]),
        "long": replace(opened, points64=opened.points64 + opened.points64[:64]),
        "odd": replace(opened, points64=opened.points64[:-1]),
        "other salt": replace(opened, salt=bytes(32)),
        "short salt": replace(opened, salt=b""),
        "swapped points": replace(opened, points64=opened.points64[64:] + opened.points64[:64]),
        "another dealer's": replace(GOOD[3].points, dealer=2),
    }


@pytest.mark.parametrize("name", bad_lists(DEALING.points))
def test_lists_that_do_not_fit_their_hash_are_refused(name: str) -> None:
    assert opening.refuse_list(PARAMS, DEALING.deal, bad_lists(DEALING.points)[name]) is not None


def test_a_y_spoilt_by_a_relay_is_seen() -> None:
    block = bytearray(DEALING.points.points64)
    block[40] ^= 4
    spoilt = replace(DEALING.points, points64=bytes(block))
    assert opening.refuse_list(PARAMS, DEALING.deal, spoilt) is None, "the hash covers x and a parity only"
    assert opening.parse_list(spoilt) is None


def test_any_changed_row_fails_the_list_test() -> None:
    block, g7 = DEALING.points.points64, opening.parse_points64
    for row in range(PARAMS.all_rows):
        other = block[: 64 * row] + GOOD[3].points.points64[:64] + block[64 * row + 64 :]
        opened = replace(DEALING.points, points64=other)
        expected = None if row == PARAMS.rows + 2 else "low-degree"
        assert (expected or "") in (opening.refuse_points(PARAMS, DEALING.deal, opened, g7(other)) or "-")
        assert opening.refuse_points(PARAMS, DEALING.deal, opened, parse_points64(other)) is not None


def test_alphas_are_distinct_so_that_any_rows_of_the_extraction_are_independent() -> None:
    assert [alpha(i) for i in range(1, 10)] == [0, 1, -1, 2, -2, 3, -3, 4, -4]
    for chosen in combinations(range(1, 10), 5):
        assert len({alpha(i) for i in chosen}) == 5


@pytest.mark.parametrize("changes", [{"rows": 0}, {"rows": 1025}, {"eks": ()}, {"curve": "ed25519"}])
def test_parameters_that_make_no_session_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"rows|key|curve"):
        replace(PARAMS, **changes)  # type: ignore[arg-type]


def test_the_sid_binds_every_parameter() -> None:
    others = [
        replace(PARAMS, chain_id="x-1"),
        replace(PARAMS, epoch=2),
        replace(PARAMS, counter=4),
        replace(PARAMS, rows=4),
        replace(PARAMS, committee_hash=bytes(32)),
        replace(PARAMS, eks=(PARAMS.eks[1], PARAMS.eks[0], *PARAMS.eks[2:])),
    ]
    assert len({p.sid for p in [PARAMS, *others]}) == len(others) + 1


def test_an_absent_key_is_33_zero_bytes_in_the_sid() -> None:
    arguments = (PARAMS.chain_id, 1, PARAMS.committee_hash, "secp256k1", 3, 3)
    padded = [ek or strings.NO_KEY for ek in PARAMS.eks]
    assert strings.session_id(*arguments, PARAMS.eks) == strings.session_id(*arguments, padded) == PARAMS.sid


def test_nothing_secret_is_in_a_repr() -> None:
    texts = repr(DEALING) + repr(check.split(PARAMS, DEALING.plaintexts[0]))
    for secret in (DEALING.plaintexts[0][:32], DEALING.plaintexts[0][-32:], DEALING.points.points64[:32]):
        assert secret.hex() not in texts
        assert repr(secret)[2:-1] not in texts
