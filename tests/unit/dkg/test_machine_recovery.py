"""Late recovery R at one machine: what is asked, answered, taken, and above all what is not."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authnet_core.protocol.dkg import check, complaint
from authnet_core.protocol.dkg.batch import compute_batch
from authnet_core.protocol.dkg.deal import assemble, derive_sharing
from authnet_core.protocol.dkg.effects import Blame, Done, Effect, Outcome, Shelf, Store
from authnet_core.protocol.dkg.fetching import FETCH_TIMER
from authnet_core.protocol.dkg.machine import RETAIN_TIMER, Session
from authnet_core.protocol.dkg.messages import (
    Final,
    Have,
    Recovery,
    WantRecovery,
)
from authnet_core.protocol.dkg.picture import Phase
from authnet_core.protocol.views import ComplaintView
from tests.sim.evil import evil_dealing
from tests.sim.model_chain import ModelChain
from tests.unit.dkg.driving import pick, sends, submits
from tests.unit.dkg.lying import CHEAT, HONEST, LIAR, PARAMS, PARTIES, SID, VICTIM, Told, live, plain, session, stored
from tests.unit.dkg.setting import ek_secret, seed_of

OTHERS = [j for j in PARTIES if j not in (LIAR, VICTIM)]
DEAL = CHEAT[LIAR].deal


def recovery(holder: int, dealer: int = LIAR) -> Recovery:
    e = CHEAT[dealer].deal.e
    return Recovery(SID, dealer, *complaint.prove_shared(PARAMS, dealer, holder, e, ek_secret(holder)))


def cheated(phase: str = "certified") -> tuple[Session, Told, list[Effect]]:
    """The victim's machine, its complaint upheld in the newest block."""
    told = Told(CHEAT)
    machine, effects = live(VICTIM, told, CHEAT)
    told.to(phase).uphold(LIAR, VICTIM)
    effects += machine.on_chain(told.view)
    return machine, told, effects


# -- R: asking ----------------------------------------------------------------------------------------------------


def test_recovery_is_asked_of_all_once_the_conviction_has_a_block_behind_it() -> None:
    machine, told, effects = cheated()
    assert not sends(effects, WantRecovery), "the conviction's own block may still be another chain's"
    assert machine.missing[0] == f"good-share/{LIAR}"
    effects = machine.on_chain(told.next().view)
    assert sorted(e.to for e in sends(effects, WantRecovery)) == [j for j in PARTIES if j != VICTIM]
    assert machine.missing[0] == f"recovery/{LIAR}"
    again = machine.on_timer(FETCH_TIMER)
    assert len(sends(again, WantRecovery)) == 4


@pytest.mark.parametrize(
    ("dealer", "complainer", "upheld"), [(LIAR, 3, True), (4, VICTIM, True), (LIAR, VICTIM, False)]
)
def test_recovery_is_not_asked_for_otherwise(dealer: int, complainer: int, upheld: bool) -> None:
    told = Told(CHEAT)
    machine, _ = live(VICTIM, told, CHEAT)
    told.to("certified").uphold(dealer, complainer, upheld=upheld)
    effects = machine.on_chain(told.next().view) + machine.on_timer(FETCH_TIMER)
    assert not sends(effects, WantRecovery)


# -- R: answering -------------------------------------------------------------------------------------------------


def answering(told: Told, me: int = 3) -> Session:
    machine, _ = live(me, Told(CHEAT), CHEAT)
    machine.on_chain(told.view)
    return machine


def test_the_upheld_complainer_gets_a_proven_d_and_nothing_but_this_dealers() -> None:
    told = Told(CHEAT).to("certified").uphold(LIAR, VICTIM).next()
    machine = answering(told)
    (sent,) = sends(machine.handle(VICTIM, WantRecovery(SID, LIAR)), Recovery)
    assert sent.to == VICTIM
    assert sent.message == recovery(3)
    assert isinstance(sent.message, Recovery)
    assert complaint.verify_shared(PARAMS, LIAR, 3, DEAL.e, sent.message.shared, sent.message.dleq)
    assert repr(sent.message.shared) not in repr(sent), "D opens what the dealer sent: it is in no log"
    for dealer in PARTIES:
        if dealer != LIAR:
            assert machine.handle(VICTIM, WantRecovery(SID, dealer)) == []
    assert machine.handle(VICTIM, WantRecovery(SID, LIAR)) == [], "once in a while"


