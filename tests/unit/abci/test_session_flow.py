"""How sessions move by themselves: START, Q, deadlines, abandoning, the pool's marks, and coming to rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from authnet_core.crypto import merkle
from authnet_core.errors import Code
from authnet_core.wire import authnet_pb2 as wire
from tests.unit.abci.world import MASKS, World, account, verifier_record

ALL = 31


def phases(world: World) -> list[tuple[int, str]]:
    return [(s.counter, s.phase) for s in world.query("/sessions").open]


def view(world: World, sid: bytes) -> object:
    return world.query(f"/session/{sid.hex()}")


def test_start_needs_an_encryption_key_of_all(world: World) -> None:
    world.announce([1, 2, 3, 4])
    assert phases(world) == []
    world.announce([5])
    assert phases(world) == [(0, "deal")]
    first = world.query("/sessions").open[0]
    assert (first.rows, first.h0, first.t0_ms) == (64, world.height, 0)
    world.block()
    assert world.query("/sessions").open[0].t0_ms == world.time_ms
    assert phases(world) == [(0, "deal"), (1, "deal")]
    assert world.query("/sessions").open[1].rows == 341
    world.block()
    assert len(phases(world)) == 2, "two sessions in flight"


def test_after_two_seconds_n_minus_t_are_enough(world: World) -> None:
    world.announce([1, 2, 3, 4])
    opened = world.height
    world.block(step_ms=60_000)  # t0 is this block's time, however late it is
    world.block(step_ms=1_999)
    world.block(step_ms=0)
    assert phases(world) == []
    world.block(step_ms=1)
    assert world.height >= opened + 3
    assert phases(world) == [(0, "deal")]
    assert world.query("/sessions").open[0].eks[4] == ""


def test_time_alone_is_no_deadline(world: World) -> None:
    world.announce([1, 2, 3, 4])
    world.block()
    world.block(step_ms=100_000)
    assert phases(world) == [], "two blocks after, though the time is over"
    world.block()
    assert phases(world) == [(0, "deal")]


def test_fewer_than_n_minus_t_do_not_start(world: World) -> None:
    world.announce([1, 2, 3])
    for _ in range(5):
        world.block(step_ms=10_000)
    assert phases(world) == []


def test_q_is_all_as_soon_as_all_are_certified(dealing: World) -> None:
    sid = dealing.open_sid()
    dealing.deals(sid)
    dealing.acks(sid, ALL, [1, 2, 3])
    assert view(dealing, sid).phase == "deal"  # type: ignore[attr-defined]
    dealing.acks(sid, ALL, [4])
    found = view(dealing, sid)
    assert (found.phase, found.q, found.q_height) == ("certified", (1, 2, 3, 4, 5), dealing.height)  # type: ignore[attr-defined]


def test_q_waits_t_q_for_the_rest(dealing: World) -> None:
    sid = dealing.open_sid()
    dealing.deals(sid, [1, 2, 3, 4])
    dealing.acks(sid, 15)
    dealing.block()
    assert view(dealing, sid).phase == "deal"  # type: ignore[attr-defined]
    dealing.block(step_ms=2_000)
    assert view(dealing, sid).q == (1, 2, 3, 4)  # type: ignore[attr-defined]


def test_without_n_minus_t_dealers_the_session_is_abandoned(dealing: World) -> None:
    sid = dealing.open_sid()
    dealing.deals(sid, [1, 2, 3])
    dealing.acks(sid, 7)
    dealing.block(step_ms=59_000)
    assert view(dealing, sid).phase == "deal"  # type: ignore[attr-defined]
    dealing.block(step_ms=2_000)
    assert view(dealing, sid).phase == "abandoned"  # type: ignore[attr-defined]
    assert sid.hex() in [s.sid for s in dealing.query("/sessions").recent]
    assert dealing.send(dealing.tx(4, deal=dealing.deal(4, sid))) == [Code.WRONG_PHASE]


def abandon_with_silent(world: World, silent: list[int]) -> bytes:
    """A session whose lists of `silent` nobody opened; returns the sid that started next."""
    sid = world.open_sid()
    started = world.query("/enckeys").next_counter
    world.deals(sid)
    world.acks(sid, ALL, [1, 2, 3, 4])
    good = ALL & ~sum(1 << (j - 1) for j in silent)
    world.opens(sid, good, [1, 2])
    world.block(step_ms=61_000)
    world.block()
    assert view(world, sid).phase == "abandoned"  # type: ignore[attr-defined]
    opened = [s for s in world.query("/sessions").open if s.counter >= started]
    return bytes.fromhex(opened[0].sid)


def test_a_silent_dealer_is_left_out_of_the_next_session_only(tmp_path: Path) -> None:
    world = World(tmp_path / "app", params={"sessions_in_flight": 1})
    world.begin_epoch()
    world.announce(count=16)
    world.block()
    following = abandon_with_silent(world, [3])
    assert world.send(world.tx(3, deal=world.deal(3, following))) == [Code.NOT_A_DEALER]
    world.deals(following, [1, 2, 4, 5])
    world.acks(following, ALL & ~4)
    assert view(world, following).q == (1, 2, 4, 5)  # type: ignore[attr-defined]  # all that may deal: no wait
    world.opens(following, ALL & ~4)
    pairs = world.key_pairs(following, 64 * 2)
    world.finals(following, merkle.root(pairs))
    after = world.open_sid()
    assert world.send(world.tx(3, deal=world.deal(3, after))) == [None]
    world.app.close()


def test_at_most_t_are_left_out_the_oldest_goes(tmp_path: Path) -> None:
    world = World(tmp_path / "app", params={"sessions_in_flight": 1})
    world.begin_epoch()
    world.announce(count=16)
    world.block()
    following = abandon_with_silent(world, [2, 4])
    assert world.send(world.tx(4, deal=world.deal(4, following))) == [Code.NOT_A_DEALER]
    assert world.send(world.tx(2, deal=world.deal(2, following))) == [None]
    world.app.close()


def test_an_abandoned_session_leaves_no_keys_and_no_gap(tmp_path: Path) -> None:
    world = World(tmp_path / "app", params={"sessions_in_flight": 1})
    world.begin_epoch()
    world.announce(count=16)
    world.block()
    following = abandon_with_silent(world, [3])
    assert view(world, following).rows == 64  # type: ignore[attr-defined]  # still the first batch
    world.run_session(following, [1, 2, 4, 5])
    found = view(world, following)
    assert (found.first_index, found.count) == (0, 128)  # type: ignore[attr-defined]
    assert world.query("/pool").free == 128 - 8, "one in sixteen is a mask"
    world.app.close()


def test_the_pool_fills_to_the_high_mark_and_waits_for_the_low_one(tmp_path: Path) -> None:
    marks = {"pool_low": 100, "pool_high": 250, "rows": 64, "quota": 10_000, "sessions_in_flight": 1}
    world = World(tmp_path / "app", params=marks)
    world.begin_epoch()
    world.observe(verifier_record())
    world.announce(count=16)
    world.run_session(world.open_sid())
    assert world.query("/pool").free == 192 - MASKS
    assert len(phases(world)) == 1, "still filling: 180 < 250"
    world.run_session(world.open_sid())
    assert world.query("/pool").free == 2 * (192 - MASKS)
    world.block()
    assert phases(world) == []
    assert set(world.send(*(world.assign(1 + i % 5, account(i)) for i in range(260)))) == {None}
    assert world.query("/pool").free == 100
    assert phases(world) == []
    world.send(world.assign(1, account(999)))
    assert len(phases(world)) == 1
    world.app.close()


def test_idle_blocks_change_nothing(pooled: World) -> None:
    """Else an idle chain would make blocks for ever."""
    pooled.send(pooled.assign(1, account(1)))
    for _ in range(3):
        pooled.block()
    settled = pooled.app.meta.app_hash
    for _ in range(30):
        pooled.block(step_ms=1)
        assert pooled.app.meta.app_hash == settled


def test_a_session_nobody_catches_up_on_is_retained_for_a_time(tmp_path: Path) -> None:
    world = World(tmp_path / "app", params={"retain_ms": 1_000, "pool_low": 1})
    world.begin_epoch()
    world.announce()
    sid = world.open_sid()
    world.run_session(sid, [1, 2, 3, 4])
    assert [item.sid for item in world.query("/sessions/retained")] == [sid.hex()]
    world.block()
    world.block(step_ms=1_000)
    assert world.query("/sessions/retained") == []
    assert world.send(world.tx(5, have=wire.Have(sid=sid))) == [None]
    world.app.close()


def test_recent_sessions_are_bounded_and_burnt_ones_go(tmp_path: Path) -> None:
    world = World(tmp_path / "app", params={"recent_sessions": 2, "sessions_in_flight": 1})
    world.begin_epoch()
    world.announce(count=16)
    world.block()
    first = world.open_sid()
    for _ in range(4):
        world.block(step_ms=61_000)
        world.block(step_ms=61_000)
        world.block(step_ms=61_000)
        world.block(step_ms=61_000)
    assert len(world.query("/sessions").recent) == 2
    assert world.refusal(f"/session/{first.hex()}") == Code.UNKNOWN_SESSION
    world.app.close()


@pytest.mark.parametrize("n", [5, 6, 9])
def test_whole_sessions_at_every_size(tmp_path: Path, n: int) -> None:
    world = World(tmp_path / "app", n=n)
    pairs = world.fill_pool()
    assert len(pairs) == 64 * (n - world.committee.k + 1)
    away = list(range(1, world.committee.quorum + 1))
    world.run_session(world.open_sid(), away)
    made = 341 * (world.committee.quorum - world.committee.k + 1)
    assert world.query("/pool").short == made - 16 * -(-made // 1024)
    world.app.close()
