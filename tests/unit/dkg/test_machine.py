"""The machine at its edges: what it refuses, what it waits for, what it does after a crash or with a lost disk."""

from dataclasses import replace

import msgspec
import pytest

from authnet_core.protocol.dkg.effects import Blame, Done, Effect, Erase, Outcome, Send, SetTimer, Shelf, Store, Submit
from authnet_core.protocol.dkg.fetching import FETCH_TIMER
from authnet_core.protocol.dkg.machine import RETAIN_TIMER, Session
from authnet_core.protocol.dkg.messages import (
    Ack,
    Bundle,
    ChainMessage,
    Deal,
    Final,
    Have,
    Keys,
    Message,
    Opened,
    PointList,
    WantBundle,
    WantList,
)
from authnet_core.protocol.dkg.picture import params_of
from authnet_core.protocol.dkg.records import KEYS, SHARES, share_at
from authnet_core.protocol.dkg.stage_deal import ACK_TIMER
from authnet_core.protocol.dkg.state import STRIKES
from authnet_core.protocol.views import SessionView
from tests.sim.model_chain import ModelChain
from tests.unit.dkg.setting import ABSENT, ek_secret, filled, make_dealings, make_params, seed_of

PARAMS = make_params()
GOOD = make_dealings(PARAMS)
SID = PARAMS.sid
HOLDERS = (1, 2, 3, 4)


def machine(me: int = 1, durable: dict[str, bytes] | None = None, seed: bytes | None = None) -> Session:
    secret = None if me == ABSENT else ek_secret(me)
    return Session(PARAMS, me, secret, seed or seed_of(me), durable or {})


def fresh_session(me: int = 1) -> Session:
    """One that has dealt and knows of nobody else."""
    session = machine(me)
    session.on_chain(ModelChain(PARAMS).view())
    return session


def pick(effects: list[Effect], kind: type) -> list[Effect]:
    return [e for e in effects if isinstance(e, kind)]


def submits(effects: list[Effect]) -> list[ChainMessage]:
    return [e.message for e in effects if isinstance(e, Submit)]


def sends(effects: list[Effect], kind: type[Message]) -> list[Send]:
    return [e for e in effects if isinstance(e, Send) and isinstance(e.message, kind)]


def chain_with(phase: str, dealers: tuple[int, ...] = (1, 2, 3, 4, 5)) -> ModelChain:
    """A chain in the given phase, as honest nodes bring it there."""
    chain = ModelChain(PARAMS)
    chain.block(0, [(i, GOOD[i].deal) for i in dealers])
    if phase == "deal":
        return chain
    mask = sum(1 << (i - 1) for i in dealers)
    chain.block(250, [(j, Ack(SID, mask)) for j in HOLDERS])
    for now in (2_500, 2_750) if chain.phase == "deal" else ():
        chain.block(now, [])
    if phase == "certified":
        return chain
    chain.block(3_000, [(j, Opened(SID, mask)) for j in HOLDERS])
    return chain


def take_all(session: Session, view: SessionView, me: int = 1) -> list[Effect]:
    """Everything the others send in a good session."""
    effects = session.on_chain(view)
    for i in PARAMS.parties:
        if i != me:
            effects += session.handle(i, GOOD[i].bundle)
            effects += session.handle(i, GOOD[i].points)
    return effects


# -- construction -------------------------------------------------------------------------------------------------


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


def dealt_session(me: int = 1) -> Session:
    session = fresh_session(me)
    take_all(session, chain_with("deal").view(), me)
    return session


def test_no_list_leaves_before_the_block_after_q() -> None:
    session, chain = dealt_session(), chain_with("certified")
    assert chain.q_height == chain.height
    effects = session.on_chain(chain.view())
    assert not sends(effects, PointList)
    assert session.handle(2, WantList(SID, 1)) == []
    chain.block(5_000, [])
    effects = session.on_chain(chain.view())
    assert [e.to for e in sends(effects, PointList)] == [2, 3, 4, 5]
    assert effects.index(next(e for e in effects if isinstance(e, Store) and e.name == "list/1")) < effects.index(
        sends(effects, PointList)[0]
    )


