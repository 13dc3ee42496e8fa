"""A network of real node_api servers over scripted chains and keepers, on real sockets, in one process.

The chain and the keepers follow a script: they hold real keys and shares and answer in the real formats, but
check no token and run no consensus. Each keeper can be told to lie or to refuse.
"""

from __future__ import annotations

import asyncio
import base64
import json
import random
import shutil
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import httpx
import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from authnet_client import Network
from authnet_core.crypto import ecies
from authnet_core.crypto.ecdsa import sign_recoverable
from authnet_core.crypto.hashing import keccak256
from authnet_core.crypto.secp256k1 import Q, decompress, pub, scalar_bytes
from authnet_core.crypto.shamir import evaluate
from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.committee import Committee
from authnet_core.protocol.receipts import Receipt
from authnet_core.protocol.views import AudienceView, EpochView, KeyView, MemberView, VerifierView
from authnet_runtime import rpc
from authnet_runtime.config import NodeConfig, parse_node
from node_api.server import run

NETWORK_ID = "scripted"
VERIFIER = "mock-google"
Lie = Callable[[dict[str, Any]], dict[str, Any]]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def b64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def scripted_token(user: str, nonce: str | None = None) -> str:
    """Shaped like a token; the scripted keepers do not check signatures."""
    claims = {"sub": user, "iat": int(time.time()), "jti": random.random()} | ({"nonce": nonce} if nonce else {})
    parts = ({"alg": "RS256", "kid": "scripted"}, claims)
    return ".".join(b64url(json.dumps(part).encode()) for part in parts) + "." + b64url(bytes(64))


def seal(point: bytes, plaintext: bytes) -> dict[str, str]:
    box = ecies.encrypt(point, plaintext)
    return {
        "iv": box.iv.hex(),
        "ephem": box.ephem_public_key.hex(),
        "mac": box.mac.hex(),
        "ciphertext": box.ciphertext.hex(),
    }


@dataclass
class ScriptedKey:
    """One key, known whole, as only a test may."""

    index: int
    coefficients: list[int]
    nonce: int

    @property
    def y(self) -> str:
        return pub(self.coefficients[0]).hex()

    @property
    def n(self) -> str:
        return pub(self.nonce).hex()

    @property
    def final(self) -> int:
        return (self.coefficients[0] + self.nonce) % Q

    def share(self, index: int) -> int:
        return evaluate(self.coefficients, index)


