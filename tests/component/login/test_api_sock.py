"""The login over a real unix socket: answers and coded refusals as node_api sees them."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import trio

from authnet_core.crypto.hashing import keccak256
from authnet_core.errors import AuthnetError, Code
from authnet_runtime.rpc import serve
from authnet_runtime.rpc_client import RpcClient
from tests.unit.login.world import Session, World, in_trio, running


@in_trio
async def test_two_rounds_over_the_socket(tmp_path: Path) -> None:
    async with running(tmp_path) as world, trio.open_nursery() as nursery:
        doors = await _open_doors(world, tmp_path, nursery)
        token, session = world.token(), Session()
        commit = {
            "token_hash": keccak256(token.encode()).hex(),
            "temp_pub": session.pub.hex(),
            "verifier": "google",
        }
        receipts = [await _call(door, "commit", commit) for door in doors]
        share = {"verifier": "google", "verifier_id": "alice", "id_token": token, "receipts": receipts}
        answers = [await _call(door, "share", share) for door in doors]
        assert [answer["node_index"] for answer in answers] == [1, 2, 3, 4, 5]
        assert await _call(doors[0], "commit", commit | {"temp_pub": Session(9).pub.hex()}) == Code.DUPLICATE_TOKEN
        assert await _call(doors[0], "share", share | {"verifier_id": "bob"}) == Code.TOKEN_SUBJECT
        assert await _call(doors[0], "share", share | {"id_token": 5}) == Code.BAD_PARAMS
        nursery.cancel_scope.cancel()


async def _open_doors(world: World, folder: Path, nursery: trio.Nursery) -> list[Path]:
    doors = []
    for keeper in world.keepers:
        path = folder / f"{keeper.index}.sock"
        await nursery.start(partial(serve, path, keeper.service.handlers()))
        doors.append(path)
    return doors


async def _call(door: Path, method: str, params: dict[str, Any]) -> Any:
    async with RpcClient(door) as client:
        with trio.fail_after(10):
            await client.connected.wait()
        try:
            return await client.call(method, params)
        except AuthnetError as refusal:
            return refusal.code