def refused_views() -> dict[str, Told]:
    late = Told(CHEAT).to("certified").uphold(LIAR, VICTIM).uphold(4, 5).next()
    abandoned = Told(CHEAT).to("certified").uphold(LIAR, VICTIM).next()
    abandoned.chain.phase = "abandoned"
    outside = Told(CHEAT).to("certified").uphold(LIAR, VICTIM).next()
    outside.chain.q = (2, 3, 4, 5)
    return {
        "no complaint": Told(CHEAT).to("certified"),
        "not upheld": Told(CHEAT).to("certified").uphold(LIAR, VICTIM, upheld=False).next(),
        "somebody else's": Told(CHEAT).to("certified").uphold(LIAR, 4).next(),
        "no block behind it": Told(CHEAT).to("certified").uphold(LIAR, VICTIM),
        "Q not fixed": Told(CHEAT).to("deal").uphold(LIAR, VICTIM).next(),
        "not in Q": outside,
        "more than t convicts": late,
        "abandoned": abandoned,
    }


@pytest.mark.parametrize("reason", refused_views())
def test_no_d_leaves_the_node(reason: str) -> None:
    machine = answering(refused_views()[reason])
    assert not sends(machine.handle(VICTIM, WantRecovery(SID, LIAR)), Recovery)


def test_no_d_without_the_encryption_key() -> None:
    told = Told(CHEAT).to("certified").uphold(LIAR, VICTIM).next()
    machine = answering(told)
    machine.on_timer(RETAIN_TIMER)
    assert machine.handle(VICTIM, WantRecovery(SID, LIAR)) == []


JUDGED = st.builds(
    ComplaintView, dealer=st.sampled_from(PARTIES), complainer=st.sampled_from(PARTIES), upheld=st.booleans(),
    height=st.integers(0, 9),
)  # fmt: skip


@settings(deadline=None)
@given(st.lists(JUDGED, max_size=4), st.sampled_from(["deal", "certified", "opened", "final"]), st.data())
def test_whatever_the_chain_shows_only_a_convicts_d_leaves(
    judged: list[ComplaintView], phase: str, pick_: st.DataObject
) -> None:
    told = Told(CHEAT).to(phase)
    told.complaints = tuple(judged)
    machine = answering(told)
    sender, dealer = pick_.draw(st.sampled_from([j for j in PARTIES if j != 3])), pick_.draw(st.sampled_from(PARTIES))
    sent = sends(machine.handle(sender, WantRecovery(SID, dealer)), Recovery)
    convicting = [c for c in judged if c.upheld and (c.dealer, c.complainer) == (dealer, sender)]
    convicts = {c.dealer for c in judged if c.upheld}
    if sent:
        assert phase != "deal"
        assert any(c.height < told.chain.height for c in convicting)
        assert len(convicts) <= PARAMS.committee.t
    assert bool(sent) == (
        phase != "deal" and bool(convicting) and convicting[-1].height < told.chain.height and len(convicts) <= 1
    )


# -- R: taking ----------------------------------------------------------------------------------------------------


def test_k_good_answers_give_the_own_share() -> None:
    machine, told, _ = cheated()
    machine.on_chain(told.next().view)
    effects = machine.handle(3, recovery(3)) + machine.handle(4, recovery(4))
    assert not effects
    effects = machine.handle(5, recovery(5))
    honest = plain(HONEST, LIAR, VICTIM)
    (kept,) = [e for e in pick(effects, Store) if isinstance(e, Store) and e.name.startswith("share/")]
    assert isinstance(kept, Store)
    assert (kept.name, kept.shelf) == (f"share/{LIAR}", Shelf.BRIEF)
    assert kept.payload == honest.shares + honest.contribution
    assert check.refuse_plaintext(PARAMS, LIAR, VICTIM, DEAL, kept.payload) is None
    names = [e.name for e in effects if isinstance(e, Store)]
    assert names == [f"share/{LIAR}", "shares", "keys"], "and the session goes on"
    expected = compute_batch(
        PARAMS,
        tuple(PARTIES),
        {i: plain(HONEST, i, VICTIM) for i in PARTIES},
        {i: list(machine._state.held.points[i]) for i in PARTIES},
    )
    assert machine.batch is not None
    assert machine.batch.shares == expected.shares
    assert machine.missing == ()


def test_a_short_node_of_a_final_session_recovers_and_says_have() -> None:
    told = Told(CHEAT)
    machine, _ = live(VICTIM, told, CHEAT)
    holder, _ = live(3, Told(CHEAT), CHEAT)
    holder.on_chain(told.to("certified").view)
    assert holder.batch is not None
    told.root = holder.batch.keys.root
    told.to("final").uphold(LIAR, VICTIM)
    machine.on_chain(told.view)
    machine.on_chain(told.next().view)
    effects: list[Effect] = []
    for holding in OTHERS:
        effects += machine.handle(holding, recovery(holding))
    assert [e.name for e in effects if isinstance(e, Store)] == ["shares", "keys"], "no shelf about to be shredded"
    assert submits(effects) == [Have(SID)]
    assert Done(Outcome.HELD) in effects


