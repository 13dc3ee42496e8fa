"""COMPLAIN at one machine: what is kept as evidence, said, and said again; and when nothing is said."""

from dataclasses import replace

import pytest

from authnet_core.protocol.dkg import complaint
from authnet_core.protocol.dkg.effects import Blame, Effect, Shelf, Store, Submit
from authnet_core.protocol.dkg.messages import (
    Ack,
    Bundle,
    Complain,
    WantBundle,
)
from authnet_core.protocol.dkg.stage_deal import ACK_TIMER
from authnet_core.protocol.dkg.submissions import LONGEST_PAUSE
from tests.sim.evil import evil_dealing
from tests.sim.model_chain import ModelChain
from tests.unit.dkg.driving import pick, sends, submits
from tests.unit.dkg.lying import CHEAT, HONEST, LIAR, PARAMS, SID, VICTIM, Told, live, session, stored
from tests.unit.dkg.setting import seed_of


def complaints(effects: list[Effect]) -> list[Complain]:
    return [m for m in submits(effects) if isinstance(m, Complain)]


@pytest.mark.parametrize("strategy", ["one bad share", "wrong v", "share not canonical"])
def test_a_bad_share_is_kept_as_evidence_and_complained_about(strategy: str) -> None:
    dealings = {**HONEST, LIAR: evil_dealing(PARAMS, LIAR, seed_of(LIAR), strategy)}
    told = Told(dealings)
    machine = session(VICTIM)
    machine.on_chain(ModelChain(PARAMS).view())
    machine.on_chain(told.to("deal").view)
    effects = machine.handle(LIAR, dealings[LIAR].bundle)
    assert [type(e) for e in effects] == [Store, Blame, Submit]
    kept, blame, submitted = effects
    assert isinstance(kept, Store)
    assert (kept.name, kept.shelf) == (f"bundle/{LIAR}", Shelf.RETAINED)
    assert isinstance(blame, Blame)
    assert blame.party == LIAR
    assert isinstance(submitted, Submit)
    assert isinstance(submitted.message, Complain)
    deal = dealings[LIAR].deal
    assert complaint.judge(PARAMS, deal, VICTIM, submitted.message).convict_is_dealer
    acked = [m for m in submits(machine.on_timer(ACK_TIMER)) if isinstance(m, Ack)]
    assert not any(m.dealers >> (LIAR - 1) & 1 for m in acked)
    assert machine.missing == tuple(f"bundle/{i}" for i in (3, 4, 5)), "a dealer outside of Q is not missed"


def test_nobody_complains_about_a_good_share_or_about_bytes_that_the_dealer_did_not_fix() -> None:
    told = Told(HONEST)
    machine, effects = live(VICTIM, told, HONEST)
    assert complaints(effects) == []
    machine = session(VICTIM)
    machine.on_chain(told.view)
    good = HONEST[3].bundle
    spoilt = replace(good, ciphertexts=(good.ciphertexts[1], *good.ciphertexts[1:]))
    effects = machine.handle(3, spoilt)
    assert complaints(effects) == []
    assert [e.party for e in pick(effects, Blame)] == [3]  # type: ignore[attr-defined]


def test_who_passes_a_bad_bundle_on_is_at_no_fault() -> None:
    told = Told(CHEAT)
    machine = session(VICTIM)
    machine.on_chain(told.to("deal").view)
    machine._state.fetcher.ask(WantBundle(SID, LIAR), [3, 4])
    effects = machine.handle(3, CHEAT[LIAR].bundle)
    assert [e.party for e in pick(effects, Blame)] == [LIAR]  # type: ignore[attr-defined]
    assert machine._state.strikes == {}


def test_after_a_crash_the_same_complaint_is_made_from_the_stored_bundle() -> None:
    told = Told(CHEAT)
    _, effects = live(VICTIM, told, CHEAT)
    (first,) = complaints(effects)
    again = session(VICTIM, stored(effects)).on_chain(told.view)
    assert complaints(again) == [first]


@pytest.mark.parametrize("upheld", [True, False])
@pytest.mark.parametrize("phase", ["deal", "certified", "final"])
def test_a_judged_complaint_is_not_made_again(phase: str, upheld: bool) -> None:
    told = Told(CHEAT)
    _, effects = live(VICTIM, told, CHEAT)
    told.to(phase).uphold(LIAR, VICTIM, upheld=upheld)
    again = session(VICTIM, stored(effects))
    assert complaints(again.on_chain(told.view) + again.on_chain(told.next(8).view)) == []


def test_a_complaint_that_the_chain_does_not_show_is_made_again_with_growing_pauses() -> None:
    told = Told(CHEAT)
    machine, effects = live(VICTIM, told, CHEAT)
    assert len(complaints(effects)) == 1
    made = [step for step in range(1, 40) if complaints(machine.on_chain(told.next().view))]
    assert made == [2, 6, 14, 30]
    pauses = {pause for _, _, pause in machine._state.submissions.sent.values()}
    assert max(pauses) <= LONGEST_PAUSE


@pytest.mark.parametrize("phase", ["deal", "certified", "opened", "final"])
def test_a_complaint_is_made_in_every_phase(phase: str) -> None:
    told = Told(CHEAT)
    told.to(phase)
    machine = session(VICTIM)
    machine.on_chain(told.view)
    machine._state.fetcher.ask(WantBundle(SID, LIAR), [LIAR])
    is_barred = phase != "final"  # this disk does not know the deal that the chain has
    assert machine._state.barred
    assert bool(complaints(machine.handle(LIAR, CHEAT[LIAR].bundle))) is not is_barred


def test_no_complaint_after_final_that_the_chain_refuses() -> None:
    """t dealers are convicted already, or the dealer is not in Q: nothing could come of it."""
    told = Told(CHEAT)
    _, effects = live(VICTIM, told, CHEAT)
    told.to("final").uphold(4, 5)
    machine = session(VICTIM, stored(effects))
    assert complaints(machine.on_chain(told.view)) == []
    assert machine.missing[0] == f"good-share/{LIAR}", "it stays short"


def test_no_complaint_without_an_encryption_key_or_in_an_abandoned_session() -> None:
    told = Told(CHEAT)
    machine, _ = live(VICTIM, told, CHEAT)
    told.chain.phase = "abandoned"
    assert complaints(machine.on_chain(told.next(9).view)) == []
    machine._state.ek.clear()
    told.chain.phase = "deal"
    assert complaints(machine.on_chain(told.next().view)) == []


def test_a_bundle_with_a_bad_share_is_served() -> None:
    told = Told(CHEAT)
    machine, effects = live(VICTIM, told, CHEAT)
    for one in (machine, session(VICTIM, stored(effects))):
        one.on_chain(told.view)
        (sent,) = sends(one.handle(3, WantBundle(SID, LIAR)), Bundle)
        assert sent.message == CHEAT[LIAR].bundle
