"""A new member: tests what it gets, says only what is on disk, checks Q' itself, fetches what is missing."""

from dataclasses import replace

import pytest

from authnet_core.crypto.shamir import interpolate_at_zero
from authnet_core.protocol.dkg.effects import Blame, Done, Erase, Outcome, Shelf, Store, Submit
from authnet_core.protocol.dkg.state import STRIKES
from authnet_core.protocol.reshare.deal import answer, plaintexts_of
from authnet_core.protocol.reshare.machine import Resharing
from authnet_core.protocol.reshare.messages import (
    Nonces,
    ReshareAck,
    ReshareComplain,
    ReshareHave,
    ReshareReady,
    WantNonces,
    WantReshareBundle,
)
from authnet_core.protocol.reshare.params import Sender
from authnet_core.protocol.reshare.sums import new_shares
from tests.sim.reshare.dealers import evil_dealing, spoil
from tests.unit.reshare.driving import (
    Q3,
    READY,
    both_machine,
    feed,
    give_nonces,
    kept,
    names,
    new_machine,
    read_gamma,
    sent,
    submitted,
    upheld,
    view,
)
from tests.unit.reshare.setting import (
    DEALINGS,
    ESTATE,
    KEYS,
    PARAMS,
    TESTS,
    TOTAL,
    filled,
    make_setting,
    seed_of,
)

ME = 3
RID = PARAMS.rid
EXPECTED = new_shares(PARAMS, {j: plaintexts_of(PARAMS, DEALINGS[j].sharing)[ME - 1] for j in Q3})
ROWS = b"".join(share.to_bytes(32, "big") + ESTATE.nonces[32 * at : 32 * at + 32] for at, share in enumerate(EXPECTED))


def ready_machine() -> tuple[Resharing, dict[str, bytes]]:
    """One that holds everything when Q' is fixed, and what it stored."""
    machine = new_machine(ME)
    machine.on_chain(view("test", 4))
    stored = feed(machine)
    give_nonces(machine)
    machine.on_chain(view("ack", 6))
    return machine, stored


def test_it_acknowledges_what_it_tested_and_stored_with_its_own_sum() -> None:
    machine = new_machine()
    machine.on_chain(view("test", 4))
    effects = machine.handle(Sender(old=1), DEALINGS[1].bundle)
    assert names(effects) == ["Store"]
    feed(machine, 2, 3, 4, 5)
    assert submitted(machine.on_chain(view("ack", 6))) == [ReshareAck(RID, 0b11111, TOTAL)]


def test_bits_collect_for_a_moment() -> None:
    machine = new_machine()
    machine.on_chain(view("ack", 6))
    effects = machine.handle(Sender(old=2), DEALINGS[2].bundle)
    assert [e.name for e in effects if isinstance(e, Store)] == ["bundle/2"]
    assert submitted(effects) == []
    assert submitted(machine.on_timer("ack")) == [ReshareAck(RID, 0b10, TOTAL)]


def test_a_bundle_ahead_of_the_chain_is_kept_for_later() -> None:
    machine = new_machine()
    assert machine.handle(Sender(old=2), DEALINGS[2].bundle) == []
    assert machine.handle(Sender(old=1), DEALINGS[3].bundle) == []  # not from its dealer
    assert set(kept(machine.on_chain(view("test", 4)))) == {"bundle/2"}


def test_junk_ahead_of_the_chain_is_its_senders_fault_too() -> None:
    machine, sender = new_machine(), Sender(old=2, new=1)
    machine.handle(sender, replace(DEALINGS[1].bundle, dealer=2))
    effects = machine.on_chain(view("test", 4))
    assert Blame(1, "new member: bundle does not fit the root on chain") in effects
    assert machine._state.strikes == {sender: 1}


def test_unasked_bundles_count_from_their_dealer_only() -> None:
    machine = new_machine()
    machine.on_chain(view("ack", 4))  # late: it asks at once, the dealers first
    assert machine.handle(Sender(new=1), DEALINGS[2].bundle) == []
    assert machine.handle(Sender(old=3), DEALINGS[2].bundle) == []
    assert kept(machine.handle(Sender(old=2), DEALINGS[2].bundle))


def test_it_asks_the_dealer_then_those_that_acked() -> None:
    machine = new_machine()
    effects = machine.on_chain(view("ack", 6, acks={1: 0b10, 4: 0b10}))
    wanted = sent(effects, WantReshareBundle)
    assert {message.dealer for _, message in wanted} == set(PARAMS.dealers)
    asked = {peer for peer, want in machine._state.fetcher.asked if want == WantReshareBundle(RID, 2)}
    assert {(peer.is_old, peer.index) for peer in asked} == {(True, 2), (False, 4)}
    assert kept(machine.handle(Sender(old=5, new=4), DEALINGS[2].bundle))


