"""The exponent fallback F at one machine: one challenge a mask, ever; lists and scalars of which t lie; crashes."""

from dataclasses import replace

import msgspec
import pytest

from authnet_core.protocol.dkg import fallback, strings
from authnet_core.protocol.dkg.effects import Blame, Effect, Shelf, Store, Submit
from authnet_core.protocol.dkg.fetching import FETCH_TIMER
from authnet_core.protocol.dkg.machine import Session
from authnet_core.protocol.dkg.messages import (
    ChainMessage,
    FallbackList,
    FallbackScalar,
    Opened,
    Parts,
    PointList,
    WantList,
    WantParts,
)
from authnet_core.protocol.dkg.stage_keys import OPENED_TIMER
from authnet_core.protocol.views import FallbackView
from tests.sim.evil import evil_dealing
from tests.sim.model_chain import ModelChain
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
from tests.unit.dkg.setting import ek_secret, filled, seed_of

SILENT, ME = 4, 3
"""The dealer that keeps its list, and the machine under test."""
HOLDERS = (1, 2, 3, 5)
LISTS = {j: part(HONEST, SILENT, j) for j in HOLDERS}
NOTHING = FallbackView(lists={})


def fallback_messages(effects: list[Effect]) -> list[ChainMessage]:
    return [m for m in submits(effects) if isinstance(m, FallbackList | FallbackScalar)]


def waiting(me: int = ME) -> tuple[Session, Told, list[Effect]]:
    """All lists of Q are there but that of SILENT, whose deadline is over."""
    told = Told(HONEST)
    machine, effects = live(me, told, HONEST, without_list=SILENT)
    effects += machine.on_chain(told.to("certified").view)
    effects += machine.on_timer(OPENED_TIMER)
    told.fallbacks = {SILENT: NOTHING}
    return machine, told, effects


def challenged(me: int = ME) -> tuple[Session, Told, list[Effect]]:
    """The challenge is fixed in the newest block."""
    machine, told, effects = waiting(me)
    effects += machine.on_chain(told.next().view)
    told.next()
    told.fallbacks = {SILENT: shown_fallback(LISTS, SILENT, told.chain.height)}
    effects += machine.on_chain(told.view)
    return machine, told, effects


def answered(told: Told, scalars: dict[int, bytes]) -> Told:
    """All of `scalars` are on chain."""
    shown = told.fallbacks[SILENT]
    told.fallbacks = {SILENT: msgspec.structs.replace(shown, scalars={j: w.hex() for j, w in scalars.items()})}
    return told


def good_scalars(told: Told, holders: tuple[int, ...] = HOLDERS) -> dict[int, bytes]:
    return answers(HONEST, SILENT, told.fallbacks[SILENT].seed, holders)


def test_own_list_is_stored_then_hashed_on_chain_until_it_is_there() -> None:
    machine, told, _ = waiting()
    effects = machine.on_chain(told.next().view)
    mine = [e for e in effects if isinstance(e, Store | Submit)]
    assert [type(e) for e in mine] == [Store, Submit]
    kept, submitted = mine
    assert isinstance(kept, Store)
    assert isinstance(submitted, Submit)
    assert (kept.name, kept.shelf, kept.payload) == (f"parts/{SILENT}/{ME}", Shelf.RETAINED, LISTS[ME].points64)
    assert submitted.message == FallbackList(SID, SILENT, fallback.hash_of(LISTS[ME]))
    assert fallback_messages(machine.on_chain(told.next().view)) == []
    assert fallback_messages(machine.on_chain(told.next().view)) == [submitted.message]
    told.fallbacks = {SILENT: shown_fallback({ME: LISTS[ME]}, SILENT)}
    assert fallback_messages(machine.on_chain(told.next(9).view)) == []


