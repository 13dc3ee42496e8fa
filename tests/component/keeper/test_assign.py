"""ASSIGN from the keeper's side: one key an account, whoever races, and refusals by code."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from hashlib import sha256
from pathlib import Path

import pytest
import trio

from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.views import PoolView
from authnet_runtime.chain import BlockNote
from p2p_dkg.ports import Assigned, AssignRequest
from p2p_dkg.runner.submit import Ticket, TxDesk
from tests.component.keeper.test_sessions import run
from tests.component.keeper.world import World, until


def ask(name: str = "bob", verifier: str = "mock", purpose: str = "login", curve: str = "secp256k1") -> AssignRequest:
    return AssignRequest(verifier, sha256(name.encode()).digest(), curve, purpose)


def with_pool(tmp_path: Path, test: Callable[[World], Awaitable[None]], **params: int) -> World:
    world = World(tmp_path, **params)

    async def check(nursery: trio.Nursery) -> None:
        for node in world.nodes.values():
            nursery.start_soon(node.run)
        await until(lambda: world.chain.query("/pool", PoolView).free >= 10)
        await test(world)

    run(world, check)
    return world


async def gather(*calls: Callable[[], Awaitable[Assigned]]) -> list[Assigned]:
    results: list[Assigned] = []

    async def one(call: Callable[[], Awaitable[Assigned]]) -> None:
        results.append(await call())

    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            for call in calls:
                nursery.start_soon(one, call)
    return results


def test_an_account_gets_one_key_whoever_asks(tmp_path: Path) -> None:
    async def check(world: World) -> None:
        calls = [lambda node=node: node.assign(ask()) for node in world.nodes.values() for _ in range(3)]
        results = await gather(*calls)
        assert len({r.key.index for r in results}) == 1
        assert all(r.is_new for r in results)
        sent = [raw for _, kind, raw in world.chain.included if kind == "assign"]
        assert len(sent) == 1
        assert await world.nodes[3].assign(ask()) == results[0]

    with_pool(tmp_path, check)


def test_asks_at_one_node_share_one_transaction(tmp_path: Path) -> None:
    async def check(world: World) -> None:
        node = world.nodes[1]
        world.chain.halted = True
        before = len(world.chain.mempool)

        async def release() -> None:
            await trio.sleep(0.3)
            assert len(world.chain.mempool) == before + 1
            world.chain.halted = False

        async with trio.open_nursery() as nursery:
            nursery.start_soon(release)
            results = await gather(*[lambda: node.assign(ask())] * 20)
        assert len({r.key.index for r in results}) == 1

    with_pool(tmp_path, check)


def test_many_accounts_get_as_many_keys(tmp_path: Path) -> None:
    async def check(world: World) -> None:
        names = [f"user{i}" for i in range(8)]
        calls = [lambda i=i, name=name: world.nodes[1 + i % 5].assign(ask(name)) for i, name in enumerate(names)]
        results = await gather(*calls)
        assert len({r.key.index for r in results}) == len(names)

    with_pool(tmp_path, check)


def test_is_new_comes_from_the_chains_clock(tmp_path: Path) -> None:
    async def check(world: World) -> None:
        first = await world.nodes[1].assign(ask())
        assert first.is_new
        world.chain.block(step_ms=11_000)
        await trio.sleep(0.1)
        again = await world.nodes[2].assign(ask())
        assert again.key == first.key
        assert not again.is_new

    with_pool(tmp_path, check)


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (ask(verifier="unknown"), Code.VERIFIER_UNKNOWN),
        (ask(curve="ed25519"), Code.UNSUPPORTED_CURVE),
        (ask(purpose="other"), Code.BAD_PARAMS),
        (AssignRequest("mock", b"short", "secp256k1", "login"), Code.BAD_PARAMS),
    ],
)
def test_refusals_are_coded_and_change_nothing(tmp_path: Path, request_: AssignRequest, code: Code) -> None:
    async def check(world: World) -> None:
        with pytest.raises(AuthnetError) as caught:
            await world.nodes[1].assign(request_)
        assert caught.value.code is code
        assert world.chain.query("/pool", PoolView).assigned == 0

    with_pool(tmp_path, check)


def test_an_empty_pool_is_said_so(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def check(nursery: trio.Nursery) -> None:
        nursery.start_soon(world.nodes[1].run)
        node = world.nodes[1]
        await until(lambda: node.is_member)
        with pytest.raises(AuthnetError) as caught:
            await node.assign(ask())
        assert caught.value.code is Code.POOL_EMPTY

    run(world, check)


def test_a_quota_is_said_so(tmp_path: Path) -> None:
    async def check(world: World) -> None:
        await world.nodes[1].assign(ask("a"))
        with pytest.raises(AuthnetError) as caught:
            await world.nodes[1].assign(ask("b"))
        assert caught.value.code is Code.QUOTA_EXCEEDED
        assert (await world.nodes[2].assign(ask("b"))).is_new

    with_pool(tmp_path, check, quota=1)


def test_a_refusal_inside_a_block_is_said_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CheckTx took both; the quota of one is used up inside the block. No indexer says so, but the block's note."""
    monkeypatch.setattr("p2p_dkg.runner.assign.WAIT_S", 1e9)
    monkeypatch.setattr("p2p_dkg.runner.assign.RESEND_S", 1e9)

    async def check(world: World) -> None:
        world.chain.halted = True
        before = len(world.chain.mempool)
        outcomes: list[Code | None] = []

        async def one(name: str) -> None:
            try:
                await world.nodes[1].assign(ask(name))
                outcomes.append(None)
            except AuthnetError as refusal:
                outcomes.append(refusal.code)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(one, "a")
            nursery.start_soon(one, "b")
            await until(lambda: len(world.chain.mempool) == before + 2)
            world.chain.halted = False
        assert set(outcomes) == {None, Code.QUOTA_EXCEEDED}

    with_pool(tmp_path, check, quota=1)


