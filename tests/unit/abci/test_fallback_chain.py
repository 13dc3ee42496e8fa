"""FALLBACK_LIST and FALLBACK_SCALAR on chain: every refusal, the deadline, the one challenge, who sits out for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from authnet_core.crypto import merkle
from authnet_core.crypto.secp256k1 import Q
from authnet_core.errors import Code
from authnet_core.protocol.dkg.strings import fallback_seed
from authnet_core.wire import authnet_pb2 as wire
from tests.unit.abci.world import World

ALL, SILENT = 31, 3
OTHERS = ALL & ~4


def digest(member: int) -> bytes:
    return bytes([member]) * 32


class Story:
    """A chain whose sessions are short, and where dealer 3 never opens its list."""

    def __init__(self, folder: Path, **params: int) -> None:
        numbers = {"first_rows": 1, "rows": 1, "sessions_in_flight": 1, **params}
        self.world = World(folder / "app", params=numbers)
        self.world.begin_epoch()
        self.world.announce(count=32)
        self.world.block()

    @property
    def sid(self) -> bytes:
        return self.world.open_sid()

    def view(self, sid: bytes) -> Any:
        return self.world.query(f"/session/{sid.hex()}")

    def certify(self, sid: bytes, dealers: int = ALL) -> None:
        who = [i for i in range(1, 6) if dealers >> (i - 1) & 1]
        self.world.deals(sid, who)
        self.world.acks(sid, dealers, [1, 2, 3, 4])
        assert self.view(sid).phase == "certified"

    def pass_deadline(self) -> None:
        for _ in range(2):
            self.world.block()
        self.world.block(step_ms=3_000)

    def list(self, sid: bytes, member: int, dealer: int = SILENT, given: bytes | None = None) -> Code | None:
        message = wire.FallbackList(sid=sid, dealer=dealer, list_hash=digest(member) if given is None else given)
        return self.world.send(self.world.tx(member, fallback_list=message))[0]

    def scalar(self, sid: bytes, member: int, dealer: int = SILENT, w: bytes = bytes(32)) -> Code | None:
        message = wire.FallbackScalar(sid=sid, dealer=dealer, w=w)
        return self.world.send(self.world.tx(member, fallback_scalar=message))[0]

    def fix_seed(self, sid: bytes, dealer: int = SILENT) -> None:
        for member in (1, 2, 4, 5):
            assert self.list(sid, member, dealer) is None
        assert self.view(sid).fallbacks[dealer].seed

    def finish(self, sid: bytes) -> None:
        view = self.view(sid)
        self.world.opens(sid, sum(1 << (i - 1) for i in view.q), [1, 2])
        pairs = self.world.key_pairs(sid, view.count)
        self.world.finals(sid, merkle.root(pairs))
        assert self.view(sid).phase == "final"

    def fall_back(self, dealer: int = SILENT) -> bytes:
        """A session in which `dealer` is opened by the fallback alone."""
        sid = self.sid
        left_out = sum(1 << (i - 1) for i in self.view(sid).left_out)
        self.certify(sid, ALL & ~left_out)
        self.world.opens(sid, ALL & ~left_out & ~(1 << (dealer - 1)), [1, 2])
        self.pass_deadline()
        self.fix_seed(sid, dealer)
        self.finish(sid)
        return sid

    def plain(self) -> tuple[int, ...]:
        """A session in which all open; who was left out of it."""
        sid = self.sid
        left_out = tuple(self.view(sid).left_out)
        self.certify(sid, ALL & ~sum(1 << (i - 1) for i in left_out))
        self.finish(sid)
        return left_out


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    made = Story(tmp_path)
    yield made
    made.world.app.close()


@pytest.fixture
def due(story: Story) -> Story:
    """Dealer 3's list is overdue."""
    sid = story.sid
    story.certify(sid)
    story.world.opens(sid, OTHERS, [1, 2])
    story.pass_deadline()
    return story


def test_the_deadline_counts_from_the_block_after_q(story: Story) -> None:
    sid = story.sid
    story.certify(sid)
    story.world.block(step_ms=10_000)  # t0 is this block's time, however late it is
    story.world.block(step_ms=0)
    story.world.opens(sid, OTHERS, [1, 2])
    story.world.block(step_ms=2_000)
    assert story.view(sid).fallbacks == {}
    story.world.block(step_ms=1_000)
    assert list(story.view(sid).fallbacks) == [SILENT]


