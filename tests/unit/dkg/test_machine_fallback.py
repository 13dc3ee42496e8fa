"""The exponent fallback F at one machine: one challenge a mask, ever; what is answered, served, refused."""

from dataclasses import replace

import msgspec
import pytest

from authnet_core.protocol.dkg import fallback, strings
from authnet_core.protocol.dkg.effects import Blame, Shelf, Store, Submit
from authnet_core.protocol.dkg.fetching import FETCH_TIMER
from authnet_core.protocol.dkg.machine import Session
from authnet_core.protocol.dkg.messages import (
    FallbackList,
    FallbackScalar,
    Parts,
    PointList,
    WantList,
    WantParts,
)
from tests.sim.model_chain import ModelChain
from tests.unit.dkg.driving import pick, sends
from tests.unit.dkg.lying import (
    HONEST,
    PARAMS,
    PARTIES,
    SID,
    Told,
    live,
    part,
    plain,
    session,
    shown_fallback,
    stored,
)
from tests.unit.dkg.setting import ek_secret, filled, seed_of
from tests.unit.dkg.silence import (
    HOLDERS,
    LISTS,
    ME,
    NOTHING,
    SILENT,
    another,
    answered,
    challenged,
    fallback_messages,
    open_all,
    waiting,
)


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
    for lists in (LISTS, {}):
        told.fallbacks = {SILENT: shown_fallback(lists, SILENT)}
        assert fallback_messages(machine.on_chain(told.next(9).view)) == []
        assert machine.missing[-1] == f"fork/{SILENT}"


def test_no_part_is_taken_with_a_lost_disk_without_a_share_or_without_a_key() -> None:
    _, told, effects = challenged()
    lost = session(ME)  # the chain has a deal of ours
    without_share = session(ME, {name: payload for name, payload in stored(effects).items() if "4" not in name})
    without_key = Session(PARAMS, ME, None, seed_of(ME), stored(effects))
    for machine in (lost, without_share, without_key):
        assert fallback_messages(machine.on_chain(told.next().view)) == []


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
