"""read.sock: queries, absence, pushes after Commit, metrics; it needs no running consensus."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import anyio
import pytest

import abci_app.metrics  # noqa: F401  registers what is counted
from abci_app.queries.readsock import ReadServer
from authnet_core.crypto import smt
from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.views import AccountView, PoolView, SessionsView, StatusView
from authnet_runtime.chain import ChainReader
from authnet_runtime.rpc_client import RpcClient
from tests.unit.abci.world import World, account


def run(world: World, folder: Path, story: Callable[[Path], Awaitable[None]]) -> None:
    async def main() -> None:
        path = folder / "read.sock"
        async with anyio.create_task_group() as group:
            reads = ReadServer(world.app, group)
            world.app.on_commit = reads.on_commit
            group.start_soon(reads.serve, path, frozenset({os.getuid()}))
            with anyio.fail_after(20):
                await story(path)
            group.cancel_scope.cancel()

    anyio.run(main)


@pytest.fixture
def pooled(tmp_path: Path) -> Any:
    world = World(tmp_path / "app")
    world.block()
    world.fill_pool()
    yield world
    world.app.close()


async def connected(chain: ChainReader) -> None:
    await chain._rpc.connected.wait()


def test_views_and_absence(pooled: World, tmp_path: Path) -> None:
    pooled.send(pooled.assign(1, account(1)))

    async def story(path: Path) -> None:
        async with ChainReader(path) as chain:
            await connected(chain)
            status = await chain.query("/status", StatusView)
            assert status is not None
            assert status.height == pooled.height
            assert (await chain.query("/sessions", SessionsView)) is not None
            found = await chain.query(f"/account/{account(1).hex()}", AccountView)
            assert found is not None
            assert found.keys[0].index == 0
            assert await chain.query(f"/account/{account(2).hex()}", AccountView) is None
            with pytest.raises(AuthnetError) as refusal:
                await chain.query("/nothing", AccountView)
            assert refusal.value.code == Code.UNKNOWN_PATH

    run(pooled, tmp_path, story)


def test_proofs_travel_as_json(pooled: World, tmp_path: Path) -> None:
    async def story(path: Path) -> None:
        async with ChainReader(path) as chain:
            await connected(chain)
            answer = await chain.raw("/pool", prove=True)
            (proof,) = answer["proof"]
            key, value = bytes.fromhex(proof["key"]), bytes.fromhex(proof["value"])
            siblings = tuple(bytes.fromhex(sibling) for sibling in proof["siblings"])
            root = bytes.fromhex(answer["app_hash"])
            assert smt.verify_presence(root, key, value, smt.Presence(key, value, siblings))
            with pytest.raises(AuthnetError) as refusal:
                await chain.raw(f"/account/{account(9).hex()}", prove=True)
            assert set(refusal.value.detail["proof"][0]) == {"key", "left", "right"}

    run(pooled, tmp_path, story)


@pytest.mark.parametrize(
    "params", [{}, {"path": 7}, {"path": "/pool", "height": "1"}, {"path": "/pool", "height": -1}, {"path": None}]
)
def test_malformed_queries_are_coded(pooled: World, tmp_path: Path, params: dict[str, Any]) -> None:
    async def story(path: Path) -> None:
        async with RpcClient(path) as client:
            await client.connected.wait()
            with pytest.raises(AuthnetError) as refusal:
                await client.call("query", params)
            assert refusal.value.code == Code.BAD_PARAMS

    run(pooled, tmp_path, story)


def test_subscribers_hear_of_every_commit(pooled: World, tmp_path: Path) -> None:
    async def story(path: Path) -> None:
        async with ChainReader(path) as chain:
            blocks = chain.blocks()
            first = await anext(blocks)
            assert first.height == pooled.height
            pooled.send(pooled.assign(1, account(1)))
            note = await anext(blocks)
            assert (note.height, note.app_hash) == (pooled.height, pooled.app.meta.app_hash.hex())
            (assigned,) = [event for event in note.events if event.type == "assigned"]
            assert assigned.attributes["account_id"] == account(1).hex()
            pool = await chain.query("/pool", PoolView)
            assert pool is not None
            assert pool.assigned == 1
            assert note.refused == {}
            refused, junk = pooled.assign(2, account(1)), b"junk"
            pooled.send(refused, junk)
            note = await anext(blocks)
            named = {sha256(refused).hexdigest(): "ACCOUNT_HAS_KEY", sha256(junk).hexdigest(): "DECODE"}
            assert note.refused == named, "CometBFT keeps no index of results"

    run(pooled, tmp_path, story)


def test_a_subscriber_that_leaves_is_forgotten(pooled: World, tmp_path: Path) -> None:
    async def story(path: Path) -> None:
        async with ChainReader(path) as chain:
            await anext(chain.blocks())
        pooled.block()
        async with ChainReader(path) as chain:
            assert (await anext(chain.blocks())).height == pooled.height

    run(pooled, tmp_path, story)


def test_metrics_are_prometheus_text(pooled: World, tmp_path: Path) -> None:
    async def story(path: Path) -> None:
        async with ChainReader(path) as chain:
            await connected(chain)
            assert "authnet_app_height" in await chain.metrics()

    run(pooled, tmp_path, story)
