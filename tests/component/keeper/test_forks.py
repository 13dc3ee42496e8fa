"""A keeper that meets a fork: real runners on the real state machine, whose chain is taken from them for another one.

The other side has the same transactions but for the ACKs of one dealer, so it fixes another Q. That takes k double
signers (tests/sim/test_consensus.py); here it just happens.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.dkg.messages import Message
from authnet_core.protocol.views import SessionView
from authnet_core.wire import authnet_pb2 as pb
from authnet_runtime.chain import BlockNote
from p2p_dkg.keystore.store import Fork, Keystore, SeenBlock, open_keystore
from p2p_dkg.runner.watch import ChainWatch
from tests.component.keeper.test_sessions import run, sessions
from tests.component.keeper.world import Chain, Node, World, until

VICTIM = 2
LEFT_OUT = 5
"""The dealer whose sharing counts on one side and not on the other."""


def without_acks_of_one(body: pb.TxBody) -> bool:
    """Nobody's ACK that names the dealer gets into a block of the other side."""
    return body.WhichOneof("kind") != "ack" or not body.ack.dealers >> (LEFT_OUT - 1) & 1


class Side:
    """Both sides of the fork, and what the victim does on the second one."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world, self.node = world, world.nodes[VICTIM]
        self.chain = world.chain.branch(folder, without_acks_of_one)
        self.sent: list[Message] = []
        real = world.hub.drop

        def watch(sender: int, to: int, message: Message) -> bool:
            if sender == VICTIM:
                self.sent.append(message)
            return real(sender, to, message)

        world.hub.drop = watch

    def grow(self) -> None:
        """Blocks without that dealer until Q is fixed here too, by the clock, and the block after."""
        acks = [pb.Ack(sid=bytes.fromhex(sessions(self.world)[0].sid), dealers=0b01111)]
        for node in self.world.nodes.values():
            for ack in acks:
                self.chain.mempool.append(signed(self.chain, node, ack))
        for _ in range(14):
            self.chain.block()
        session = sessions(self.world)[0]
        other = self.chain.query(f"/session/{session.sid}", SessionView)
        assert (session.q, other.q) == ((1, 2, 3, 4, 5), (1, 2, 3, 4)), "the two sides fix other sets of dealers"

    @property
    def transactions(self) -> list[bytes]:
        """Those of the victim that reached the second side."""
        pub = self.node.keystore.identity.pub
        return [raw for raw in self.chain.mempool if pb.SignedTx.FromString(raw).signer == pub]


def signed(chain: Chain, node: Node, ack: pb.Ack) -> bytes:
    desk = node.desk
    body = pb.TxBody(chain_id=desk.chain_id, version=1, epoch=1, expiry_height=chain.height + 15)
    body.ack.CopyFrom(ack)
    return desk._sign(body)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def certified(world: World) -> bool:
    """Q is fixed with all, and the victim has acted on it."""
    found = sessions(world)
    if not found or found[0].phase == "deal":
        return False
    seen = world.nodes[VICTIM].keystore.seen
    return seen is not None and seen.height >= found[0].q_height


def on_a_fork(world: World, folder: Path, then: Callable[[Side, trio.Nursery], Awaitable[None]]) -> None:
    """Run until the victim has acted on Q, stop it, make the other side, and go on with `then`."""

    async def check(nursery: trio.Nursery) -> None:
        for node in world.nodes.values():
            nursery.start_soon(node.run)
        await until(lambda: world.nodes[VICTIM].is_bound and certified(world))
        world.chain.halted = True
        world.nodes[VICTIM].scope.cancel()
        await until(lambda: VICTIM not in world.hub.meshes)
        side = Side(world, folder / "other")
        side.grow()
        await then(side, nursery)

    run(world, check)


async def stopped(node: Node) -> None:
    """A life that ends with FORK_SEEN."""
    with pytest.raises(ExceptionGroup) as caught, trio.fail_after(20):
        await node.run()
    assert caught.group_contains(AuthnetError, match="another block at height")


def test_a_fork_met_after_a_restart_stops_the_keeper_before_it_does_anything(world: World, tmp_path: Path) -> None:
    async def then(side: Side, _: trio.Nursery) -> None:
        side.node.chain = side.chain
        await stopped(side.node)
        assert side.sent == []
        assert side.transactions == []
        # Neither side makes it go on, whatever starts it again.
        for chain in (side.chain, side.world.chain):
            side.node.chain = chain
            await stopped(side.node)
        assert side.sent == []
        assert side.transactions == []

    on_a_fork(world, tmp_path, then)


def test_without_the_guard_the_same_keeper_opens_its_list_on_both_sides(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test of the test: what the guard prevents does happen without it."""

    async def then(side: Side, nursery: trio.Nursery) -> None:
        async def blind(*_: Any) -> bool:
            return True

        monkeypatch.setattr(ChainWatch, "_agrees", blind)
        monkeypatch.setattr(ChainWatch, "_require_same", blind)
        side.node.chain = side.chain
        nursery.start_soon(side.node.run)
        await until(lambda: bool(side.transactions))
        kinds = {pb.TxBody.FromString(pb.SignedTx.FromString(raw).body).WhichOneof("kind") for raw in side.transactions}
        assert "opened" in kinds

    on_a_fork(world, tmp_path, then)