def test_time_alone_is_no_deadline(story: Story) -> None:
    sid = story.sid
    story.certify(sid)
    story.world.block()
    story.world.block(step_ms=10_000)
    assert story.view(sid).fallbacks == {}
    story.world.block()
    assert list(story.view(sid).fallbacks) == [1, 2, 3, 4, 5], "nobody opened anything"


def test_t_openers_are_too_few(story: Story) -> None:
    sid = story.sid
    story.certify(sid)
    story.world.opens(sid, ALL, [1])
    story.world.opens(sid, OTHERS, [2])
    story.pass_deadline()
    assert list(story.view(sid).fallbacks) == [SILENT]


def test_the_record_begins_empty_and_a_quick_session_has_none(due: Story, tmp_path: Path) -> None:
    fallback = due.view(due.sid).fallbacks[SILENT]
    assert (fallback.lists, fallback.seed, fallback.seed_height, fallback.scalars) == ({}, "", 0, {})
    quick = Story(tmp_path / "quick")
    sid = quick.sid
    quick.certify(sid)
    quick.finish(sid)
    assert quick.view(sid).fallbacks == {}
    quick.world.app.close()


def test_the_challenge_is_over_all_lists_of_the_block_that_brings_n_minus_t(due: Story) -> None:
    sid, world = due.sid, due.world
    for member in (4, 1):
        assert due.list(sid, member) is None
    messages = [(member, wire.FallbackList(sid=sid, dealer=SILENT, list_hash=digest(member))) for member in (5, 2, 3)]
    world.send(*(world.tx(member, fallback_list=message) for member, message in messages))
    fallback = due.view(sid).fallbacks[SILENT]
    assert fallback.seed == fallback_seed(sid, SILENT, [(j, digest(j)) for j in range(1, 6)]).hex()
    assert fallback.seed_height == world.height
    assert due.list(sid, 3) == Code.WRONG_PHASE
    world.block()
    assert due.view(sid).fallbacks[SILENT] == fallback, "one challenge, ever"


def test_fewer_than_n_minus_t_fix_no_challenge(due: Story) -> None:
    for member in (1, 2, 4):
        assert due.list(due.sid, member) is None
    due.world.block(step_ms=10_000)
    assert due.view(due.sid).fallbacks[SILENT].seed == ""
    assert due.scalar(due.sid, 1) == Code.WRONG_PHASE


def test_a_late_member_may_still_give_its_scalar(due: Story) -> None:
    due.fix_seed(due.sid)
    assert due.list(due.sid, 3) == Code.WRONG_PHASE
    assert due.scalar(due.sid, 3, w=digest(7)) is None
    assert due.view(due.sid).fallbacks[SILENT].scalars == {3: digest(7).hex()}


def test_list_refusals(due: Story) -> None:
    sid = due.sid
    assert due.list(bytes(32), 1) == Code.UNKNOWN_SESSION
    assert due.list(sid, 1, dealer=1) == Code.WRONG_PHASE
    assert due.list(sid, 1, dealer=0) == Code.NOT_A_DEALER
    assert due.list(sid, 1, dealer=6) == Code.NOT_A_DEALER
    assert due.list(sid, 1, given=b"") == Code.MALFORMED
    assert due.list(sid, 1, given=bytes(33)) == Code.MALFORMED
    assert due.list(sid, 1) is None
    assert due.list(sid, 1) == Code.ALREADY_DONE
    assert due.list(sid, 1, given=digest(9)) == Code.ALREADY_DONE


def test_scalar_refusals(due: Story) -> None:
    sid = due.sid
    assert due.scalar(sid, 1) == Code.WRONG_PHASE
    due.fix_seed(sid)
    assert due.scalar(bytes(32), 1) == Code.UNKNOWN_SESSION
    assert due.scalar(sid, 1, dealer=1) == Code.WRONG_PHASE
    assert due.scalar(sid, 1, dealer=7) == Code.NOT_A_DEALER
    for w in (b"", bytes(31), bytes(33), Q.to_bytes(32, "big")):
        assert due.scalar(sid, 1, w=w) == Code.MALFORMED
    assert due.scalar(sid, 1, w=(Q - 1).to_bytes(32, "big")) is None
    assert due.scalar(sid, 1) == Code.ALREADY_DONE


