"""The machine at its edges: what it refuses, what it waits for, what it does after a crash or with a lost disk."""

from dataclasses import replace

import msgspec
import pytest

from authnet_core.protocol.dkg.effects import Blame, SetTimer, Shelf, Store
from authnet_core.protocol.dkg.fetching import FETCH_TIMER
from authnet_core.protocol.dkg.machine import Session
from authnet_core.protocol.dkg.messages import (
    Ack,
    Bundle,
    Deal,
    Opened,
    PointList,
    WantBundle,
    WantList,
)
from authnet_core.protocol.dkg.picture import params_of
from authnet_core.protocol.dkg.stage_deal import ACK_TIMER
from authnet_core.protocol.dkg.state import STRIKES
from tests.sim.model_chain import ModelChain
from tests.unit.dkg.driving import (
    GOOD,
    PARAMS,
    SID,
    chain_with,
    fresh_session,
    machine,
    pick,
    sends,
    submits,
    take_all,
)
from tests.unit.dkg.setting import ABSENT, ek_secret, filled, seed_of


def test_a_wrong_encryption_secret_is_refused() -> None:
    for secret in (ek_secret(2), filled(1)):
        with pytest.raises(ValueError, match="announced"):
            Session(PARAMS, 1, secret, seed_of(1), {})
    with pytest.raises(ValueError, match="announced"):
        Session(PARAMS, ABSENT, ek_secret(ABSENT), seed_of(1), {})


@pytest.mark.parametrize(("me", "seed"), [(0, filled(1)), (6, filled(1)), (1, b"short")])
def test_no_such_party_or_seed(me: int, seed: bytes) -> None:
    with pytest.raises(ValueError, match="party"):
        Session(PARAMS, me, None, seed, {})


def test_broken_records_are_refused() -> None:
    for durable in (
        {"deal": filled(1) + GOOD[1].deal.encode()},
        {"bundle/2": b"short"},
        {"list/2": b"short"},
    ):
        with pytest.raises(ValueError, match="stored"):
            machine(durable=durable)


def test_parameters_come_from_a_view_whose_sid_they_give() -> None:
    view = ModelChain(PARAMS).view()
    arguments = (PARAMS.chain_id, PARAMS.committee, PARAMS.committee_hash)
    assert params_of(*arguments, view) == PARAMS
    with pytest.raises(ValueError, match="sid"):
        params_of("other-1", PARAMS.committee, PARAMS.committee_hash, view)
    with pytest.raises(ValueError, match="sid"):
        params_of(*arguments, msgspec.structs.replace(view, rows=3))


def test_a_repr_tells_no_secret() -> None:
    session = machine()
    take_all(session, chain_with("opened").view())
    for text in (repr(session), repr(session._state), repr(session.batch)):
        assert str(seed_of(1))[2:20] not in text
        assert repr(ek_secret(1))[2:20] not in text
        assert "bytearray" not in text


# -- steps 1 and 2 ------------------------------------------------------------------------------------------------


def test_the_deal_is_stored_before_anything_leaves() -> None:
    effects = machine().on_chain(ModelChain(PARAMS).view())
    kinds = [type(e).__name__ for e in effects]
    assert kinds == ["Store", "Store", "Store", "Submit", "Send", "Send", "Send", "Send"]
    assert effects[0] == Store("deal", seed_of(1) + GOOD[1].deal.encode(), Shelf.BRIEF)
    assert submits(effects) == [GOOD[1].deal]
    assert [e.to for e in sends(effects, Bundle)] == [2, 3, 4, 5]


def test_after_a_crash_the_stored_deal_is_sent_again_whatever_the_new_seed() -> None:
    stored = {e.name: e.payload for e in machine().on_chain(ModelChain(PARAMS).view()) if isinstance(e, Store)}
    for kept in (("deal",), ("deal", "share/1"), ("deal", "share/1", "bundle/1")):
        again = machine(durable={name: stored[name] for name in kept}, seed=filled(0x99))
        effects = again.on_chain(ModelChain(PARAMS).view())
        assert submits(effects) == [GOOD[1].deal]
        assert {e.message for e in sends(effects, Bundle)} == {GOOD[1].bundle}
        assert {e.name for e in effects if isinstance(e, Store)} <= {"share/1", "bundle/1"}


def test_a_lost_disk_never_deals_or_votes_again_in_that_session() -> None:
    for phase in ("deal", "certified", "opened"):
        session = machine(seed=filled(0x99))
        effects = take_all(session, chain_with(phase).view())
        assert submits(effects) == []
        assert not sends(effects, PointList)
        assert not [e for e in effects if isinstance(e, Store) and e.name == "deal"]


def test_no_deal_after_the_deal_phase() -> None:
    effects = machine().on_chain(chain_with("certified", dealers=(2, 3, 4, 5)).view())
    assert not [m for m in submits(effects) if isinstance(m, Deal)]


def test_who_is_left_out_deals_not_and_acknowledges_the_others() -> None:
    chain = chain_with("deal", dealers=(2, 3, 4))
    chain.left_out = frozenset({1})
    session = machine()
    effects = take_all(session, chain.view())
    assert not [e for e in effects if isinstance(e, Store) and e.name == "deal"]
    assert not any(isinstance(message, Deal) for message in submits(effects))
    assert not sends(effects, Bundle)
    acks = [message for message in submits(session.on_timer("ack")) if isinstance(message, Ack)]
    assert [ack.dealers for ack in acks] == [0b1110]


