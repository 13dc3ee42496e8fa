"""Runners on a scripted chain: sessions become final, survive power cuts at every stored step, and are caught up."""

from __future__ import annotations

import errno
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio

from authnet_core.protocol.views import EncKeysView, KeyView, PoolView, SessionsView, SessionView
from authnet_core.wire import authnet_pb2 as pb
from p2p_dkg.keystore import sessions as sessions_module
from tests.component.keeper.world import World, until

STEPS = ["store:deal", "store:share", "store:bundle", "store:list", "store:shares", "store:keys"]
SUBMITS = [f"submit:{kind}:{when}" for kind in ("deal", "ack", "opened", "final") for when in ("before", "after")]


def sessions(world: World) -> list[SessionView]:
    view = world.chain.query("/sessions", SessionsView)
    return sorted((*view.open, *view.recent), key=lambda s: s.counter)


def finals(world: World) -> list[SessionView]:
    return [s for s in sessions(world) if s.phase == "final"]


def run(world: World, test: Callable[[trio.Nursery], Awaitable[None]]) -> None:
    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(world.chain.run)
            await test(nursery)
            nursery.cancel_scope.cancel()

    world.start_epoch()
    trio.run(main)


def check_keys(world: World, holders: list[int]) -> None:
    """Shares of any k holders open every published key."""
    from authnet_core.crypto import secp256k1, shamir

    for key in world.chain.query("/keys/0/100", list[KeyView]):
        rows = {}
        for index in holders:
            share = world.nodes[index].keystore.epoch(1).share(bytes.fromhex(key.sid), key.position)
            if share is not None:
                rows[index] = share
        assert len(rows) >= world.committee.k
        chosen = dict(list(rows.items())[-world.committee.k :])
        x = shamir.interpolate_at_zero({index: share.x for index, share in chosen.items()})
        assert secp256k1.pub(x).hex() == key.Y
        nonces = {share.nonce for share in rows.values()}
        assert len(nonces) == 1
        assert secp256k1.pub(nonces.pop() or 0).hex() == key.N


@pytest.mark.parametrize("n", [5, 6, 9])
def test_a_committee_makes_keys(tmp_path: Path, n: int) -> None:
    world = World(tmp_path, n)

    async def check(nursery: trio.Nursery) -> None:
        for node in world.nodes.values():
            nursery.start_soon(node.run)
        await until(lambda: bool(finals(world)))
        sid = finals(world)[0].sid
        await until(lambda: all(node.holds(sid) for node in world.nodes.values()))
        await until(lambda: world.chain.query("/pool", PoolView).free >= 10)
        await until(lambda: all(len(s.holders) == n for s in finals(world)))
        check_keys(world, list(range(1, n + 1)))
        # all hold: step 8 leaves nothing but the shares
        await until(lambda: all(not node.keystore.sessions() for node in world.nodes.values()))

    run(world, check)


@pytest.mark.parametrize("point", [*STEPS, *SUBMITS])
def test_a_power_cut_at_any_step_changes_nothing(tmp_path: Path, point: str) -> None:
    world = World(tmp_path)
    victim = world.nodes[2]
    victim.faults.point = point

    async def check(nursery: trio.Nursery) -> None:
        for node in world.nodes.values():
            nursery.start_soon(node.run_again)
        await until(lambda: bool(finals(world)))
        await until(lambda: victim.deaths == [point])
        first = sessions(world)[0]
        assert first.phase == "final", "the session that was interrupted is the one that became final"
        await until(lambda: victim.holds(first.sid))
        await until(lambda: all(len(s.holders) == 5 for s in finals(world)))
        check_keys(world, [1, 2, 3])
        dealt = [pb.Deal.FromString(raw).sid.hex() for raw in world.chain.deals(world.pubs[1])]
        assert first.sid in dealt
        assert len(dealt) == len(set(dealt)), "one deal a session, ever"

    run(world, check)