def test_nothing_before_the_deadline_or_after_certified(story: Story) -> None:
    sid = story.sid
    assert (story.list(sid, 1), story.scalar(sid, 1)) == (Code.WRONG_PHASE, Code.WRONG_PHASE)
    story.certify(sid)
    assert (story.list(sid, 1), story.scalar(sid, 1)) == (Code.WRONG_PHASE, Code.WRONG_PHASE)
    story.finish(sid)
    assert (story.list(sid, 1), story.scalar(sid, 1)) == (Code.WRONG_PHASE, Code.WRONG_PHASE)


def test_it_ends_when_the_list_opens(due: Story) -> None:
    """Dealers 2 and 3 are overdue; 3 opens late, so its mask is used for nothing."""
    sid = due.sid
    due.world.block()
    for member in (1, 2, 4):
        assert due.list(sid, member) is None
    world = due.world
    late = [world.tx(j, opened=wire.Opened(sid=sid, dealers=4)) for j in (1, 2)]
    world.send(world.tx(5, fallback_list=wire.FallbackList(sid=sid, dealer=SILENT, list_hash=digest(5))), *late)
    view = due.view(sid)
    assert (view.phase, view.fallbacks[SILENT].seed) == ("opened", "")


def test_an_open_dealer_takes_no_more_while_another_is_awaited(story: Story) -> None:
    sid = story.sid
    story.certify(sid)
    story.world.opens(sid, 0b11001, [1, 2])
    story.pass_deadline()
    assert list(story.view(sid).fallbacks) == [2, 3]
    story.fix_seed(sid, 2)
    story.world.opens(sid, 0b00010, [1, 2])
    assert story.scalar(sid, 1, dealer=2) == Code.WRONG_PHASE
    assert story.list(sid, 1, dealer=3) is None
    story.world.opens(sid, 0b00100, [1])
    assert story.list(sid, 2, dealer=3) is None, "t openers are too few"


def test_a_list_that_opens_in_the_block_of_the_last_hash_needs_no_challenge(story: Story) -> None:
    """Each mask that is not used is one fewer that could be used twice."""
    sid, world = story.sid, story.world
    story.certify(sid)
    world.opens(sid, 0b11001, [1, 2])
    story.pass_deadline()
    for member in (1, 2, 4):
        assert story.list(sid, member, dealer=3) is None
    last = wire.FallbackList(sid=sid, dealer=3, list_hash=digest(5))
    opened = [world.tx(j, opened=wire.Opened(sid=sid, dealers=0b00100)) for j in (1, 2)]
    assert set(world.send(world.tx(5, fallback_list=last), *opened)) == {None}
    assert story.view(sid).phase == "certified", "dealer 2 is awaited"
    assert story.view(sid).fallbacks[3].seed == ""


def test_a_member_without_a_key_has_no_list(tmp_path: Path) -> None:
    story = Story.__new__(Story)
    story.world = World(tmp_path / "app", params={"first_rows": 1, "sessions_in_flight": 1})
    story.world.begin_epoch()
    story.world.announce([1, 2, 3, 4])
    for _ in range(4):
        story.world.block(step_ms=1_000)
    sid = story.sid
    story.certify(sid)
    story.pass_deadline()
    assert story.list(sid, 5) == Code.NO_ENCKEY
    assert story.scalar(sid, 5) == Code.NO_ENCKEY
    assert story.list(sid, 4) is None
    story.world.app.close()


# who sits out


def test_a_dealer_that_only_the_fallback_opened_sits_out_twice_as_long_each_time(story: Story) -> None:
    for absence in (1, 2, 4, 8):
        story.fall_back()
        assert [story.plain() for _ in range(absence)] == [(SILENT,)] * absence
    assert story.plain() == ()


def test_an_own_list_after_the_challenge_is_late_too(due: Story) -> None:
    sid = due.sid
    due.fix_seed(sid)
    due.finish(sid)
    assert due.plain() == (SILENT,)
    assert due.plain() == ()


def test_an_own_list_before_the_challenge_is_in_time(due: Story) -> None:
    assert due.list(due.sid, 1) is None
    due.finish(due.sid)
    assert due.plain() == ()


def test_an_abandoned_session_counts_those_that_fell_back_too(due: Story) -> None:
    """Dealer 3 was opened by the fallback, then the batch found no root: it sits out all the same."""
    sid = due.sid
    due.fix_seed(sid)
    due.world.opens(sid, 4, [1, 2])
    assert due.view(sid).phase == "opened"
    for _ in range(4):
        due.world.block(step_ms=20_000)
    assert due.view(sid).phase == "abandoned"
    assert due.view(due.sid).left_out == (SILENT,)