@dataclass
class ScriptedChain:
    """What all nodes' read.sock answer from."""

    committee: Committee
    members: list[MemberView] = field(default_factory=list)
    keys: list[ScriptedKey] = field(default_factory=list)
    assigned: dict[str, tuple[int, int]] = field(default_factory=dict)
    height: int = 10
    time_ms: int = 1_700_000_000_000
    epoch: int = 1
    queries: list[str] = field(default_factory=list)
    listeners: list[rpc.Connection] = field(default_factory=list)
    rng: random.Random = field(default_factory=lambda: random.Random(7))

    def assign(self, account: str) -> ScriptedKey:
        if account not in self.assigned:
            coefficients = [self.rng.randrange(1, Q) for _ in range(self.committee.k)]
            self.keys.append(ScriptedKey(len(self.keys), coefficients, self.rng.randrange(1, Q)))
            self.assigned[account] = (len(self.keys) - 1, self.time_ms)
        return self.keys[self.assigned[account][0]]

    def view(self, account: str) -> KeyView:
        index, at = self.assigned[account]
        key = self.keys[index]
        return KeyView(
            index=index,
            curve="secp256k1",
            Y=key.y,
            N=key.n,
            sid="00" * 32,
            position=index,
            epoch=1,
            free=False,
            account_id=account,
            assigned_ms=at,
        )

    def note(self, events: list[dict[str, Any]] | None = None) -> dict[str, Any]:
        return {
            "height": self.height,
            "time_ms": self.time_ms,
            "app_hash": "00" * 32,
            "events": events or [],
        }

    async def block(self, seconds: float = 1.0, events: list[dict[str, Any]] | None = None) -> None:
        """Commit a block and tell every subscriber."""
        self.height += 1
        self.time_ms += int(seconds * 1000)
        for connection in self.listeners:
            await connection.notify("block", self.note(events))

    def methods(self) -> dict[str, rpc.Handler]:
        async def query(params: dict[str, Any], connection: rpc.Connection) -> Any:
            self.queries.append(params["path"])
            return {"height": self.height, "value": msgspec.to_builtins(self._read(params["path"]))}

        async def subscribe(params: dict[str, Any], connection: rpc.Connection) -> Any:
            self.listeners.append(connection)
            return self.note()

        async def metrics(params: dict[str, Any], connection: rpc.Connection) -> str:
            return "# HELP scripted_chain x\n# TYPE scripted_chain gauge\nscripted_chain 1.0\n"

        return {"query": query, "subscribe": subscribe, "metrics": metrics}

    def _read(self, path: str) -> Any:
        place, _, _ = path.partition("?")
        parts = place.strip("/").split("/")
        match parts:
            case ["status"]:
                return {
                    "chain_id": f"{NETWORK_ID}-1",
                    "network_id": NETWORK_ID,
                    "dev": True,
                    "height": self.height,
                    "time_ms": self.time_ms,
                    "app_hash": "00" * 32,
                    "epoch": self.epoch,
                }
            case ["epoch", _]:
                c = self.committee
                return EpochView(
                    epoch=self.epoch,
                    n=c.n,
                    k=c.k,
                    t=c.t,
                    status="serving",
                    members=tuple(self.members),
                    committee_hash="11" * 32,
                )
            case ["verifier", name] if name == VERIFIER:
                return verifier_record()
            case ["verifier", _]:
                raise AuthnetError(Code.VERIFIER_UNKNOWN, "no such verifier")
            case ["account", account] if account in self.assigned and "secp256k1" in path:
                return {"account_id": account, "keys": [self.view(account)]}
            case ["account", _]:
                raise AuthnetError(Code.ACCOUNT_NOT_FOUND, "no key")
            case ["key", "by-pub", point]:
                for account in self.assigned:
                    if point == self.view(account).Y:
                        return self.view(account)
                raise AuthnetError(Code.NOT_FOUND, "no such key")
        raise AuthnetError(Code.UNKNOWN_PATH, path)


def verifier_record() -> VerifierView:
    return VerifierView(
        name=VERIFIER,
        version=1,
        issuer="http://127.0.0.1",
        jwks_url="http://127.0.0.1/jwks",
        audiences=(AudienceView(aud="torus", mode="two-round"), AudienceView(aud="authnet", mode="bound")),
        id_claim="sub",
        case_rule="ascii-lower",
        algorithms=("RS256",),
        iat_limit_s=120,
    )