def test_a_spoilt_bundle_is_the_senders_fault_and_after_some_it_is_not_read() -> None:
    machine = new_machine()
    machine.on_chain(view("test", 4))
    other = replace(DEALINGS[1].bundle, dealer=2)
    sender = Sender(old=2)
    assert machine.handle(sender, other) == [Blame(2, "old member: bundle does not fit the root on chain")]
    for _ in range(STRIKES - 1):
        machine.handle(sender, other)
    assert machine.handle(sender, DEALINGS[2].bundle) == []
    assert machine.handle(sender, replace(DEALINGS[2].bundle, leaves=())) == []


@pytest.mark.parametrize("strategy", ["bad share", "not canonical", "garbage"])
def test_it_complains_about_a_bad_share_and_acknowledges_the_others(strategy: str) -> None:
    evil = evil_dealing(ESTATE, 2, seed_of(2), strategy, victim=ME)
    machine = new_machine()
    deals = {j: made.deal for j, made in DEALINGS.items()} | {2: evil.deal}
    gamma = read_gamma(deals)
    tests = {j: answer(PARAMS, made.sharing, gamma) for j, made in DEALINGS.items()}
    tests[2] = answer(PARAMS, evil.sharing, gamma)
    seen = {"deals": deals, "gamma_seed": gamma}
    machine.on_chain(view("test", 4, **seen))
    feed(machine, 1, 3, 4, 5)
    assert kept(machine.handle(Sender(old=2), evil.bundle))
    effects = machine.on_chain(view("ack", 6, tests=tests, **seen))
    assert [e.party for e in effects if isinstance(e, Blame)] == [2]
    (complaint,) = submitted(effects)
    assert isinstance(complaint, ReshareComplain)
    assert (complaint.dealer, complaint.ciphertext) == (2, evil.bundle.ciphertexts[ME - 1])
    (ack,) = submitted(machine.on_timer("ack"))
    assert ack.dealers == 0b11101
    judged = view("ack", 9, tests=tests, complaints=upheld(2, ME), **seen)
    assert not [m for m in submitted(machine.on_chain(judged)) if isinstance(m, ReshareComplain)]


def test_ready_comes_after_shares_and_nonces_are_on_disk() -> None:
    machine, _ = ready_machine()
    effects = machine.on_chain(view("ready", 8))
    assert names(effects) == ["Store", "Store", "Submit"]
    assert kept(effects) == {"shares": ROWS, "ready": READY}
    assert submitted(effects) == [ReshareReady(RID, READY)]
    assert machine.batch == ROWS
    assert [e.shelf for e in effects if isinstance(e, Store)] == [Shelf.KEPT, Shelf.RETAINED]


def test_no_ready_without_the_nonces() -> None:
    machine = new_machine()
    machine.on_chain(view("test", 4))
    feed(machine)
    machine.on_chain(view("ack", 6))
    assert submitted(machine.on_chain(view("ready", 8))) == []
    assert machine.missing == ("nonces",)
    assert submitted(give_nonces(machine)) == [ReshareReady(RID, READY)]


def test_no_ready_for_a_q_whose_sum_is_not_its_own() -> None:
    """The chain chose Q' by an M that this node did not get: the keys could change."""
    wrong = {j: replace(TESTS[j], u=(spoil(TESTS[j].u[0], 1), *TESTS[j].u[1:])) for j in (1,)}
    machine, _ = ready_machine()
    assert submitted(machine.on_chain(view("ready", 8, tests={**TESTS, **wrong}))) == []
    assert "fork" in machine.missing
    for q in ((1, 2), (1, 2, 3, 4), (1, 2, 7)):
        machine, _ = ready_machine()
        assert submitted(machine.on_chain(view("ready", 8, q=q))) == []
        assert machine.batch is None


@pytest.mark.parametrize("lost", [(), ("ready",), ("shares", "ready")])
def test_a_crash_at_any_record_gives_the_same_ready(lost: tuple[str, ...]) -> None:
    machine, stored = ready_machine()
    stored |= kept(machine.on_chain(view("ready", 8)))
    again = new_machine(ME, {name: payload for name, payload in stored.items() if name not in lost})
    effects = again.on_chain(view("ready", 9))
    if lost:
        effects += give_nonces(again)
    assert submitted(effects) == [ReshareReady(RID, READY)]
    assert again.batch == ROWS