def test_the_deal_after_a_restart_is_the_same_bytes(tmp_path: Path) -> None:
    world = World(tmp_path)
    victim = world.nodes[2]
    victim.faults.point = "submit:deal:before"
    stored: list[bytes] = []

    async def check(nursery: trio.Nursery) -> None:
        for node in world.nodes.values():
            if node is not victim:
                nursery.start_soon(node.run)
        await victim.run()
        keystore = victim.open()
        keystore.bind_chain("test-1", 1)
        sid = keystore.sessions()[0]
        content = keystore.session(sid).get("brief", "deal")
        assert content is not None
        stored.append(content[32:])
        nursery.start_soon(victim.run)
        await until(lambda: bool(world.chain.deals(world.pubs[1])))
        body = world.chain.deals(world.pubs[1])[0]
        root, e = stored[0][130:162], stored[0][32:65]
        assert root in body
        assert e in body

    run(world, check)


def test_a_member_that_was_away_catches_up(tmp_path: Path) -> None:
    world = World(tmp_path, pool_low=50, pool_high=60)
    absent = world.nodes[4]

    async def check(nursery: trio.Nursery) -> None:
        for node in world.nodes.values():
            nursery.start_soon(node.run)
        await until(lambda: bool(finals(world)))
        absent.scope.cancel()  # its keys are announced, and the others go on without it
        away_from = len(finals(world))
        await until(
            lambda: len(finals(world)) >= away_from + 2 and not world.chain.query("/sessions", SessionsView).open
        )
        missed = [s.sid for s in finals(world) if 4 not in s.holders and s.eks[3]]
        assert missed
        nursery.start_soon(absent.run)
        await until(lambda: all(absent.holds(sid) for sid in missed))
        await until(lambda: all(4 in s.holders for s in finals(world) if s.eks[3]))
        check_keys(world, [3, 4, 5])
        await until(lambda: absent.runner.upkeep.short == [])
        # a key waits until its session is over for all, and no longer
        counter = world.chain.query("/enckeys", EncKeysView).next_counter
        await until(lambda: min(absent.keystore.epoch(1).waiting.secrets) >= counter)

    run(world, check)


def test_t_silent_members_do_not_stop_the_rest(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def check(nursery: trio.Nursery) -> None:
        for node in list(world.nodes.values())[:4]:
            nursery.start_soon(node.run)
        await until(lambda: bool(finals(world)))
        assert 5 not in finals(world)[0].q
        check_keys(world, [1, 2, 3, 4])

    run(world, check)


def test_lost_messages_are_asked_for_again(tmp_path: Path) -> None:
    world = World(tmp_path)
    seen: set[tuple[int, int, str, int]] = set()

    def drop_first(sender: int, to: int, message: object) -> bool:
        mark = (sender, to, type(message).__name__, getattr(message, "dealer", 0))
        is_first = mark not in seen
        seen.add(mark)
        return is_first

    world.hub.drop = drop_first

    async def check(nursery: trio.Nursery) -> None:
        for node in world.nodes.values():
            nursery.start_soon(node.run)
        await until(lambda: bool(finals(world)))

    run(world, check)


def test_a_full_disk_stops_a_keeper_and_a_restart_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path)
    victim, real = world.nodes[2], sessions_module.write_durably
    is_full = True

    def write(path: Path, content: bytes) -> None:
        if is_full and path.is_relative_to(victim.folder) and path.name == "retained.bundle-3":
            raise OSError(errno.ENOSPC, "No space left on device")
        real(path, content)

    monkeypatch.setattr(sessions_module, "write_durably", write)

    async def check(nursery: trio.Nursery) -> None:
        nonlocal is_full
        for node in world.nodes.values():
            if node is not victim:
                nursery.start_soon(node.run)
        with pytest.raises(ExceptionGroup) as caught:
            await victim.run()
        assert caught.group_contains(OSError, match="No space left")
        is_full = False
        nursery.start_soon(victim.run)
        await until(lambda: bool(finals(world)))
        await until(lambda: victim.holds(sessions(world)[0].sid))
        assert len(world.chain.deals(world.pubs[1])) == len(sessions(world))

    run(world, check)
