"""Who may not deal in the next session: the rules alone, on a state of their own."""

from __future__ import annotations

from pathlib import Path

from abci_app.sessions import dealers
from abci_app.state import records as r
from abci_app.state import tables
from abci_app.state.state import Block, State
from tests.unit.abci.world import World

SILENT = 3


def test_the_longest_absence_is_32_sessions(tmp_path: Path) -> None:
    world = World(tmp_path / "app")
    world.begin_epoch()
    state = State(world.app.store, Block(9, 9))
    epoch = state.need(tables.epoch(1))
    for expected in (1, 2, 4, 8, 16, 32, 32, 32):
        dealers.suspect(state, 1, (), [SILENT])
        absence = 0
        while dealers.take_left_out(state, epoch):
            absence += 1
        assert absence == expected
    assert state.need(tables.KEYGEN).penalties == (r.Penalty(SILENT, 6, 0),)
    world.app.close()


def test_suspects_are_t_at_most_and_fewer_beside_convicts(tmp_path: Path) -> None:
    world = World(tmp_path / "app", n=9)
    world.begin_epoch()
    epoch = State(world.app.store, Block(9, 9)).need(tables.epoch(1))

    def left_out(convicts: int, *suspected: list[int]) -> tuple[int, int]:
        state = State(world.app.store, Block(9, 9))
        for fallen in suspected:
            dealers.suspect(state, epoch.t, (), fallen)
        state.put(tables.convicts(1), r.Convicts(dealers=convicts))
        return dealers.take_left_out(state, epoch), dealers.take_left_out(state, epoch)

    assert left_out(0, [1], [2], [3]) == (0b110, 0), "the oldest is let back first"
    assert left_out(0, [2, 5], [2, 5]) == (0b10010, 0b10010)
    assert left_out(0b1, [2], [3]) == (0b101, 0b1), "n-t dealers must be left"
    assert left_out(0b1, [1], [3]) == (0b101, 0b1)
    assert left_out(0b11, [3], [4]) == (0b11, 0b11)
    world.app.close()


def test_a_timed_out_session_counts_no_strike_but_keeps_longer_absences(tmp_path: Path) -> None:
    world = World(tmp_path / "app")
    world.begin_epoch()
    state = State(world.app.store, Block(9, 9))
    for _ in range(3):
        dealers.suspect(state, 1, (), [SILENT])
    dealers.suspect(state, 1, [SILENT], ())
    (penalty,) = state.need(tables.KEYGEN).penalties
    assert (penalty.strikes, penalty.left) == (3, 4)
    dealers.suspect(state, 1, [5], ())
    assert state.need(tables.KEYGEN).suspects == (5,)
    world.app.close()
