"""The socket RPC under both event loops: answers, refusals, bad frames, reconnect."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from authnet_core.errors import AuthnetError, Code
from authnet_runtime.framing import MAX_FRAME, pack
from authnet_runtime.rpc import Connection, serve
from authnet_runtime.rpc_client import RpcClient


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


pytestmark = pytest.mark.anyio


async def _echo(params: dict[str, Any], _: Connection) -> Any:
    return params


async def _refuse(params: dict[str, Any], _: Connection) -> Any:
    raise AuthnetError(Code.POOL_EMPTY, "no key left", wait_s=3)


async def _explode(params: dict[str, Any], _: Connection) -> Any:
    raise ValueError("secret text")


async def _hello(params: dict[str, Any], connection: Connection) -> Any:
    await connection.notify("news", {"n": 1})
    return {"n": 0}


METHODS = {"echo": _echo, "refuse": _refuse, "explode": _explode, "subscribe": _hello}


async def test_many_calls_share_one_connection(tmp_path: Path) -> None:
    async with anyio.create_task_group() as group:
        await group.start(lambda *, task_status: serve(tmp_path / "s", METHODS, task_status=task_status))
        async with RpcClient(tmp_path / "s") as client:
            await client.connected.wait()
            got: list[int] = []

            async def one(i: int) -> None:
                got.append((await client.call("echo", {"i": i}))["i"])

            async with anyio.create_task_group() as calls:
                for i in range(200):
                    calls.start_soon(one, i)
            assert sorted(got) == list(range(200))
        group.cancel_scope.cancel()
    assert not (tmp_path / "s").exists()


async def test_refusals_keep_their_code_and_failures_tell_nothing(tmp_path: Path) -> None:
    async with anyio.create_task_group() as group:
        await group.start(lambda *, task_status: serve(tmp_path / "s", METHODS, task_status=task_status))
        async with RpcClient(tmp_path / "s") as client:
            await client.connected.wait()
            with pytest.raises(AuthnetError) as refused:
                await client.call("refuse")
            assert (refused.value.code, refused.value.detail) == (Code.POOL_EMPTY, {"wait_s": 3})
            with pytest.raises(AuthnetError) as failed:
                await client.call("explode")
            assert failed.value.code is Code.INTERNAL
            assert "secret" not in str(failed.value)
            with pytest.raises(AuthnetError) as unknown:
                await client.call("nothing")
            assert unknown.value.code is Code.UNKNOWN_METHOD
        group.cancel_scope.cancel()


@pytest.mark.parametrize(
    "raw",
    [
        b"\xff\xff\xff\xff",
        (MAX_FRAME + 1).to_bytes(4, "big") + b"x",
        b"\x00\x00\x00\x02[]",
        b"\x00\x00",
        pack(b'{"method": "\xff"}'),
        pack(b'{"method": "echo", "params": {"a": ' + b"[" * 5_000 + b"]" * 5_000 + b"}}"),
    ],
)
async def test_a_bad_frame_ends_or_refuses_and_the_server_goes_on(tmp_path: Path, raw: bytes) -> None:
    async with anyio.create_task_group() as group:
        await group.start(lambda *, task_status: serve(tmp_path / "s", METHODS, task_status=task_status))
        async with await anyio.connect_unix(tmp_path / "s") as stream:
            await stream.send(raw)
        async with RpcClient(tmp_path / "s") as client:
            await client.connected.wait()
            assert await client.call("echo", {"ok": True}) == {"ok": True}
        group.cancel_scope.cancel()


async def test_other_users_are_turned_away(tmp_path: Path) -> None:
    async with anyio.create_task_group() as group:
        await group.start(
            lambda *, task_status: serve(tmp_path / "s", METHODS, peers=frozenset({99_999}), task_status=task_status)
        )
        async with await anyio.connect_unix(tmp_path / "s") as stream:
            with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                await stream.receive()
        group.cancel_scope.cancel()


async def test_a_subscriber_hears_again_after_the_server_restarts(tmp_path: Path) -> None:
    async with RpcClient(tmp_path / "s", subscribe="subscribe") as client:
        notes = client.notifications()
        for _ in range(2):
            async with anyio.create_task_group() as group:
                await group.start(lambda *, task_status: serve(tmp_path / "s", METHODS, task_status=task_status))
                heard = {(await anext(notes))[1]["n"] for _ in range(2)}
                assert heard == {0, 1}
                group.cancel_scope.cancel()


async def test_calling_nobody_says_unavailable(tmp_path: Path) -> None:
    async with RpcClient(tmp_path / "none") as client:
        with pytest.raises(AuthnetError) as refused:
            await client.call("echo")
        assert refused.value.code is Code.UNAVAILABLE
