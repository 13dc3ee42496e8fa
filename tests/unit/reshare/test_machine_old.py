"""An old member: deals once, answers one challenge once, serves only new members."""

from dataclasses import replace

import pytest

from authnet_core.protocol.dkg.effects import Done, Erase, Outcome, Shelf
from authnet_core.protocol.reshare.machine import ABORT_TIMER, RETAIN_TIMER, Resharing
from authnet_core.protocol.reshare.messages import (
    Nonces,
    ReshareBundle,
    ReshareDeal,
    WantNonces,
    WantReshareBundle,
    WantReshareRecovery,
)
from authnet_core.protocol.reshare.params import Sender
from authnet_core.protocol.reshare.strings import gamma_seed
from tests.unit.reshare.driving import kept, names, old_machine, sent, submitted, view
from tests.unit.reshare.setting import DEALINGS, ESTATE, GAMMA, KEYS, PARAMS, TESTS, filled, make_setting, seed_of

ME = 2
RID = PARAMS.rid


def dealt(machine: Resharing) -> dict[str, bytes]:
    return kept(machine.on_chain(view("deal", 1)))


def test_it_stores_its_deal_before_it_sends_it() -> None:
    effects = old_machine().on_chain(view("deal", 1))
    assert names(effects) == ["Store", "Store", "Submit", "SendAllNew"]
    assert kept(effects)["deal"] == seed_of(ME) + DEALINGS[ME].deal.encode()
    assert submitted(effects) == [DEALINGS[ME].deal]
    assert sent(effects, ReshareBundle) == [(None, DEALINGS[ME].bundle)]


def test_after_a_crash_it_deals_the_same_though_its_seed_is_another() -> None:
    durable = dealt(old_machine())
    for left in (durable, {"deal": durable["deal"]}):
        again = old_machine(durable=left, seed=filled(1)).on_chain(view("deal", 2))
        assert submitted(again) == [DEALINGS[ME].deal]
        assert sent(again, ReshareBundle) == [(None, DEALINGS[ME].bundle)]


def test_a_stored_deal_that_these_shares_do_not_give_is_an_error() -> None:
    durable = dealt(old_machine())
    rows = ESTATE.rows[3]
    with pytest.raises(ValueError, match="can not be made again"):
        Resharing(PARAMS, KEYS, ME, None, None, rows, ESTATE.masks[ME], filled(1), durable)


@pytest.mark.parametrize("lacking", ["rows", "mask"])
def test_without_the_batch_or_the_mask_it_does_not_deal(lacking: str) -> None:
    rows = None if lacking == "rows" else ESTATE.rows[ME]
    mask = None if lacking == "mask" else ESTATE.masks[ME]
    machine = Resharing(PARAMS, KEYS, ME, None, None, rows, mask, filled(1), {})
    assert machine.on_chain(view("deal", 1)) == []


def test_too_late_it_does_not_deal() -> None:
    others = {j: made.deal for j, made in DEALINGS.items() if j != ME}
    assert old_machine().on_chain(view("test", 3, deals=others, dealers=tuple(others))) == []


def test_it_answers_when_the_block_after_the_challenge_is_there_and_stores_first() -> None:
    machine = old_machine()
    dealt(machine)
    assert submitted(machine.on_chain(view("test", 4))) == []
    effects = machine.on_chain(view("test", 5))
    assert names(effects) == ["Store", "Submit"]
    assert submitted(effects) == [TESTS[ME]]
    assert kept(effects)["test"] == GAMMA + b"".join(TESTS[ME].u)
    assert submitted(machine.on_chain(view("test", 6))) == []
    assert submitted(machine.on_chain(view("test", 7))) == [TESTS[ME]]  # the chain does not show it
    assert submitted(machine.on_chain(view("test", 9, tests={ME: TESTS[ME]}))) == []