def test_an_ack_follows_its_stores_and_only_good_bundles_get_one() -> None:
    session = fresh_session()
    assert SetTimer(ACK_TIMER, 60) in session.on_chain(chain_with("deal").view())
    effects = session.handle(2, GOOD[2].bundle)
    assert [e.name for e in effects if isinstance(e, Store)] == ["share/2", "bundle/2"]
    assert submits(session.on_timer(ACK_TIMER)) == [Ack(SID, 0b00011)]
    for i in (3, 4):
        session.handle(i, GOOD[i].bundle)
    assert submits(session.handle(5, GOOD[5].bundle)) == [Ack(SID, 0b11111)]


def test_bundles_ahead_of_the_chain_wait_one_a_dealer() -> None:
    session = machine()
    session.on_chain(ModelChain(PARAMS).view())
    assert session.handle(2, GOOD[2].bundle) == []
    assert session.handle(3, GOOD[2].bundle) == [], "not the dealer, and not asked"
    stores = pick(session.on_chain(chain_with("deal").view()), Store)
    assert [e.name for e in stores if isinstance(e, Store)] == ["share/2", "bundle/2"]


def test_a_node_without_an_encryption_key_deals_but_never_vouches() -> None:
    session = machine(ABSENT)
    effects = session.on_chain(ModelChain(PARAMS).view())
    assert submits(effects) == [GOOD[ABSENT].deal]
    effects = take_all(session, chain_with("deal").view(), ABSENT)
    assert submits(effects) == []
    chain = chain_with("certified")
    chain.block(5_000, [])
    effects = take_all(session, chain.view(), ABSENT)
    assert {type(m) for m in submits(effects)} <= {Opened}
    assert session.batch is None


def test_a_transaction_is_submitted_again_only_when_the_chain_does_not_show_it_for_some_blocks() -> None:
    session, chain = machine(), ModelChain(PARAMS)
    counts = []
    for _ in range(5):
        counts.append(len(submits(session.on_chain(chain.view()))))
        chain.block(0, [])
    assert counts == [1, 0, 1, 0, 1]
    assert submits(session.on_chain(chain_with("deal").view())) == []


# -- messages that are refused ------------------------------------------------------------------------------------


def junk_bundle(dealer: int) -> Bundle:
    good = GOOD[dealer].bundle
    flipped = bytes([good.ciphertexts[0][0] ^ 1]) + good.ciphertexts[0][1:]
    return replace(good, ciphertexts=(flipped, *good.ciphertexts[1:]))


def test_messages_of_strangers_other_sessions_and_oneself_change_nothing() -> None:
    session = machine()
    session.on_chain(chain_with("deal").view())
    bundle = GOOD[2].bundle
    for sender, message in (
        (0, bundle),
        (6, bundle),
        (-1, bundle),
        (1, bundle),
        (3, bundle),
        (2, replace(bundle, sid=bytes(32))),
        (2, replace(bundle, dealer=0)),
        (2, replace(bundle, dealer=99)),
        (2, replace(bundle, ciphertexts=())),
        (2, replace(bundle, leaves=bundle.leaves[1:])),
        (2, PointList(SID, 2, b"", b"")),
        (2, WantBundle(SID, 77)),
        (2, WantList(bytes(32), 1)),
    ):
        assert session.handle(sender, message) == []
    assert session.handle(2, bundle) != []


def test_junk_is_its_senders_fault_and_after_some_it_is_not_read_any_more() -> None:
    session = machine()
    session.on_chain(chain_with("deal").view())
    for _ in range(STRIKES):
        assert [type(e) for e in session.handle(2, junk_bundle(2))] == [Blame]
    assert session.handle(2, junk_bundle(2)) == []
    assert session.handle(2, GOOD[2].bundle) == []


def test_a_relay_is_heard_only_when_asked_and_its_junk_does_not_convict_the_dealer() -> None:
    session, chain = fresh_session(), chain_with("deal")
    chain.block(500, [(3, Ack(SID, 0b00010))])
    session.on_chain(chain.view())
    assert session.handle(3, GOOD[2].bundle) == []
    asked = session.on_timer(FETCH_TIMER)
    assert {e.to for e in sends(asked, WantBundle) if e.message.dealer == 2} == {2, 3}
    assert session.handle(3, junk_bundle(2)) == [Blame(3, "ciphertext does not fit its leaf")]
    assert pick(session.handle(3, GOOD[2].bundle), Store)


def test_asking_goes_on_with_longer_pauses_and_other_peers() -> None:
    session, chain = fresh_session(), chain_with("deal")
    chain.block(500, [(j, Ack(SID, 0b00010)) for j in (3, 4)])
    session.on_chain(chain.view())
    pauses, asked = [], set()
    for _ in range(6):
        effects = session.on_timer(FETCH_TIMER)
        pauses += [e.delay_ms for e in effects if isinstance(e, SetTimer)]
        asked |= {e.to for e in sends(effects, WantBundle) if e.message.dealer == 2}
    assert pauses == [600, 1200, 2400, 3000, 3000, 3000]
    assert asked == {2, 3, 4}


# -- steps 4 to 7 -------------------------------------------------------------------------------------------------
