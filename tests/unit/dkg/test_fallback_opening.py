"""The exponent fallback F at one machine: points from lists and scalars of which t lie; crashes, late comers."""

from dataclasses import replace

import pytest

from authnet_core.protocol.dkg import fallback
from authnet_core.protocol.dkg.effects import Blame, Store, Submit
from authnet_core.protocol.dkg.fetching import FETCH_TIMER
from authnet_core.protocol.dkg.messages import (
    FallbackList,
    Opened,
    Parts,
    WantList,
    WantParts,
)
from tests.sim.evil import evil_dealing
from tests.unit.dkg.driving import pick, sends, submits
from tests.unit.dkg.lying import (
    CHEAT,
    HONEST,
    LIAR,
    PARAMS,
    PARTIES,
    SID,
    VICTIM,
    Told,
    answers,
    live,
    part,
    plain,
    session,
    shown_fallback,
    stored,
)
from tests.unit.dkg.setting import filled, seed_of
from tests.unit.dkg.silence import (
    HOLDERS,
    LISTS,
    ME,
    NOTHING,
    SILENT,
    answered,
    challenged,
    fallback_messages,
    good_scalars,
    open_all,
    opened_points,
    waiting,
)


def test_k_good_lists_open_the_dealer_and_are_stored_before_the_bit() -> None:
    machine, told, _ = challenged()
    effects = open_all(machine, told)
    assert opened_points(machine) == HONEST[SILENT].points.points64[: 64 * PARAMS.rows]
    names = [e.name for e in effects if isinstance(e, Store)]
    assert names == [f"parts/{SILENT}/1", f"parts/{SILENT}/2", "shares", "keys"]
    (bits,) = [e for e in effects if isinstance(e, Submit) and isinstance(e.message, Opened)]
    assert bits.message == Opened(SID, 0b11111)
    assert effects.index(bits) > max(number for number, e in enumerate(effects) if isinstance(e, Store))
    assert machine.missing == ()


def test_the_dealers_own_list_and_the_fallback_give_the_same_keys() -> None:
    by_list, told, _ = waiting()
    by_list.handle(SILENT, HONEST[SILENT].points)
    by_fallback, told, _ = challenged()
    open_all(by_fallback, told)
    assert by_list.batch is not None
    assert by_fallback.batch is not None
    assert by_list.batch.keys == by_fallback.batch.keys
    assert by_list.batch.shares == by_fallback.batch.shares


def test_a_list_that_opens_meanwhile_is_used_and_ends_the_fallback_here() -> None:
    machine, told, _ = challenged()
    machine.on_chain(told.next().view)
    effects = machine.handle(SILENT, HONEST[SILENT].points)
    assert [m for m in submits(effects) if isinstance(m, Opened)]
    assert machine.batch is not None
    assert machine.handle(1, LISTS[1]) == []
    assert not sends(machine.on_timer(FETCH_TIMER), WantParts)


def test_a_list_after_the_fallback_changes_nothing() -> None:
    machine, told, _ = challenged()
    open_all(machine, told)
    assert machine.handle(SILENT, HONEST[SILENT].points) == []


@pytest.mark.parametrize("liar", [1, 2, 5])
def test_t_wrong_lists_and_scalars_change_nothing(liar: int) -> None:
    """Five hashes, of which one is of a list that its holder made up, and one scalar to go with it."""
    lists = {j: part(HONEST, SILENT, j) for j in PARTIES}
    lists[liar] = replace(part(HONEST, 5, liar), dealer=SILENT)
    machine, told, _ = waiting()
    machine.on_chain(told.next().view)
    told.fallbacks = {SILENT: shown_fallback(lists, SILENT, told.chain.height)}
    scalars = answers(HONEST, SILENT, told.fallbacks[SILENT].seed, tuple(PARTIES))
    scalars[liar] = fallback.answer(PARAMS, plain(HONEST, 5, liar), bytes.fromhex(told.fallbacks[SILENT].seed))
    answered(told, scalars)
    effects = machine.on_chain(told.next().view)
    for holder in (liar, 1, 2, 4, 5):
        effects += machine.handle(holder, lists[holder])
    assert opened_points(machine) == HONEST[SILENT].points.points64[: 64 * PARAMS.rows]
    assert not pick(effects, Blame), "what hashes and error correction show is no proof"
    assert f"parts/{SILENT}/{liar}" not in stored(effects)
    assert not sends(machine.on_timer(FETCH_TIMER), WantParts)


def test_too_few_scalars_on_one_polynomial_open_nothing() -> None:
    machine, told, _ = challenged()
    scalars = good_scalars(told)
    answered(told, {**scalars, 1: filled(1)})
    machine.on_chain(told.next().view)
    for holder in (1, 2, 5):
        machine.handle(holder, LISTS[holder])
    assert SILENT not in machine._state.held.points
    answered(told, {**scalars, 1: filled(1), SILENT: good_scalars(told, (SILENT,))[SILENT]})
    machine.on_chain(told.next().view)
    assert opened_points(machine) == HONEST[SILENT].points.points64[: 64 * PARAMS.rows]