def test_nothing_of_a_fallback_before_q_has_a_block_behind_it() -> None:
    told = Told(HONEST)
    machine, _ = live(ME, told, HONEST, without_list=SILENT)
    told.to("certified").fallbacks = {SILENT: NOTHING}
    early = msgspec.structs.replace(told.view, height=told.chain.q_height)
    assert fallback_messages(machine.on_chain(early)) == []
    assert machine._state.held.parts == {}
    assert fallback_messages(machine.on_chain(told.view)) != []


def test_no_list_for_a_dealer_outside_q_or_opened_meanwhile_or_after_the_cut_off() -> None:
    for case in ("not in Q", "opened", "late", "phase"):
        machine, told, _ = waiting()
        match case:
            case "not in Q":
                told.chain.q = tuple(i for i in PARTIES if i != SILENT)
            case "opened":
                told.chain.opened = dict.fromkeys((1, 2), 1 << (SILENT - 1))
            case "late":
                others = {j: LISTS[j] for j in HOLDERS if j != ME}
                told.fallbacks = {SILENT: shown_fallback(others, SILENT, told.chain.height)}
            case "phase":
                told.chain.phase = "opened"
        sent = fallback_messages(machine.on_chain(told.next().view))
        assert not [m for m in sent if isinstance(m, FallbackList)], case
        assert (SILENT, ME) not in machine._state.held.parts, case


def test_who_missed_the_cut_off_still_answers() -> None:
    machine, told, _ = waiting()
    others = {j: LISTS[j] for j in (1, 2, 5)}
    told.fallbacks = {SILENT: shown_fallback({**others, SILENT: part(HONEST, SILENT, SILENT)}, SILENT, 1)}
    (answer,) = fallback_messages(machine.on_chain(told.next().view))
    assert isinstance(answer, FallbackScalar)


def test_no_answer_in_the_block_of_the_challenge() -> None:
    machine, told, effects = challenged()
    assert not [m for m in fallback_messages(effects) if isinstance(m, FallbackScalar)]
    assert f"spare/{SILENT}" not in stored(effects)
    assert fallback_messages(machine.on_chain(told.next().view))


def test_the_use_of_the_mask_is_on_disk_before_the_answer_leaves() -> None:
    machine, told, _ = challenged()
    effects = [e for e in machine.on_chain(told.next().view) if isinstance(e, Store | Submit)]
    seed = bytes.fromhex(told.fallbacks[SILENT].seed)
    assert effects == [
        Store(f"spare/{SILENT}", seed, Shelf.RETAINED),
        Submit(FallbackScalar(SID, SILENT, fallback.answer(PARAMS, plain(HONEST, SILENT, ME), seed))),
    ]
    answered(told, {ME: bytes(32)})
    assert fallback_messages(machine.on_chain(told.next(9).view)) == [], "it is on chain"


def another(told: Told) -> Told:
    """The same session on another branch: n-t other members were first."""
    lists = {j: part(HONEST, SILENT, j) for j in (2, 3, 4, 5)}
    told.fallbacks = {SILENT: shown_fallback(lists, SILENT, told.fallbacks[SILENT].seed_height)}
    return told


def test_no_second_challenge_is_answered_by_the_same_life_or_by_one_after_a_crash() -> None:
    machine, told, effects = challenged()
    effects += machine.on_chain(told.next().view)
    first = fallback_messages(effects)[-1]
    disk = stored(effects)
    again = session(ME, disk)
    assert fallback_messages(again.on_chain(told.view)) == [first], "the same one, after a crash"
    another(told)
    for one in (machine, session(ME, disk)):
        effects = one.on_chain(told.next(9).view)
        assert fallback_messages(effects) == []
        assert not pick(effects, Blame), "a fork is nobody's fault that this node could name"
        assert not sends(effects, WantParts)
        assert f"fork/{SILENT}" in one.missing


def test_a_crash_before_the_mask_is_on_disk_has_answered_nothing() -> None:
    machine, told, effects = challenged()
    disk = stored(effects)  # the next Store never became durable, so no later effect happened
    again = session(ME, disk)
    sent = fallback_messages(again.on_chain(another(told).next().view))
    assert [type(m) for m in sent] == [FallbackScalar], "this mask is unused"
    assert machine._state.spent == {}