@dataclass
class ScriptedKeeper:
    """One node's keeper. `lies` change its answers, `refusals` replace them, `calls` is what it was asked."""

    index: int
    chain: ScriptedChain
    identity: bytes
    service: bytes
    lies: dict[str, Lie] = field(default_factory=dict)
    refusals: dict[str, AuthnetError] = field(default_factory=dict)
    held: dict[str, asyncio.Event] = field(default_factory=dict)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    committed: dict[str, str] = field(default_factory=dict)

    def methods(self) -> dict[str, rpc.Handler]:
        actions = {
            "status": self._status,
            "commit": self._commit,
            "share": self._share,
            "assign": self._assign,
            "metrics": self._metrics,
        }
        return {name: self._scripted(name, action) for name, action in actions.items()}

    def _scripted(self, name: str, action: Callable[[dict[str, Any]], Any]) -> rpc.Handler:
        async def handler(params: dict[str, Any], connection: rpc.Connection) -> Any:
            self.calls.append((name, params))
            if name in self.held:
                await self.held[name].wait()
            if name in self.refusals:
                raise self.refusals[name]
            answer = action(params)
            return self.lies[name](answer) if name in self.lies else answer

        return handler

    def _status(self, params: dict[str, Any]) -> dict[str, Any]:
        return {"node_index": self.index}

    def _metrics(self, params: dict[str, Any]) -> str:
        return "# HELP scripted_keeper_total x\n# TYPE scripted_keeper_total counter\nscripted_keeper_total 2.0\n"

    def _commit(self, params: dict[str, Any]) -> dict[str, Any]:
        if self.committed.setdefault(params["token_hash"], params["temp_pub"]) != params["temp_pub"]:
            raise AuthnetError(Code.DUPLICATE_TOKEN, "this token is committed to another session key")
        receipt = Receipt(
            token_hash=bytes.fromhex(params["token_hash"]),
            temp_pub=decompress(bytes.fromhex(params["temp_pub"])),
            verifier=params["verifier"],
            time_s=int(time.time()),
            network_id=NETWORK_ID,
            epoch=1,
            node_index=self.index,
        )
        return {
            "data": receipt.text,
            "signature": sign_recoverable(self.identity, receipt.digest).hex(),
            "node_pub": pub(self.identity).hex(),
            "node_index": self.index,
        }

    def _share(self, params: dict[str, Any]) -> dict[str, Any]:
        from authnet_core.protocol.accounts import account_id, canonical_id

        user = canonical_id("ascii-lower", params["verifier_id"])
        account = account_id(NETWORK_ID, params["verifier"], user, params["extension"]).hex()
        key = self.chain.assign(account)
        point = self._session_key(params)
        xy = decompress(point).hex()
        token = json.dumps(
            {
                "exp": int(time.time()) + params["session_s"],
                "temp_key_x": xy[:64],
                "temp_key_y": xy[64:],
                "verifier_name": params["verifier"],
                "verifier_id": user,
            }
        ).encode()
        signature = sign_recoverable(self.service, keccak256(base64.b64encode(token)))
        nonce = scalar_bytes(key.nonce)
        sealed_nonce = {"nonce_sealed": seal(point, nonce)} if params["nonce_enc"] else {"nonce": nonce.hex()}
        return {
            "index": key.index,
            "Y": key.y,
            "N": key.n,
            "share": seal(point, scalar_bytes(key.share(self.index))),
            "session_token": seal(point, token),
            "session_token_sig": seal(point, signature),
            "node_index": self.index,
            "service_pub": pub(self.service).hex(),
            "is_new": True,
            "upgraded": False,
            "created_ms": self.chain.time_ms,
            "epoch": 1,
        } | sealed_nonce

    def _session_key(self, params: dict[str, Any]) -> bytes:
        if "temp_pub" in params:
            return bytes.fromhex(params["temp_pub"])
        votes = [receipt["data"].split("\x1c") for receipt in params["receipts"]]
        return bytes([2 + int(votes[0][3][-1], 16) % 2]) + bytes.fromhex(votes[0][2])

    def _assign(self, params: dict[str, Any]) -> dict[str, Any]:
        key = self.chain.assign(params["account_id"])
        at = self.chain.assigned[params["account_id"]][1]
        return {"index": key.index, "Y": key.y, "N": key.n, "created_ms": at, "is_new": True}


@dataclass
class ScriptedNet:
    """All of it, running."""

    chain: ScriptedChain
    keepers: dict[int, ScriptedKeeper]
    endpoints: dict[int, str]
    metrics: dict[int, str]
    network: Network
    tokens: list[str]
    """Every token that the scripted provider has given."""
    stops: dict[int, anyio.CancelScope] = field(default_factory=dict)

    def rpc_url(self, index: int = 1) -> str:
        return f"{self.endpoints[index]}/sss/jrpc"

    def forget(self) -> None:
        """Back to the script: no account, no lie, no refusal."""
        self.tokens.clear()
        chain = self.chain
        for each in (chain.keys, chain.assigned, chain.queries):
            each.clear()
        for keeper in self.keepers.values():
            for part in (keeper.lies, keeper.refusals, keeper.held, keeper.calls, keeper.committed):
                part.clear()

    def kill(self, index: int) -> None:
        self.stops[index].cancel()


def node_toml(folder: Path, port: int, metrics: int, overrides: str) -> NodeConfig:
    return parse_node(
        f"""
        [node]
        network_id = "{NETWORK_ID}"
        [ethereum]
        rpc = "http://127.0.0.1:1"
        registry = "0x00"
        chain_id = 1
        [p2p]
        listen = "/ip4/127.0.0.1/tcp/1"
        [cometbft]
        p2p = "127.0.0.1:1"
        [metrics]
        listen = "127.0.0.1:{metrics}"
        [api]
        listen = "127.0.0.1:{port}"
        endpoint = "http://127.0.0.1:{port}"
        {overrides}
        """,
        folder,
    )