def test_a_node_in_both_committees_needs_no_nonces_from_others() -> None:
    machine = both_machine(ME)
    effects = machine.on_chain(view("deal", 1))
    assert sent(effects, WantNonces) == []
    machine.on_chain(view("test", 4))
    feed(machine, 1, 2, 4, 5)
    assert [m.dealers for m in submitted(machine.on_chain(view("ack", 6)))] == [0b11111]  # its own deal too
    assert submitted(machine.on_chain(view("ready", 8))) == [ReshareReady(RID, READY)]


def test_its_own_deal_that_the_chain_does_not_know_proves_nothing() -> None:
    """A node with a lost disk: its new deal is not the one on chain, so it neither acks nor complains about itself."""
    machine = Resharing(PARAMS, KEYS, ME, ME, ESTATE.eks[ME], ESTATE.rows[ME], ESTATE.masks[ME], filled(1), {})
    machine.on_chain(view("deal", 1))
    machine.on_chain(view("test", 4))
    feed(machine, 1, 2, 4, 5)
    effects = machine.on_chain(view("ack", 6)) + machine.on_timer("ack")
    assert [type(m) for m in submitted(effects)] == [ReshareAck]
    assert submitted(effects)[0].dealers == 0b11011


def test_wrong_nonces_are_named_and_the_next_is_asked() -> None:
    machine = new_machine()
    effects = machine.on_chain(view("test", 4))
    ((first, _),) = sent(effects, WantNonces)
    wrong = ESTATE.nonces[:32] + spoil(ESTATE.nonces[32:], 1)
    effects = machine.handle(Sender(old=first), Nonces(RID, wrong))
    assert effects[0] == Blame(first, "old member: nonces that do not give N")
    ((second, _),) = sent(effects, WantNonces)
    assert second != first
    assert machine.handle(Sender(old=first), Nonces(RID, ESTATE.nonces)) == []
    assert not machine._state.new.nonces  # type: ignore[union-attr]
    machine.handle(Sender(old=second), Nonces(RID, ESTATE.nonces))
    assert bytes(machine._state.new.nonces) == ESTATE.nonces  # type: ignore[union-attr]


def test_unasked_nonces_do_not_count() -> None:
    machine = new_machine()
    machine.on_chain(view("test", 4))
    asked = {peer.index for peer, want in machine._state.fetcher.asked if want == WantNonces(RID)}
    (stranger, *_) = set(PARAMS.dealers) - asked
    machine.handle(Sender(old=stranger), Nonces(RID, ESTATE.nonces))
    machine.handle(Sender(new=1), Nonces(RID, ESTATE.nonces))
    assert not machine._state.new.nonces  # type: ignore[union-attr]


def test_a_gap_in_the_nonces_is_filled_by_another() -> None:
    machine = new_machine()
    ((first, _),) = sent(machine.on_chain(view("test", 4)), WantNonces)
    assert machine.handle(Sender(old=first), Nonces(RID, bytes(32) + ESTATE.nonces[32:])) == []
    ((second, _),) = sent(machine.on_timer("fetch"), WantNonces)
    machine.handle(Sender(old=second), Nonces(RID, ESTATE.nonces))
    assert bytes(machine._state.new.nonces) == ESTATE.nonces  # type: ignore[union-attr]


def test_an_upgraded_key_has_no_nonce() -> None:
    estate = make_setting(upgraded=(0,))
    machine = new_machine(ME, estate=estate)
    assert machine._state.lacking_nonces(machine._state.new) == [1]  # type: ignore[arg-type]


def test_an_upgrade_under_way_erases_the_nonce_and_is_not_waited_for() -> None:
    machine, _ = ready_machine()
    machine.on_chain(view("ready", 8))
    (store,) = machine.upgrade(0)
    assert isinstance(store, Store)
    assert store.payload == ROWS[:32] + bytes(32) + ROWS[64:]
    waiting = new_machine()
    waiting.on_chain(view("test", 4))
    feed(waiting)
    waiting.on_chain(view("ready", 8))
    give_nonces(waiting, bytes(32) + ESTATE.nonces[32:])
    assert submitted(waiting.upgrade(0)) == [ReshareReady(RID, READY)]


def test_who_comes_late_says_have() -> None:
    machine = new_machine()
    others = {1, 2, 4}
    final = {"holders": others, "readies": dict.fromkeys(others, READY)}
    effects = machine.on_chain(view("final", 20, **final))
    assert sent(effects, WantReshareBundle)
    feed(machine, *Q3)
    effects = give_nonces(machine)
    assert submitted(effects) == [ReshareHave(RID)]
    assert Done(Outcome.HELD) in effects
    assert effects.index(Submit(ReshareHave(RID))) > max(i for i, e in enumerate(effects) if isinstance(e, Store))


