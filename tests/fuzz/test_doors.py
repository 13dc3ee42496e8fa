"""The public door's JSON-RPC and the unix sockets between a node's processes, both ends."""

from __future__ import annotations

import asyncio
import json
import socket
from functools import cache
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest
from anyio.abc import ByteStream

from authnet_core.crypto.secp256k1 import pub, scalar_bytes
from authnet_core.errors import AuthnetError, DecodeError
from authnet_core.protocol.committee import Committee
from authnet_core.protocol.views import AccountView, EpochView, KeyView, MemberView, StatusView, VerifierView
from authnet_runtime import rpc, rpc_client, rpc_once
from authnet_runtime.framing import FrameReader, pack
from node_api.comet_proxy import CometCall, checked_params
from node_api.jsonrpc import JsonRpc
from node_api.keeper import AssignedKey, Committed, Released, ShareCall
from node_api.limits import Limits
from node_api.node import Node
from tests.component.api.scripted_chain import VERIFIER, ScriptedChain
from tests.component.api.scripted_keeper import ScriptedKeeper, scripted_token
from tests.component.api.torus_calls import T_XY, commitment, lookup, share
from tests.fuzz.target import Target

ENDPOINT = "http://127.0.0.1:1"


class _Chain:
    """ChainView without a socket."""

    newest = None
    height = 5

    def __init__(self, script: ScriptedChain) -> None:
        self._script = script

    def _view(self, path: str, kind: Any) -> Any:
        return msgspec.convert(msgspec.to_builtins(self._script._read(path)), kind)

    async def verifier(self, name: str) -> VerifierView:
        found: VerifierView = self._view(f"/verifier/{name}", VerifierView)
        return found

    async def status(self) -> StatusView:
        found: StatusView = self._view("/status", StatusView)
        return found

    async def serving_epoch(self) -> EpochView:
        found: EpochView = self._view("/epoch/current", EpochView)
        return found

    async def key_of(self, account_id: bytes, curve: str) -> KeyView | None:
        try:
            found: AccountView = self._view(f"/account/{account_id.hex()}?curve={curve}", AccountView)
        except AuthnetError:
            return None
        return found.keys[0]

    async def key_by_pub(self, point: bytes) -> KeyView | None:
        return None

    def is_new(self, assigned_ms: int) -> bool:
        return True


class _Keeper:
    """Keeper without a socket; what is sent to it must fit a frame."""

    def __init__(self, script: ScriptedKeeper) -> None:
        self._methods = script.methods()

    async def _call(self, name: str, params: Any, kind: Any) -> Any:
        sent = json.loads(pack(msgspec.json.encode(msgspec.to_builtins(params)))[4:])
        return msgspec.convert(await self._methods[name](sent, None), kind)  # type: ignore[arg-type]

    async def status(self) -> Any:
        return {"node_index": 1, "login_ready": True}

    async def commit(self, token_hash: bytes, temp_pub: bytes, verifier: str, epoch: int = 0) -> Any:
        params = {"token_hash": token_hash.hex(), "temp_pub": temp_pub.hex(), "verifier": verifier, "epoch": epoch}
        return await self._call("commit", params, Committed)

    async def share(self, call: ShareCall) -> Any:
        # The scripted keeper believes its receipts; the real one is fuzzed in test_logins.
        params = msgspec.to_builtins(call) | {"receipts": [], "temp_pub": pub(bytes([7]) * 32).hex()}
        return await self._call("share", params, Released)

    async def assign(self, verifier: str, account_id: bytes, curve: str, purpose: str) -> Any:
        return await self._call("assign", {"account_id": account_id.hex()}, AssignedKey)


@cache
def door() -> JsonRpc:
    script = ScriptedChain(Committee.of(5))
    script.members.append(
        MemberView(
            index=1,
            operator="",
            identity=pub(scalar_bytes(5)).hex(),
            consensus="",
            peer_id="",
            p2p_addr="",
            comet_addr="",
            endpoint=ENDPOINT,
        )
    )
    keeper = _Keeper(ScriptedKeeper(1, script, scalar_bytes(5), scalar_bytes(6)))
    wide = Limits(1e9, 10**9, 1e9, 10**9)
    return JsonRpc(Node(_Chain(script), keeper, wide, ENDPOINT))  # type: ignore[arg-type]


def requests() -> tuple[bytes, ...]:
    token = scripted_token("bob@x.y")
    receipt = {"data": "mug00", "signature": "00" * 65, "nodepubx": T_XY[:64], "nodepuby": T_XY[64:]}
    calls = (
        ("GetPubKeyOrKeyAssign", lookup()),
        ("VerifierLookupRequest", lookup(verifier=VERIFIER)),
        ("KeyLookupRequest", {"pub_key_X": T_XY[:64], "pub_key_Y": T_XY[64:]}),
        ("CommitmentRequest", commitment()),
        ("GetShareOrKeyAssign", share(token, [receipt] * 4)),
        ("GetShareOrKeyAssign", share(token, [], nonce_enc=True) | {"temppubx": T_XY[:64], "temppuby": T_XY[64:]}),
        ("Ping", {}),
    )
    bodies = ({"jsonrpc": "2.0", "method": method, "id": 10, "params": params} for method, params in calls)
    return tuple(json.dumps(body).encode() for body in bodies)