def test_a_chain_that_is_exchanged_under_a_running_keeper_stops_it(tmp_path: Path) -> None:
    """abci_app comes back with the other side's state, higher than anything this keeper remembers."""
    world = World(tmp_path)
    lives: list[ExceptionGroup[Exception]] = []

    async def live(node: Node) -> None:
        try:
            await node.run()
        except ExceptionGroup as group:
            lives.append(group)

    async def check(nursery: trio.Nursery) -> None:
        for node in world.nodes.values():
            nursery.start_soon(live, node)
        await until(lambda: world.nodes[VICTIM].is_bound and certified(world))
        world.chain.halted = True
        side = Side(world, tmp_path / "other")
        side.grow()
        victim = side.node
        victim.comet.chain = side.chain
        victim.reader.move_to(side.chain)
        side.sent.clear()
        await until(lambda: bool(lives))
        assert "another block at height" in repr(lives[0].exceptions)
        assert side.transactions == []
        await stopped(victim)

    run(world, check)


# -- the parts, one by one


@pytest.fixture
def keystore(tmp_path: Path) -> Keystore:
    return reopen(tmp_path)


def reopen(folder: Path) -> Keystore:
    passphrase = folder / "passphrase"
    passphrase.write_text("x")
    passphrase.chmod(0o600)
    return open_keystore(folder / "keeper", "test", passphrase, 2)


class Feed:
    """Notes by hand, and headers."""

    def __init__(self) -> None:
        self._in, self._out = trio.open_memory_channel[BlockNote](100)
        self.headers: dict[int, tuple[int, str]] = {}
        self.asked = 0

    async def blocks(self) -> Any:
        async for note in self._out:
            yield note

    async def show(self, height: int, side: str = "aa", *, is_first: bool = False) -> None:
        self._in.send_nowait(BlockNote(height, 1000 * height, side, is_first=is_first))
        await trio.testing.wait_all_tasks_blocked()

    async def get(self, _: str, params: dict[str, str]) -> Any:
        await trio.lowlevel.checkpoint()
        self.asked += 1
        height = int(params["height"])
        if height not in self.headers:
            raise AuthnetError(Code.UNAVAILABLE, "CometBFT does not answer")
        seconds, app_hash = self.headers[height]
        return {"header": {"time": f"1970-01-01T00:00:{seconds:02}Z", "app_hash": app_hash}}


def with_watch(keystore: Keystore, test: Callable[[ChainWatch, Feed], Awaitable[None]]) -> None:
    """Run `test` beside a watch and its comparing task."""

    async def main() -> None:
        feed = Feed()
        chain: Any = feed
        watch = ChainWatch(chain, keystore)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch.run)
            nursery.start_soon(watch.compare, chain)
            with trio.fail_after(10):
                await test(watch, feed)
            nursery.cancel_scope.cancel()

    trio.run(main)