def scripted_front(net: ScriptedNet) -> Starlette:
    """The front and the registry's RPC of a localnet, as far as a client asks them."""

    async def details(request: Request) -> JSONResponse:
        return JSONResponse(
            {
                "nodeDetails": {
                    "torusNodeSSSEndpoints": [net.rpc_url(i) for i in net.endpoints],
                    "torusIndexes": list(net.endpoints),
                }
            }
        )

    async def token(request: Request) -> JSONResponse:
        query = request.query_params
        text = scripted_token(query["verifier_id"], query.get("nonce"))
        net.tokens.append(text)
        return JSONResponse({"id_token": text})

    return Starlette(routes=[Route("/fnd/node-details", details), Route("/dev/token", token)])


async def _run_node(net: ScriptedNet, config: NodeConfig, index: int, *, task_status: Any) -> None:
    with anyio.CancelScope() as scope:
        net.stops[index] = scope
        await run(config, task_status=task_status)


@asynccontextmanager
async def scripted_network(n: int = 5, overrides: str = "") -> AsyncIterator[ScriptedNet]:
    """Everything up; `overrides` are lines of the [api] section."""
    folder = Path(tempfile.mkdtemp(prefix="an-", dir="/tmp"))
    chain = ScriptedChain(Committee.of(n))
    net = ScriptedNet(chain, {}, {}, {}, Network("", ""), [])
    async with AsyncExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        group = await stack.enter_async_context(anyio.create_task_group())
        for index in range(1, n + 1):
            place = folder / str(index)
            (place / "run").mkdir(parents=True, mode=0o700)
            config = node_toml(place, free_port(), free_port(), overrides)
            keeper = ScriptedKeeper(index, chain, scalar_bytes(1000 + index), scalar_bytes(2000 + index))
            net.keepers[index] = keeper
            net.endpoints[index] = config.toml.api.endpoint
            net.metrics[index] = f"http://{config.toml.metrics.listen}/metrics"
            chain.members.append(
                MemberView(
                    index=index,
                    operator="0x" + "00" * 20,
                    identity=pub(keeper.identity).hex(),
                    consensus="00" * 32,
                    peer_id="",
                    p2p_addr="",
                    comet_addr="",
                    endpoint=config.toml.api.endpoint,
                    service_key=pub(keeper.service).hex(),
                )
            )
            await group.start(rpc_serve, config.read_sock, chain.methods())
            await group.start(rpc_serve, config.api_sock, keeper.methods())
            await group.start(rpc_serve, config.ops_sock, keeper.methods())
            await group.start(start_node, net, config, index)
        port = free_port()
        net.network = Network(NETWORK_ID, f"{NETWORK_ID}-1", front=f"http://127.0.0.1:{port}", dev=True)
        front = uvicorn.Server(
            uvicorn.Config(scripted_front(net), port=port, log_config=None, lifespan="off", access_log=False)
        )
        group.start_soon(front._serve)
        await until_ready(net, front)
        try:
            yield net
        finally:
            front.should_exit = True
            group.cancel_scope.cancel()


async def rpc_serve(path: Path, methods: dict[str, rpc.Handler], *, task_status: Any) -> None:
    await rpc.serve(path, methods, task_status=task_status)


async def start_node(net: ScriptedNet, config: NodeConfig, index: int, *, task_status: Any) -> None:
    await _run_node(net, config, index, task_status=task_status)


async def until_ready(net: ScriptedNet, front: uvicorn.Server) -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        with anyio.fail_after(15):
            for endpoint in net.endpoints.values():
                await until(lambda url=f"{endpoint}/readyz": _is_ready(http, url))
            await until(lambda: _is_started(front))


async def _is_ready(http: httpx.AsyncClient, url: str) -> bool:
    return (await http.get(url)).status_code == 200


async def _is_started(front: uvicorn.Server) -> bool:
    return front.started


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 15) -> None:
    """Wait for a condition that only asking can tell."""
    with anyio.fail_after(seconds):
        while not await condition():  # noqa: ASYNC110 (nobody could set an event)
            await anyio.sleep(0.02)