def test_answers_that_were_not_asked_for_or_prove_nothing_count_not() -> None:
    machine, told, _ = cheated()
    for holder in OTHERS:
        assert machine.handle(holder, recovery(holder)) == [], "nobody asked yet"
    machine.on_chain(told.next().view)
    forged = [
        replace(recovery(3), dleq=bytes(64)),
        replace(recovery(3), shared=recovery(4).shared),
        recovery(4),  # another receiver's
        replace(recovery(3, dealer=4), dealer=LIAR),  # of another dealer
        replace(recovery(3), shared=bytes(33)),
    ]
    for message in forged:
        assert [e.party for e in machine.handle(3, message) if isinstance(e, Blame)] == [3]
    assert machine.handle(3, recovery(3, dealer=4)) == []
    assert LIAR not in machine._state.held.plains
    machine.handle(4, recovery(4))
    machine.handle(4, recovery(4))
    machine.handle(3, recovery(3))
    assert LIAR not in machine._state.held.plains, "one answer a member"


def test_an_answer_whose_own_part_is_bad_too_is_passed_over_and_nobody_is_blamed_for_it() -> None:
    both = evil_dealing(PARAMS, LIAR, seed_of(LIAR), "one bad share")
    bad = bytearray(HONEST[LIAR].plaintexts[2])
    bad[0] ^= 1
    sharing = derive_sharing(PARAMS, LIAR, seed_of(LIAR))
    plaintexts = (both.plaintexts[0], both.plaintexts[1], bytes(bad), *both.plaintexts[3:])
    dealings = {**HONEST, LIAR: assemble(PARAMS, LIAR, sharing, plaintexts, both.points.points64)}
    told = Told(dealings)
    machine, _ = live(VICTIM, told, dealings)
    told.to("certified").uphold(LIAR, VICTIM)
    machine.on_chain(told.next().view)
    e = dealings[LIAR].deal.e
    effects: list[Effect] = []
    for holder in (3, 4, 5, 1):
        effects += machine.handle(
            holder, Recovery(SID, LIAR, *complaint.prove_shared(PARAMS, LIAR, holder, e, ek_secret(holder)))
        )
    assert not pick(effects, Blame)
    assert not machine._state.held.recovered, "others' plaintexts have served"
    assert machine._state.held.plains[LIAR] == plain(HONEST, LIAR, VICTIM)


@pytest.mark.parametrize("answered", [0, 1, 2, 3])
def test_a_crash_in_the_midst_of_a_recovery_delays_it_only(answered: int) -> None:
    told = Told(CHEAT)
    machine, effects = live(VICTIM, told, CHEAT)
    told.to("certified").uphold(LIAR, VICTIM)
    effects += machine.on_chain(told.next().view)
    for holder in OTHERS[:answered]:
        effects += machine.handle(holder, recovery(holder))
    again = session(VICTIM, stored(effects))
    asked = sends(again.on_chain(told.next().view), WantRecovery)
    if answered == 3:
        assert not asked
    else:
        assert len(asked) == 4
        for holder in OTHERS:
            again.handle(holder, recovery(holder))
    assert again._state.held.plains[LIAR] == plain(HONEST, LIAR, VICTIM)
    assert again.batch is not None or again._state.picture is not None


def test_recovered_shares_go_with_the_others() -> None:
    machine, told, _ = cheated()
    machine.on_chain(told.next().view)
    for holder in OTHERS[:2]:
        machine.handle(holder, recovery(holder))
    assert machine._state.held.recovered
    machine._state.erase(Shelf.BRIEF)
    assert not machine._state.held.recovered
    assert not machine._state.held.plains


def test_a_final_is_signed_after_a_recovery() -> None:
    machine, told, _ = cheated("opened")
    machine.on_chain(told.next().view)
    effects: list[Effect] = []
    for holder in OTHERS:
        effects += machine.handle(holder, recovery(holder))
    assert [type(m) for m in submits(effects)] == [Final]
    assert machine._state.picture is not None
    assert machine._state.picture.phase is Phase.OPENED


def test_a_model_chain_without_complaints_reads_as_none() -> None:
    machine = session(VICTIM)
    machine.on_chain(ModelChain(PARAMS).view())
    assert machine._state.picture is not None
    assert machine._state.picture.upheld == {}