def test_nothing_is_done_on_a_chain_that_jumped_until_its_history_was_compared(keystore: Keystore) -> None:
    async def test(watch: ChainWatch, feed: Feed) -> None:
        await feed.show(5, is_first=True)
        await watch.remember(BlockNote(5, 5000, "aa"), acting=True)
        await feed.show(6)
        assert not watch.is_behind
        await feed.show(9, is_first=True)
        assert watch.is_behind
        assert not await watch.stand_on(9)
        with pytest.raises(AuthnetError) as caught:
            await watch.settle(1000)
        assert caught.value.code is Code.CHAIN_STALE
        feed.headers = {5: (5, ""), 6: (6, "AA")}
        while watch.is_behind:  # noqa: ASYNC110 (the watch looks again by itself)
            await trio.sleep(0.05)
        await watch.settle(1000)

    with_watch(keystore, test)


def test_the_same_block_after_a_reconnect_needs_no_history(keystore: Keystore) -> None:
    async def test(watch: ChainWatch, feed: Feed) -> None:
        await feed.show(5, is_first=True)
        await watch.remember(BlockNote(5, 5000, "aa"), acting=True)
        await feed.show(6)
        await feed.show(6, is_first=True)
        assert not watch.is_behind
        assert feed.asked == 0

    with_watch(keystore, test)


def test_a_jump_to_the_other_side_stops_the_keeper_and_is_on_disk(tmp_path: Path, keystore: Keystore) -> None:
    async def test(watch: ChainWatch, feed: Feed) -> None:
        await feed.show(5, is_first=True)
        await watch.remember(BlockNote(5, 5000, "aa"), acting=True)
        feed.headers = {5: (5, ""), 6: (6, "BB")}
        await feed.show(8, is_first=True)
        await trio.sleep_forever()

    with pytest.raises(ExceptionGroup) as caught:
        with_watch(keystore, test)
    assert caught.group_contains(AuthnetError, match="height 5")
    assert reopen(tmp_path).fork == Fork(5, ("aa", "bb"))


def test_a_state_read_before_its_note_came_is_acted_on_only_when_it_is_remembered(keystore: Keystore) -> None:
    async def test(watch: ChainWatch, feed: Feed) -> None:
        await feed.show(5, is_first=True)
        results: list[bool] = []

        async def stand() -> None:
            results.append(await watch.stand_on(6))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(stand)
            await trio.testing.wait_all_tasks_blocked()
            assert results == []
            await feed.show(6)
        assert results == [True]
        assert keystore.seen == SeenBlock(6, 6000, "aa")

    with_watch(keystore, test)


def test_a_share_waits_for_the_block_after_the_assignment_and_for_the_disk(keystore: Keystore) -> None:
    async def test(watch: ChainWatch, feed: Feed) -> None:
        await feed.show(5, is_first=True)
        done = trio.Event()

        async def settle() -> None:
            await watch.settle(5000)
            done.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(settle)
            await trio.testing.wait_all_tasks_blocked()
            assert not done.is_set()
            await feed.show(6)
            await done.wait()
        assert keystore.seen == SeenBlock(6, 6000, "aa")
        await watch.settle(5999)  # rests on what is remembered: no wait

    with_watch(keystore, test)


def test_without_a_block_after_no_share_leaves(keystore: Keystore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("p2p_dkg.runner.watch.SETTLE_S", 0.05)

    async def test(watch: ChainWatch, feed: Feed) -> None:
        await feed.show(5, is_first=True)
        with pytest.raises(AuthnetError) as caught:
            await watch.settle(5000)
        assert caught.value.code is Code.CHAIN_STALE

    with_watch(keystore, test)


def test_the_first_fork_stays_on_disk(tmp_path: Path, keystore: Keystore) -> None:
    keystore.stop_at(Fork(5, ("aa", "bb")))
    keystore.stop_at(Fork(9, ("cc", "dd")))
    assert reopen(tmp_path).fork == Fork(5, ("aa", "bb"))
