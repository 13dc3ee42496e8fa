"""Queues and buckets of a link: bounded, and fair about what is dropped."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from authnet_core.protocol.dkg.messages import WantBundle
from p2p_dkg.network.directory import Peer
from p2p_dkg.network.limits import Outbox, TokenBucket
from p2p_dkg.runner.early import KEEP_S, PER_SENDER, EarlyMessages


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_gives_its_burst_then_its_rate() -> None:
    clock = Clock()
    bucket = TokenBucket(10, 3, clock)
    assert [bucket.take(1) for _ in range(4)] == [True, True, True, False]
    clock.now += 0.1
    assert bucket.take(1)
    assert not bucket.take(1)
    clock.now += 100
    assert bucket.take(3)
    assert not bucket.take(0.5)


def test_a_bucket_never_gives_more_than_its_burst() -> None:
    bucket = TokenBucket(10, 3, Clock())
    assert not bucket.take(4)
    assert bucket.take(3)


def drain(outbox: Outbox, count: int) -> list[bytes]:
    async def main() -> list[bytes]:
        return [await outbox.get() for _ in range(count)]

    return trio.run(main)


def test_urgent_frames_overtake_bulk() -> None:
    outbox = Outbox(100, 10)
    outbox.put_bulk(b"bulk")
    outbox.put_urgent(b"ping")
    assert drain(outbox, 2) == [b"ping", b"bulk"]


def test_the_oldest_bulk_frame_is_dropped() -> None:
    outbox = Outbox(10, 10)
    for frame in (b"aaaa", b"bbbb", b"cccc"):
        outbox.put_bulk(frame)
    assert outbox.dropped == 1
    assert drain(outbox, 2) == [b"bbbb", b"cccc"]


def test_one_frame_over_the_limit_is_still_sent() -> None:
    outbox = Outbox(2, 10)
    outbox.put_bulk(b"long one")
    assert drain(outbox, 1) == [b"long one"]


def test_urgent_frames_are_bounded_too() -> None:
    outbox = Outbox(100, 2)
    for frame in (b"1", b"2", b"3"):
        outbox.put_urgent(frame)
    assert outbox.dropped == 1
    assert drain(outbox, 2) == [b"1", b"2"]


def test_a_cleared_outbox_is_empty() -> None:
    outbox = Outbox(100, 2)
    outbox.put_bulk(b"x")
    outbox.clear()

    async def main() -> None:
        with trio.fail_after(1):
            await outbox.get()

    with pytest.raises(trio.TooSlowError):
        trio.run(main, clock=MockClock(autojump_threshold=0))


def peer(index: int) -> Peer:
    return Peer(f"peer{index}", "", "", ((1, index),))


def test_early_messages_wait_for_their_session_and_no_other() -> None:
    async def main() -> None:
        early = EarlyMessages()
        one, two = WantBundle(b"1" * 32, 1), WantBundle(b"2" * 32, 1)
        early.keep(peer(3), one)
        early.keep(peer(4), two)
        assert early.pop(one.sid) == [(peer(3), one)]
        assert early.pop(one.sid) == []
        assert early.pop(two.sid) == [(peer(4), two)]

    trio.run(main)


def test_a_flood_of_early_messages_keeps_the_newest_and_costs_others_nothing() -> None:
    async def main() -> None:
        early = EarlyMessages()
        kept = WantBundle(b"k" * 32, 1)
        early.keep(peer(4), kept)
        for number in range(1000):
            early.keep(peer(3), WantBundle(number.to_bytes(32, "big"), 1))
        assert early.pop(kept.sid) == [(peer(4), kept)]
        assert early.pop((999 - PER_SENDER).to_bytes(32, "big")) == []
        assert len(early.pop((999).to_bytes(32, "big"))) == 1

    trio.run(main)


def test_early_messages_go_stale() -> None:
    async def main() -> None:
        early = EarlyMessages()
        early.keep(peer(3), WantBundle(b"1" * 32, 1))
        await trio.sleep(KEEP_S + 1)
        assert early.pop(b"1" * 32) == []

    trio.run(main, clock=MockClock(autojump_threshold=0))