def test_after_a_crash_it_gives_the_stored_answer() -> None:
    machine = old_machine()
    durable = dealt(machine)
    machine.on_chain(view("test", 4))
    durable |= kept(machine.on_chain(view("test", 5)))
    # Even without rows and mask: nothing has to be derived again.
    again = Resharing(PARAMS, KEYS, ME, None, None, None, None, filled(1), durable)
    again.on_chain(view("test", 6))
    assert submitted(again.on_chain(view("test", 7))) == [TESTS[ME]]


def test_a_second_challenge_is_never_answered() -> None:
    """Two answers under one mask give away a combination of shares."""
    machine = old_machine()
    durable = dealt(machine)
    machine.on_chain(view("test", 4))
    durable |= kept(machine.on_chain(view("test", 5)))
    fewer = (1, 2, 3, 4)
    other = gamma_seed(RID, PARAMS.root, {j: DEALINGS[j].deal.root for j in fewer})
    for again in (machine, old_machine(durable=durable)):
        for height in (6, 7, 8, 9):
            assert submitted(again.on_chain(view("test", height, dealers=fewer, gamma_seed=other))) == []


@pytest.mark.parametrize("change", [{"gamma_seed": filled(7)}, {"dealers": (2, 3, 4)}])
def test_a_challenge_that_d_does_not_give_is_not_answered(change: dict[str, object]) -> None:
    machine = old_machine()
    dealt(machine)
    for height in (4, 5, 6):
        assert submitted(machine.on_chain(view("test", height, **change))) == []
    assert machine.missing == ("fork",)


def test_out_of_d_it_is_silent() -> None:
    machine = old_machine()
    dealt(machine)
    others = tuple(j for j in PARAMS.dealers if j != ME)
    seed = gamma_seed(RID, PARAMS.root, {j: DEALINGS[j].deal.root for j in others})
    for height in (4, 5):
        assert submitted(machine.on_chain(view("test", height, dealers=others, gamma_seed=seed))) == []


def test_after_the_cut_off_it_is_silent() -> None:
    machine = old_machine()
    dealt(machine)
    machine.on_chain(view("test", 4))
    tests = {j: test for j, test in TESTS.items() if j != ME}
    assert submitted(machine.on_chain(view("ack", 5, tests=tests))) == []


def test_a_deal_on_chain_that_its_disk_does_not_know_bars_it() -> None:
    machine = old_machine(seed=filled(1))
    assert machine.on_chain(view("deal", 2, deals={ME: DEALINGS[ME].deal})) == []
    for height in (4, 5):
        assert submitted(machine.on_chain(view("test", height))) == []


def test_it_sends_its_bundle_again_to_those_that_have_not_acked() -> None:
    durable = dealt(old_machine())
    again = old_machine(durable=durable)
    effects = again.on_chain(view("ack", 6, acks={1: 0b10, 4: 0b11101}))
    assert [to for to, _ in sent(effects, ReshareBundle)] == [2, 3, 4, 5]


def test_it_serves_new_members_only_and_not_too_often() -> None:
    machine = old_machine()
    dealt(machine)
    assert sent(machine.handle(Sender(new=4), WantReshareBundle(RID, ME)), ReshareBundle)
    assert sent(machine.handle(Sender(new=4), WantReshareBundle(RID, ME)), ReshareBundle) == []
    machine.on_timer("serve")
    assert sent(machine.handle(Sender(new=4), WantReshareBundle(RID, ME)), ReshareBundle)
    assert sent(machine.handle(Sender(new=4), WantNonces(RID)), Nonces) == [(4, Nonces(RID, ESTATE.nonces))]
    for stranger in (Sender(old=3), Sender(), Sender(new=6), Sender(old=ME, new=1)):
        assert machine.handle(stranger, WantNonces(RID)) == []
        assert machine.handle(stranger, WantReshareBundle(RID, ME)) == []
    assert machine.handle(Sender(new=1), WantReshareRecovery(RID, 1)) == []
    assert machine.handle(Sender(new=1), WantNonces(filled(1))) == []


