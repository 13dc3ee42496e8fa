"""Runs a story that meets every transaction kind and prints the app hash of each block."""

from __future__ import annotations

import sys
from pathlib import Path

from authnet_core.wire import authnet_pb2 as wire
from tests.unit.abci.judging import wronged
from tests.unit.abci.reshare_world import SMALL, KeyedWorld, batches_made, begin, first_move, next_attempt, opened
from tests.unit.abci.world import World, account, epoch_record


def handed_over(folder: Path) -> list[str]:
    """Two batches move: an attempt that all lie in, then one with a liar, a cheat and a false complaint."""
    world = KeyedWorld(folder, params=SMALL)
    batches_made(world)
    begin(world)
    failed = first_move(world, lies={1: 1, 2: 2, 3: 5, 4: 9, 5: 27})
    for step in (failed.deal, failed.test, failed.ack):
        step()
    move = next_attempt(failed)
    move.lies = {2: 7}
    move.deal()
    move.test()
    world.send(move.complain(4, 1))
    move.ack(31, [1, 2, 3, 5])
    move.ready([1, 2, 3, 5])
    for pause in (100, 10_000, 100):
        world.block(step_ms=pause)
    while opened(world):
        first_move(world).run()
        world.block()
    for _ in range(8):
        world.block(step_ms=1_000)
    assert world.query("/epoch/current").epoch == 2
    return world.hashes


def main() -> None:
    world = World(Path(sys.argv[1]))
    for member in (5, 3):
        other = epoch_record(5)
        other.epoch.members[0].endpoint = f"http://127.0.0.1:{member}"
        world.observe(other, [member])
    world.fill_pool()
    second, third = (bytes.fromhex(session.sid) for session in world.query("/sessions").open)
    world.run_session(second, [1, 3, 4, 5])
    world.run_session(third, [1, 2, 3, 4])
    world.send(world.tx(2, have=wire.Have(sid=second)))
    world.announce(first=8)
    for start in range(0, 60, 10):
        raws = [world.assign(1 + number % 5, account(number // 2)) for number in range(start, start + 10)]
        world.send(*raws, b"junk")
    for _ in range(4):
        world.block(step_ms=30_000)
    small = World(Path(sys.argv[1]) / "other", params={"first_rows": 2, "sessions_in_flight": 1})
    small.begin_epoch()
    small.announce()
    wronged(small)
    world.hashes += small.hashes + handed_over(Path(sys.argv[1]) / "moving")
    print("\n".join(world.hashes))


if __name__ == "__main__":
    main()