def test_the_mark_outlives_all_from_which_the_share_could_be_made_again() -> None:
    """The share follows from bundle and ek, so a mark on a shelf that goes earlier would be worth nothing."""
    machine, told, effects = challenged()
    kept = [e for e in [*effects, *machine.on_chain(told.next().view)] if isinstance(e, Store)]
    shelves = {e.name.partition("/")[0]: e.shelf for e in kept}
    assert shelves["spare"] is shelves["bundle"] is Shelf.RETAINED


def test_a_challenge_that_the_hashes_do_not_give_is_not_answered() -> None:
    machine, told, _ = challenged()
    shown = told.fallbacks[SILENT]
    for wrong in (
        msgspec.structs.replace(shown, seed=filled(7).hex()),
        msgspec.structs.replace(shown, lists={**shown.lists, SILENT: filled(8).hex()}),
        msgspec.structs.replace(shown, lists={j: h for j, h in shown.lists.items() if j != 1}),
    ):
        told.fallbacks = {SILENT: wrong}
        effects = machine.on_chain(told.next(3).view)
        assert fallback_messages(effects) == []
        assert not sends(effects, WantParts)
        assert machine.missing[-1] == f"fork/{SILENT}"
    told.fallbacks = {SILENT: msgspec.structs.replace(shown, seed="not hex")}
    assert fallback_messages(machine.on_chain(told.next(3).view)) == []


def test_a_challenge_that_went_away_again_is_a_fork() -> None:
    machine, told, _ = challenged()
    machine.on_chain(told.next().view)
    told.fallbacks = {SILENT: shown_fallback(LISTS, SILENT)}
    assert fallback_messages(machine.on_chain(told.next(9).view)) == []
    assert machine.missing[-1] == f"fork/{SILENT}"


def test_no_part_is_taken_with_a_lost_disk_without_a_share_or_without_a_key() -> None:
    _, told, effects = challenged()
    lost = session(ME)  # the chain has a deal of ours
    without_share = session(ME, {name: payload for name, payload in stored(effects).items() if "4" not in name})
    without_key = Session(PARAMS, ME, None, seed_of(ME), stored(effects))
    for machine in (lost, without_share, without_key):
        assert fallback_messages(machine.on_chain(told.next().view)) == []


# -- lists --------------------------------------------------------------------------------------------------------


def test_lists_are_asked_of_their_holders_at_once_when_the_challenge_is_settled() -> None:
    machine, told, _ = challenged()
    effects = machine.on_chain(told.next().view)
    asked = {(e.to, e.message) for e in sends(effects, WantParts)}
    assert asked == {(j, WantParts(SID, SILENT, j)) for j in HOLDERS if j != ME}
    assert not sends(machine.on_chain(told.next().view), WantParts), "then with pauses"
    assert len(sends(machine.on_timer(FETCH_TIMER), WantParts)) == 3


def test_a_list_counts_only_if_it_was_asked_for_and_fits_the_hash_and_the_curve() -> None:
    machine, told, _ = challenged()
    assert machine.handle(1, LISTS[1]) == [], "nobody asked"
    machine.on_chain(told.next().view)
    spoilt = bytearray(LISTS[1].points64)
    spoilt[63] ^= 2
    wrong = {
        "another holder's": replace(LISTS[2], holder=1),
        "another dealer's": replace(part(HONEST, 5, 1), dealer=SILENT),
        "a point off the curve": replace(LISTS[1], points64=bytes(spoilt)),
    }
    for message in wrong.values():
        assert [e.party for e in machine.handle(1, message) if isinstance(e, Blame)] == [1]
    for message in (
        replace(LISTS[1], points64=LISTS[1].points64 + bytes(64)),
        replace(LISTS[1], points64=b""),
        replace(LISTS[1], holder=0),
        replace(LISTS[1], holder=6),
        replace(LISTS[1], sid=filled(1)),
        part(HONEST, SILENT, SILENT),
        part(HONEST, 5, 1),
    ):
        assert machine.handle(1, message) == []
    assert machine.handle(2, LISTS[1]) == [], "a relay that was not asked"
    assert set(machine._state.held.parts) == {(SILENT, ME)}
    machine.handle(1, LISTS[1])
    assert machine._state.held.parts[SILENT, 1] == LISTS[1]