def test_a_dealer_outside_q_never_reveals_its_list() -> None:
    session = machine(1)
    session.on_chain(ModelChain(PARAMS).view())
    chain = chain_with("certified", dealers=(2, 3, 4, 5))
    assert chain.q == (2, 3, 4, 5)
    chain.block(5_000, [])
    effects = session.on_chain(chain.view())
    assert not sends(effects, PointList)
    assert session.handle(2, WantList(SID, 1)) == []
    assert not [e for e in session.handle(1, GOOD[1].points) if isinstance(e, Store)]


def test_lists_of_dealers_outside_q_are_not_taken() -> None:
    session = machine(2)
    session.on_chain(ModelChain(PARAMS).view())
    chain = chain_with("certified", dealers=(2, 3, 4, 5))
    chain.block(5_000, [])
    session.on_chain(chain.view())
    assert session.handle(1, GOOD[1].points) == []


def test_a_view_of_an_older_height_or_another_session_is_not_looked_at() -> None:
    session, chain = dealt_session(), chain_with("certified")
    old = chain.view()
    chain.block(5_000, [])
    session.on_chain(chain.view())
    assert session.on_chain(old) == []
    assert session.on_chain(msgspec.structs.replace(chain.view(), sid="00" * 32)) == []


def test_final_comes_after_the_stores_of_shares_and_only_when_all_is_opened() -> None:
    session, chain = dealt_session(), chain_with("certified")
    chain.block(5_000, [])
    effects = take_all(session, chain.view())
    assert [m for m in submits(effects) if isinstance(m, Final)] == []
    stored = [e.name for e in effects if isinstance(e, Store)]
    assert stored[-2:] == [SHARES, KEYS]
    chain.block(5_250, [(j, Opened(SID, 0b11111)) for j in HOLDERS])
    assert chain.phase == "opened"
    assert session.batch is not None
    assert submits(session.on_chain(chain.view())) == [Final(SID, session.batch.keys.root)]


def final_chain() -> tuple[ModelChain, bytes]:
    """A final session that the members 2, 3, 4 and 5 signed; 5 pretends to hold."""
    helper = dealt_session(2)
    chain = chain_with("opened")
    take_all(helper, chain.view(), 2)
    assert helper.batch is not None
    root = helper.batch.keys.root
    chain.block(6_000, [(j, Final(SID, root)) for j in (2, 3, 4, 5)])
    assert chain.phase == "final"
    chain.block(6_250, [])
    return chain, root


def test_catch_up_asks_at_once_checks_stores_and_says_have() -> None:
    chain, root = final_chain()
    session = machine(1)
    session._state.seed[:] = filled(0x99)
    effects = session.on_chain(chain.view())
    assert {e.message.dealer for e in sends(effects, WantBundle)} == set(PARAMS.parties)
    assert {e.message.dealer for e in sends(effects, WantList)} == set(PARAMS.parties)
    gathered: list[Effect] = []
    for i in PARAMS.parties:
        peer = 3 if i in (1, 2) else i
        session._state.fetcher.asked |= {(3, WantBundle(SID, i)), (3, WantList(SID, i))}
        gathered += session.handle(peer, GOOD[i].bundle) + session.handle(peer, GOOD[i].points)
    names = [e.name for e in gathered if isinstance(e, Store)]
    assert not [e for e in gathered if isinstance(e, Store) and e.shelf is Shelf.BRIEF]
    assert names[-2:] == [SHARES, KEYS]
    assert submits(gathered) == [Have(SID)]
    assert Done(Outcome.HELD) in gathered
    assert session.batch is not None
    assert session.batch.keys.root == root


def test_a_restart_in_catch_up_goes_on_from_stored_bundles() -> None:
    chain, _ = final_chain()
    durable = {f"bundle/{i}": b"".join(GOOD[i].bundle.ciphertexts) for i in PARAMS.parties}
    durable |= {f"list/{i}": GOOD[i].points.salt + GOOD[i].points.points64 for i in PARAMS.parties}
    effects = machine(3, durable).on_chain(chain.view())
    assert not sends(effects, WantBundle)
    assert not sends(effects, WantList)
    assert Done(Outcome.HELD) in effects