def test_a_polynomial_that_the_own_share_is_not_on_is_not_used() -> None:
    """More than t liars could agree on one; then a node that has a share notices."""
    machine, told, _ = challenged()
    others = answers({**HONEST, SILENT: HONEST[5]}, SILENT, told.fallbacks[SILENT].seed, (1, 2, 4, 5))
    answered(told, others)
    machine.on_chain(told.next().view)
    for holder in (1, 2, 5):
        machine.handle(holder, LISTS[holder])
    assert SILENT not in machine._state.held.points


def test_a_scalar_that_is_not_canonical_spoils_its_own_record_only() -> None:
    machine, told, _ = challenged()
    answered(told, {**good_scalars(told), 5: b"\xff" * 32})
    assert not [m for m in fallback_messages(machine.on_chain(told.next().view)) if isinstance(m, FallbackList)]
    assert SILENT not in machine._state.held.points


@pytest.mark.parametrize("kept", ["all", "no used list"])
def test_a_crash_after_opening_keeps_what_the_bit_promised(kept: str) -> None:
    machine, told, effects = challenged()
    effects += open_all(machine, told)
    disk = {name: payload for name, payload in stored(effects).items() if name not in ("shares", "keys")}
    if kept != "all":
        disk = {name: payload for name, payload in disk.items() if not name.startswith("parts/")}
    again = session(ME, disk)
    effects = again.on_chain(told.next().view)
    if kept == "all":
        assert opened_points(again) == HONEST[SILENT].points.points64[: 64 * PARAMS.rows]
        assert sends(again.handle(5, WantParts(SID, SILENT, 1)), Parts)
        return
    asked = sends(effects, WantParts)
    assert {e.message for e in asked} == {WantParts(SID, SILENT, j) for j in HOLDERS if j != ME}
    for holder in (1, 2, 5):
        again.handle(holder, LISTS[holder])
    assert SILENT in again._state.held.points


@pytest.mark.parametrize("phase", ["opened", "final"])
def test_who_comes_late_opens_from_the_lists_of_the_others(phase: str) -> None:
    _, told, effects = challenged()
    answered(told, good_scalars(told))
    told.to(phase)
    again = session(ME, {name: payload for name, payload in stored(effects).items() if "parts" not in name})
    effects = again.on_chain(told.view)
    assert {e.message for e in sends(effects, WantParts)} >= {WantParts(SID, SILENT, j) for j in HOLDERS if j != ME}
    assert sends(effects, WantList), "or from the dealer's own, if anybody has it"
    for holder in (1, 2, 5):
        again.handle(holder, LISTS[holder])
    assert opened_points(again) == HONEST[SILENT].points.points64[: 64 * PARAMS.rows]
    assert fallback_messages(effects) == []


def test_a_wrong_list_of_a_dealer_is_opened_by_the_fallback_with_the_points_it_dealt() -> None:
    dealings = {**HONEST, LIAR: evil_dealing(PARAMS, LIAR, seed_of(LIAR), "wrong list")}
    told = Told(dealings)
    machine, _ = live(ME, told, dealings)
    machine.on_chain(told.to("certified").view)
    assert LIAR in machine._state.held.bad_lists
    lists = {j: part(dealings, LIAR, j) for j in PARTIES}
    told.fallbacks = {LIAR: shown_fallback(lists, LIAR, 1)}
    seed = told.fallbacks[LIAR].seed
    told.fallbacks = {LIAR: shown_fallback(lists, LIAR, 1, answers(dealings, LIAR, seed, tuple(PARTIES)))}
    machine.on_chain(told.next().view)
    for holder in (2, 4, 5):
        machine.handle(holder, lists[holder])
    points = b"".join(map(fallback.point64, machine._state.held.points[LIAR]))
    assert points == HONEST[LIAR].points.points64[: 64 * PARAMS.rows]
    assert machine.batch is not None


def test_a_cheated_node_posts_nothing_but_opens_from_the_others() -> None:
    """Its share came by no recovery yet; f_i is what the others' shares say."""
    told = Told(CHEAT)
    machine, _ = live(VICTIM, told, CHEAT, without_list=LIAR)
    told.to("certified")
    lists = {j: part(CHEAT, LIAR, j) for j in (1, 3, 4, 5)}
    told.fallbacks = {LIAR: NOTHING}
    assert fallback_messages(machine.on_chain(told.view)) == []
    shown = shown_fallback(lists, LIAR, told.chain.height)
    told.fallbacks = {
        LIAR: shown_fallback(lists, LIAR, told.chain.height, answers(CHEAT, LIAR, shown.seed, (1, 3, 4, 5)))
    }
    assert fallback_messages(machine.on_chain(told.next().view)) == []
    for holder in (3, 4, 5):
        machine.handle(holder, lists[holder])
    points = b"".join(map(fallback.point64, machine._state.held.points[LIAR]))
    assert points == HONEST[LIAR].points.points64[: 64 * PARAMS.rows]