def test_own_lists_and_those_used_are_served_and_no_others() -> None:
    machine, told, _ = challenged()
    (own,) = sends(machine.handle(5, WantParts(SID, SILENT, ME)), Parts)
    assert own.message == LISTS[ME]
    assert machine.handle(5, WantParts(SID, SILENT, 1)) == []
    assert machine.handle(5, WantParts(SID, 2, ME)) == [], "no fallback runs for this dealer"
    open_all(machine, told)
    (used,) = sends(machine.handle(5, WantParts(SID, SILENT, 1)), Parts)
    assert used.message == LISTS[1]


# -- opening ------------------------------------------------------------------------------------------------------


def open_all(machine: Session, told: Told, lists: dict[int, Parts] | None = None) -> list[Effect]:
    answered(told, good_scalars(told))
    effects = machine.on_chain(told.next().view)
    for holder, list_ in (lists or LISTS).items():
        if holder != ME:
            effects += machine.handle(holder, list_)
    return effects


def opened_points(machine: Session) -> bytes:
    return b"".join(map(fallback.point64, machine._state.held.points[SILENT]))


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


def test_two_dealers_fall_back_side_by_side() -> None:
    machine, told, _ = waiting()
    told.fallbacks = {SILENT: NOTHING, 2: NOTHING}
    told.chain.opened = {}
    sent = fallback_messages(machine.on_chain(told.next().view))
    assert [m.dealer for m in sent if isinstance(m, FallbackList)] == [2, SILENT]
    assert fallback_messages(machine.on_chain(told.next().view)) == []


def test_no_scalar_is_a_share_or_a_row_of_zero_weight() -> None:
    """What leaves is masked: w differs from every share and from every combination without the mask."""
    machine, told, _ = challenged()
    (sent,) = fallback_messages(machine.on_chain(told.next().view))
    assert isinstance(sent, FallbackScalar)
    shares = plain(HONEST, SILENT, ME).shares
    rows = [shares[at : at + 32] for at in range(0, len(shares), 32)]
    assert sent.w not in rows
    unmasked = bytearray(shares)
    unmasked[32 * PARAMS.rows : 32 * PARAMS.rows + 32] = bytes(32)
    bare = replace(plain(HONEST, SILENT, ME), shares=bytes(unmasked))
    assert sent.w != fallback.answer(PARAMS, bare, bytes.fromhex(told.fallbacks[SILENT].seed))


def test_stored_lists_of_wrong_length_are_refused() -> None:
    with pytest.raises(ValueError, match="fallback list"):
        session(ME, {"parts/4/1": bytes(64)})


def test_the_dealer_itself_plays_its_part_and_may_still_open() -> None:
    machine, told, effects = waiting(SILENT)
    effects = machine.on_chain(told.next().view)
    assert [type(m) for m in fallback_messages(effects)] == [FallbackList]
    assert sends(machine.handle(1, WantList(SID, SILENT)), PointList)


def test_the_seed_covers_sid_dealer_members_and_hashes() -> None:
    digests = [(j, fallback.hash_of(LISTS[j])) for j in HOLDERS]
    seeds = {
        strings.fallback_seed(SID, SILENT, digests),
        strings.fallback_seed(filled(1), SILENT, digests),
        strings.fallback_seed(SID, 5, digests),
        strings.fallback_seed(SID, SILENT, digests[:-1]),
        strings.fallback_seed(SID, SILENT, [(j + 1, digest) for j, digest in digests]),
    }
    assert len(seeds) == 5
    assert ek_secret(1) != ek_secret(2)
    assert ModelChain(PARAMS).view().fallbacks == {}