def check_request(raw: bytes) -> None:
    answer = json.loads(asyncio.run(door().answer(raw)))
    assert ("result" in answer) != ("error" in answer)
    if "error" in answer:
        assert answer["error"]["authnet"]["code"] != "INTERNAL"
        assert answer["error"]["authnet"]["cure"]


def check_comet(raw: bytes) -> None:
    try:
        call = msgspec.json.decode(raw, type=CometCall)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return
    try:
        params = checked_params(call)
    except AuthnetError:
        return
    assert all(isinstance(value, str) and value.isascii() for value in params.values())


class _Wire(ByteStream):
    """A socket whose other end has sent all it will."""

    def __init__(self, raw: bytes) -> None:
        self._left, self.written = raw, bytearray()

    async def receive(self, max_bytes: int = 65536) -> bytes:
        if not self._left:
            raise anyio.EndOfStream
        chunk, self._left = self._left[:11], self._left[11:]
        return chunk

    async def send(self, item: bytes) -> None:
        self.written += item

    async def send_eof(self) -> None:
        """Nothing to say."""

    async def aclose(self) -> None:
        """Nothing to close."""


def check_server(raw: bytes) -> None:
    """Whatever a caller writes, the server ends with the connection and nothing else."""
    wire = _Wire(raw)

    async def echo(params: dict[str, Any], _: rpc.Connection) -> Any:
        return params

    async def serve() -> None:
        await rpc._talk(wire, {"echo": echo}, rpc.Connection(wire, 0))

    anyio.run(serve)
    for frame in frames(bytes(wire.written)):
        assert json.loads(frame)["jsonrpc"] == "2.0"


def frames(raw: bytes) -> list[bytes]:
    async def read() -> list[bytes]:
        reader, found = FrameReader(_Wire(raw)), []
        while (frame := await reader.next()) is not None:
            found.append(frame)
        return found

    return anyio.run(read)


def check_framing(raw: bytes) -> None:
    try:
        found = frames(raw)
    except DecodeError:
        return
    assert raw.startswith(b"".join(pack(frame) for frame in found))


def check_client(raw: bytes) -> None:
    """Whatever a server writes, calls end with a code."""

    async def read() -> None:
        client = rpc_client.RpcClient(Path("nowhere.sock"))
        pending = client._pending[1] = rpc_client._Pending()
        await client._session(_Wire(raw))
        assert pending.done.is_set()
        if pending.reply is not None and pending.reply.error is not None:
            assert isinstance(rpc_client._refusal(pending.reply.error), AuthnetError)

    anyio.run(read)


def check_one_call(raw: bytes) -> None:
    """The blocking client of the command line."""
    near, far = socket.socketpair()
    with near, far:
        far.sendall(raw[:60_000])
        far.shutdown(socket.SHUT_WR)
        try:
            rpc_once.read_reply(near)
        except (OSError, ValueError, AuthnetError):
            return


def _calls() -> tuple[bytes, ...]:
    one = {"jsonrpc": "2.0", "id": 1, "method": "echo", "params": {"a": [1, {"b": "c"}]}}
    return (pack(json.dumps(one).encode()) * 2, pack(b'{"method":"none","id":"x"}') + pack(b"{}"))


def _replies() -> tuple[bytes, ...]:
    refused = {"jsonrpc": "2.0", "id": 1, "error": {"code": -1, "message": "m", "data": {"code": "BUSY", "detail": {}}}}
    note = {"jsonrpc": "2.0", "method": "block", "params": {"height": 1}}
    return (
        pack(json.dumps(note).encode()) + pack(b'{"jsonrpc":"2.0","id":1,"result":{"value":[1]}}'),
        pack(json.dumps(refused).encode()),
    )


def packed(check: Any) -> Any:
    """The bytes as one frame: else nearly all of them fail at the length."""
    return lambda raw: check(pack(raw))


TARGETS = (
    Target("json_rpc", "json", requests, check_request, 150),
    Target("comet_calls", "json", lambda: (b'{"method":"commit","params":{"height":"5"},"id":1}',), check_comet, 40),
    Target("framing", "bytes", _calls, check_framing, 40),
    Target("rpc_server", "bytes", _calls, check_server, 40),
    Target("rpc_server_json", "json", lambda: (_calls()[0][4 : 4 + _calls()[0][3]],), packed(check_server)),
    Target("rpc_client", "bytes", _replies, check_client, 40),
    Target("rpc_client_json", "json", lambda: (_replies()[1][4:],), packed(check_client)),
    Target("rpc_once", "json", lambda: (_replies()[1][4:],), packed(check_one_call)),
)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_what_comes_through_a_door(target: Target) -> None:
    target.slice()
