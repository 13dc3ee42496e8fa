"""The machine from Q on: lists, FINAL, keys on chain, catch-up, erasing."""

import msgspec
import pytest

from authnet_core.protocol.dkg.effects import Done, Effect, Erase, Outcome, Send, SetTimer, Shelf, Store
from authnet_core.protocol.dkg.machine import RETAIN_TIMER, Session
from authnet_core.protocol.dkg.messages import (
    Final,
    Have,
    Keys,
    Opened,
    PointList,
    WantBundle,
    WantList,
)
from authnet_core.protocol.dkg.records import KEYS, SHARES, share_at
from tests.sim.model_chain import ModelChain
from tests.unit.dkg.driving import (
    GOOD,
    HOLDERS,
    PARAMS,
    SID,
    chain_with,
    finalize,
    fresh_session,
    machine,
    pick,
    sends,
    submits,
    take_all,
)
from tests.unit.dkg.setting import ek_secret, filled


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
    finalize(chain, 6_000, root)
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
    finalize(chain, 6_000, filled(1))
    effects = session.on_chain(chain.view())
    assert pick(effects, Done) == [Done(Outcome.CONFLICT)]
    assert submits(effects) == []
    assert pick(effects, Erase) == [Erase(Shelf.KEPT)]
    assert session.batch is None
    chain.block(7_000, [])
    effects = session.on_chain(chain.view())
    assert not [e for e in effects if not isinstance(e, SetTimer)]
    assert session.missing == ()


def test_shares_of_another_final_root_are_not_stored_again_after_a_restart() -> None:
    chain = chain_with("opened")
    finalize(chain, 6_000, filled(1))
    durable = {f"bundle/{i}": b"".join(GOOD[i].bundle.ciphertexts) for i in PARAMS.parties}
    durable |= {f"list/{i}": GOOD[i].points.salt + GOOD[i].points.points64 for i in PARAMS.parties}
    effects = machine(3, durable).on_chain(chain.view())
    assert pick(effects, Store) == []
    assert pick(effects, Erase) == [Erase(Shelf.KEPT)]
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