def test_a_transaction_in_a_second_block_is_not_taken_for_refused(tmp_path: Path) -> None:
    desk = TxDesk(None, None, lambda: 1, None)  # type: ignore[arg-type]
    ticket = Ticket("AB", 20, None)
    desk._sent["ab"] = None
    desk.learn(BlockNote(7, 7, "", refused={"ab": "SEEN_BEFORE", "cd": "EXPIRED"}))
    assert desk.refusal_of(ticket) is None
    desk.learn(BlockNote(8, 8, "", refused={"ab": "A_CODE_OF_ANOTHER_VERSION"}))
    assert desk.refusal_of(ticket) is Code.INTERNAL
    assert "cd" not in desk._sent


def has_heard_all(world: World, node: int) -> bool:
    newest = world.nodes[node].watch.newest
    return newest is not None and newest.height == world.chain.height


def test_a_halted_chain_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("p2p_dkg.runner.assign.WAIT_S", 0.3)

    async def check(world: World) -> None:
        world.chain.halted = True
        await until(lambda: has_heard_all(world, 1))  # or a block comes after the question
        with pytest.raises(AuthnetError) as caught:
            await world.nodes[1].assign(ask())
        assert caught.value.code is Code.CHAIN_STALE
        sent = len(world.chain.mempool)
        monkeypatch.setattr("p2p_dkg.runner.assign.STALE_S", 0.2)
        with pytest.raises(AuthnetError) as caught:
            await world.nodes[1].assign(ask("eve"))
        assert caught.value.code is Code.CHAIN_STALE
        assert len(world.chain.mempool) == sent, "nothing more is sent to a chain that stands still"
        world.chain.halted = False
        await until(lambda: world.chain.query("/pool", PoolView).assigned == 1)
        assert (await world.nodes[1].assign(ask())).key.account_id

    with_pool(tmp_path, check)


def test_a_chain_that_lives_and_assigns_nothing_times_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("p2p_dkg.runner.assign.WAIT_S", 0.3)

    async def check(world: World) -> None:
        async def lost(*_: object) -> Ticket:
            return Ticket("AB", 1_000_000, None)

        monkeypatch.setattr(world.nodes[1].assigner, "_send", lost)
        with pytest.raises(AuthnetError) as caught:
            await world.nodes[1].assign(ask())
        assert caught.value.code is Code.TIMEOUT

    with_pool(tmp_path, check)


def test_a_stopped_cometbft_is_unavailable(tmp_path: Path) -> None:
    async def check(world: World) -> None:
        world.nodes[1].comet.is_down = True
        with pytest.raises(AuthnetError) as caught:
            await world.nodes[1].assign(ask())
        assert caught.value.code is Code.UNAVAILABLE

    with_pool(tmp_path, check)