def test_who_comes_after_the_old_committee_is_gone_gets_its_nonces_from_fellow_members() -> None:
    machine = new_machine()
    others = {1, 2, 4}
    final = {"holders": others, "readies": dict.fromkeys(others, READY)}
    ((first, _),) = sent(machine.on_chain(view("final", 20, **final)), WantNonces)
    assert first in others
    feed(machine, *Q3)
    wrong = ESTATE.nonces[:32] + spoil(ESTATE.nonces[32:], 1)
    effects = machine.handle(Sender(new=first), Nonces(RID, wrong))
    assert effects[0] == Blame(first, "new member: nonces that do not give N")
    ((second, _),) = sent(effects, WantNonces)
    assert second in others - {first}
    assert machine.handle(Sender(new=first), Nonces(RID, ESTATE.nonces)) == []
    assert submitted(machine.handle(Sender(new=second), Nonces(RID, ESTATE.nonces))) == [ReshareHave(RID)]


def test_whom_a_late_member_asks_for_nonces() -> None:
    """Fellow members that hold the batch, each in turn, then old ones; before it is final old ones alone."""
    machine = new_machine()
    others = {1, 2, 4}
    final = {"holders": others, "readies": dict.fromkeys(others, READY)}
    machine.on_chain(view("final", 20, **final))
    for _ in range(3):
        machine.on_timer("fetch")
    asked = {peer for peer, want in machine._state.fetcher.asked if want == WantNonces(RID)}
    assert {peer.index for peer in asked if not peer.is_old} == others
    assert len(asked) == 4
    early = new_machine()
    early.on_chain(view("test", 4))
    assert all(peer.is_old for peer, want in early._state.fetcher.asked if want == WantNonces(RID))


def test_a_member_that_holds_the_batch_hands_its_nonces_on() -> None:
    machine, stored = ready_machine()
    stored |= kept(machine.on_chain(view("ready", 8)))
    for holder in (machine, new_machine(ME, stored)):
        holder.on_chain(view("final", 20))
        assert sent(holder.handle(Sender(new=5), WantNonces(RID)), Nonces) == [(5, Nonces(RID, ESTATE.nonces))]
        assert holder.handle(Sender(old=5), WantNonces(RID)) == []
        holder.upgrade(0)
        holder.on_timer("serve")
        ((_, nonces),) = sent(holder.handle(Sender(new=5), WantNonces(RID)), Nonces)
        assert nonces.nonces == bytes(32) + ESTATE.nonces[32:]
    assert new_machine(2).handle(Sender(new=5), WantNonces(RID)) == []


def test_a_final_hash_that_is_not_its_own_is_a_conflict() -> None:
    machine, _ = ready_machine()
    machine.on_chain(view("ready", 8))
    effects = machine.on_chain(view("final", 10, hash=filled(1), readies={}))
    assert Done(Outcome.CONFLICT) in effects
    assert Erase(Shelf.KEPT) in effects
    assert machine.batch is None


def test_all_is_erased_when_all_hold_but_the_shares() -> None:
    machine, _ = ready_machine()
    machine.on_chain(view("ready", 8))
    everybody = {"holders": {1, 2, 3, 4, 5}}
    assert Done(Outcome.HELD) in machine.on_chain(view("final", 10, **everybody))
    effects = machine.on_chain(view("final", 11, **everybody))
    assert effects == [Erase(Shelf.BRIEF), Erase(Shelf.RETAINED)]
    assert machine.closed
    assert machine.batch == ROWS
    assert new_machine_without_key({"shares": ROWS}).closed


def new_machine_without_key(durable: dict[str, bytes]) -> Resharing:
    return Resharing(PARAMS, KEYS, None, ME, None, None, None, filled(9), durable)


def test_a_failed_resharing_leaves_nothing() -> None:
    machine, _ = ready_machine()
    machine.on_chain(view("ready", 8))
    machine.on_chain(view("failed", 10))
    effects = machine.on_chain(view("failed", 11))
    assert {e.shelf for e in effects if isinstance(e, Erase)} == set(Shelf)
    assert machine.batch is None


def test_without_a_key_it_asks_for_nothing_and_says_nothing() -> None:
    machine = new_machine(5)
    for height, phase in enumerate(("deal", "test", "ack", "ready", "final"), start=1):
        effects = machine.on_chain(view(phase, height))
        assert not submitted(effects)
        assert not sent(effects, object)


def test_shares_open_the_keys() -> None:
    shares = {}
    for m in (1, 2, 4):
        machine = new_machine(m)
        machine.on_chain(view("test", 4))
        feed(machine)
        give_nonces(machine)
        machine.on_chain(view("ready", 8))
        assert machine.batch is not None
        shares[m] = int.from_bytes(machine.batch[:32], "big")
    assert interpolate_at_zero(shares) == ESTATE.secrets[0]