def test_an_upgraded_keys_nonce_is_not_served() -> None:
    machine = old_machine()
    dealt(machine)
    machine.upgrade(0)
    ((_, nonces),) = sent(machine.handle(Sender(new=4), WantNonces(RID)), Nonces)
    assert nonces.nonces == bytes(32) + ESTATE.nonces[32:]
    with pytest.raises(IndexError):
        machine.upgrade(2)


def test_nothing_is_served_of_a_failed_resharing_and_all_is_erased_a_block_later() -> None:
    machine = old_machine()
    dealt(machine)
    assert machine.on_chain(view("failed", 6)) == []
    assert machine.handle(Sender(new=4), WantNonces(RID)) == []
    effects = machine.on_chain(view("failed", 7))
    assert {e.shelf for e in effects if isinstance(e, Erase)} == set(Shelf)
    assert Done(Outcome.ABANDONED) in effects
    assert machine.closed


def test_an_abort_erases_at_once() -> None:
    machine = old_machine()
    dealt(machine)
    assert Done(Outcome.ABANDONED) in machine.on_timer(ABORT_TIMER)
    assert machine.closed
    assert machine.on_chain(view("test", 9)) == []


def test_it_erases_seed_and_mask_after_the_grace_and_the_rest_when_all_hold() -> None:
    machine = old_machine()
    dealt(machine)
    effects = machine.on_chain(view("final", 8))
    assert Done(Outcome.HELD) in effects
    assert machine.on_timer("grace") == [Erase(Shelf.BRIEF)]
    assert not machine._state.old.seed  # type: ignore[union-attr]
    assert sent(machine.handle(Sender(new=5), WantNonces(RID)), Nonces)
    machine.on_chain(view("final", 9, holders={1, 2, 3, 4, 5}))
    assert Erase(Shelf.RETAINED) in machine.on_chain(view("final", 10, holders={1, 2, 3, 4, 5}))
    assert machine.closed


def test_retain_ends_it_too() -> None:
    machine = old_machine()
    dealt(machine)
    machine.on_chain(view("final", 8))
    assert machine.on_timer(RETAIN_TIMER) == [Erase(Shelf.BRIEF), Erase(Shelf.RETAINED)]
    assert machine.closed


def test_a_machine_is_refused() -> None:
    good = (ESTATE.rows[ME], ESTATE.masks[ME], filled(1))
    with pytest.raises(ValueError, match="neither"):
        Resharing(PARAMS, KEYS, None, None, None, *good, {})
    with pytest.raises(ValueError, match="no such party"):
        Resharing(PARAMS, KEYS, 6, None, None, *good, {})
    with pytest.raises(ValueError, match="secret of the announced"):
        Resharing(PARAMS, KEYS, None, 3, filled(3), *good, {})
    with pytest.raises(ValueError, match="root"):
        Resharing(PARAMS, make_setting(seed=2).keys, ME, None, None, *good, {})
    with pytest.raises(ValueError, match="a share and a nonce"):
        Resharing(PARAMS, KEYS, ME, None, None, bytes(64), good[1], good[2], {})
    with pytest.raises(ValueError, match="mask"):
        Resharing(PARAMS, KEYS, ME, None, None, good[0], bytes(31), good[2], {})
    with pytest.raises(ValueError, match="not a stored deal"):
        Resharing(PARAMS, KEYS, ME, None, None, *good, {"deal": bytes(40)})


def test_it_says_nothing_secret_of_itself() -> None:
    machine = old_machine()
    dealt(machine)
    shown = repr(machine) + repr(machine._state)
    for secret in (seed_of(ME), ESTATE.masks[ME], ESTATE.rows[ME][:32]):
        assert secret.hex() not in shown
        assert repr(secret)[2:-1] not in shown


def test_another_resharings_view_is_ignored() -> None:
    other = replace(PARAMS, attempt=1)
    machine = old_machine()
    assert machine.on_chain(view("deal", 1, params=other)) == []
    assert isinstance(ReshareDeal.decode(DEALINGS[ME].deal.encode()), ReshareDeal)
