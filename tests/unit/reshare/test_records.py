"""Layouts on disk, and views from the chain that are broken."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authnet_core.protocol.reshare import records
from authnet_core.protocol.reshare.messages import ReshareDeal, ReshareTest
from authnet_core.protocol.reshare.picture import params_of, read_view
from authnet_core.protocol.views import ReshareDealView
from tests.unit.reshare.driving import view
from tests.unit.reshare.setting import DEALINGS, PARAMS, TESTS, filled

HASH = st.binary(min_size=32, max_size=32)


@given(HASH, st.binary(min_size=33, max_size=33), st.binary(min_size=65, max_size=65), HASH, HASH)
def test_a_deal_comes_back(rid: bytes, e: bytes, pok: bytes, root: bytes, seed: bytes) -> None:
    deal = ReshareDeal(rid, e, pok, root)
    assert ReshareDeal.decode(deal.encode()) == deal
    assert records.load_deal(records.store_deal(seed, deal).payload) == (seed, deal)


@given(HASH, st.lists(HASH, min_size=PARAMS.new.k, max_size=PARAMS.new.k))
def test_an_answer_comes_back(seed: bytes, u: list[bytes]) -> None:
    test = ReshareTest(PARAMS.rid, tuple(u), seed)
    assert records.load_test(PARAMS, records.store_test(test).payload) == test


def test_a_bundle_comes_back_with_its_leaves() -> None:
    bundle = DEALINGS[2].bundle
    assert records.load_bundle(PARAMS, 2, records.store_bundle(bundle).payload) == bundle


@given(st.binary(max_size=300))
def test_broken_records_are_refused(payload: bytes) -> None:
    with pytest.raises(ValueError, match="not a stored test"):
        records.load_test(PARAMS, payload[:100])
    with pytest.raises(ValueError, match="not a stored bundle"):
        records.load_bundle(PARAMS, 2, payload)
    with pytest.raises(ValueError, match="not a stored deal"):
        records.load_deal(payload[:100])


def test_parameters_come_from_the_view_that_they_give_the_rid_of() -> None:
    seen = view("deal", 1)
    old, new = (PARAMS.old, PARAMS.old_hash), (PARAMS.new, PARAMS.new_hash)
    assert params_of("vectors-1", old, new, seen) == PARAMS
    for wrong in (("other-1", old, new), ("vectors-1", new, old)):
        with pytest.raises(ValueError, match="do not give its rid"):
            params_of(*wrong, seen)


def test_what_is_malformed_on_chain_is_as_good_as_none() -> None:
    seen = view("ack", 5)
    seen.deals[2] = ReshareDealView(e="zz", pok="", root="", height=1)
    seen.deals[9] = seen.deals[1]
    seen.tests[3] = ("zz",) * PARAMS.new.k
    seen.tests[4] = seen.tests[4][1:]
    picture = read_view(PARAMS, seen)
    assert set(picture.deals) == {1, 3, 4, 5}
    assert set(picture.tests) == {1, 2, 5}
    # Without one of its deals D gives no challenge.
    assert picture.gamma_seed == b""
    assert picture.is_forked


def test_the_challenge_is_computed_again() -> None:
    assert read_view(PARAMS, view("test", 5)).gamma_seed
    assert read_view(PARAMS, view("test", 5, gamma_seed=filled(1))).is_forked
    assert not read_view(PARAMS, view("deal", 5)).is_forked
    assert read_view(PARAMS, view("test", 5, tests=dict(TESTS), dealers=(1, 2))).tests.keys() == {1, 2}