def test_another_final_root_than_ours_is_a_conflict_and_never_have() -> None:
    session, chain = dealt_session(), chain_with("opened")
    take_all(session, chain.view())
    chain.block(6_000, [(j, Final(SID, filled(1))) for j in (2, 3, 4, 5)])
    effects = session.on_chain(chain.view())
    assert pick(effects, Done) == [Done(Outcome.CONFLICT)]
    assert submits(effects) == []


def held_session() -> tuple[Session, ModelChain, list[Effect]]:
    chain, _ = final_chain()
    session = dealt_session(1)
    effects = take_all(session, chain_with("opened").view())
    return session, chain, effects + session.on_chain(chain.view())


def test_keys_are_posted_in_turn_and_not_when_somebody_else_did() -> None:
    session, chain, effects = held_session()
    assert SetTimer("keys/0", 0) in effects
    (keys,) = submits(session.on_timer("keys/0"))
    assert isinstance(keys, Keys)
    chain.block(7_000, [(2, keys)])
    assert set(chain.chunks) == {0}
    session.on_chain(chain.view())
    assert session.on_timer("keys/0") == []


def test_a_held_share_is_found_by_position() -> None:
    session, _, _ = held_session()
    assert session.batch is not None
    part = share_at(session.batch.shares, 5)
    assert part.share == session.batch.shares[320:352]
    assert "KeyShare(...)" in repr(part)
    for bad in (-1, session.batch.keys.count):
        with pytest.raises(IndexError):
            share_at(session.batch.shares, bad)


# -- serving and step 8 -------------------------------------------------------------------------------------------


def test_members_are_served_what_is_public_among_them_once_in_a_while() -> None:
    session, _, _ = held_session()
    assert session.handle(5, WantBundle(SID, 2))[0] == Send(5, GOOD[2].bundle)
    assert session.handle(5, WantBundle(SID, 2)) == []
    assert session.handle(4, WantList(SID, 3)) == [Send(4, GOOD[3].points)]
    session.on_timer("serve")
    assert session.handle(5, WantBundle(SID, 2))[0] == Send(5, GOOD[2].bundle)
    assert machine().handle(5, WantBundle(SID, 2)) == []


def test_seeds_go_after_the_grace_and_bundles_when_all_hold() -> None:
    session, chain, effects = held_session()
    assert SetTimer("grace", 60_000) in effects
    assert session.on_timer("grace") == [Erase(Shelf.BRIEF)]
    assert session.on_timer("grace") == []
    assert bytes(session._state.seed) == bytes(32)
    chain.chunks[0], chain.holders = b"", set(PARAMS.parties)
    assert pick(session.on_chain(chain.view()), Erase) == []
    chain.block(9_000, [])
    assert session.on_chain(chain.view()) == [Erase(Shelf.RETAINED)]
    assert session.closed
    assert session.handle(2, WantBundle(SID, 2)) == []
    assert not session._state.ek


def test_retain_ends_serving() -> None:
    session, _, _ = held_session()
    assert session.on_timer(RETAIN_TIMER) == [Erase(Shelf.BRIEF), Erase(Shelf.RETAINED)]
    assert session.closed
    assert session.batch is not None


def test_abandoned_sessions_are_erased_one_block_later_and_serve_nothing() -> None:
    session, chain = dealt_session(), chain_with("certified")
    chain.block(70_000, [])
    assert chain.phase == "abandoned"
    assert session.on_chain(chain.view()) == []
    assert session.handle(2, WantBundle(SID, 3)) == []
    assert session.handle(3, GOOD[3].points) == []
    chain.block(70_250, [])
    effects = session.on_chain(chain.view())
    assert {e.shelf for e in effects if isinstance(e, Erase)} == set(Shelf)
    assert effects[-1] == Done(Outcome.ABANDONED)
    assert session.closed


def test_a_crash_between_the_last_erasures_leaves_a_closed_session() -> None:
    session, _, _ = held_session()
    assert session.batch is not None
    assert Session(PARAMS, 1, None, filled(1), {SHARES: session.batch.shares}).closed
    assert not Session(PARAMS, 1, ek_secret(1), filled(1), {SHARES: session.batch.shares}).closed


def test_unknown_timers_are_ignored() -> None:
    session, _, _ = held_session()
    assert session.on_timer("tea") == []
    assert machine().on_timer("ack") == []
