"""A network of real node_api servers over scripted chains and keepers, on real sockets, in one process."""

from __future__ import annotations

import shutil
import socket
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import anyio
import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from authnet_client import Network
from authnet_core.crypto.secp256k1 import pub, scalar_bytes
from authnet_core.protocol.committee import Committee
from authnet_core.protocol.views import MemberView
from authnet_runtime import rpc
from authnet_runtime.config import NodeConfig, parse_node
from node_api.chain_view import ChainView
from node_api.comet_proxy import CometProxy
from node_api.server import run
from tests.component.api.scripted_chain import NETWORK_ID, ScriptedChain
from tests.component.api.scripted_keeper import ScriptedKeeper, scripted_token
from tests.component.api.scripted_registry import abi_node_set


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


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
    registry: bytes = b""
    """Another answer of the registry contract than the true one."""
    epochs: dict[str, bytes] = field(default_factory=dict)
    """Call data -> the registry's answer to it."""

    def rpc_url(self, index: int = 1) -> str:
        return f"{self.endpoints[index]}/sss/jrpc"

    def forget(self) -> None:
        """Back to the script: no account, no lie, no refusal."""
        self.tokens.clear()
        self.registry = b""
        self.epochs.clear()
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

    async def ethereum(request: Request) -> JSONResponse:
        endpoints = [url.removeprefix("http://") for url in net.endpoints.values()]
        points = [pub(keeper.identity) for keeper in net.keepers.values()]
        data = (await request.json())["params"][0]["data"]
        raw = net.epochs.get(data) or net.registry or abi_node_set(1, endpoints, points)
        return JSONResponse({"jsonrpc": "2.0", "id": 1, "result": "0x" + raw.hex()})

    return Starlette(
        routes=[
            Route("/fnd/node-details", details),
            Route("/dev/token", token),
            Route("/eth", ethereum, methods=["POST"]),
        ]
    )


async def _run_node(net: ScriptedNet, config: NodeConfig, index: int, *, task_status: Any) -> None:
    with anyio.CancelScope() as scope:
        net.stops[index] = scope
        await run(config, task_status=task_status)


async def _says_it_is_not(_: CometProxy) -> bool:
    """In the place of CometBFT, which is not there: its chain is not being synced."""
    return False


@asynccontextmanager
async def scripted_network(n: int = 5, overrides: str = "") -> AsyncIterator[ScriptedNet]:
    """Everything up; `overrides` are lines of the [api] section."""
    folder = Path(tempfile.mkdtemp(prefix="an-", dir="/tmp"))
    chain = ScriptedChain(Committee.of(n))
    net = ScriptedNet(chain, {}, {}, {}, Network("", ""), [])
    async with AsyncExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        stack.enter_context(mock.patch.object(CometProxy, "is_syncing", _says_it_is_not))
        stack.enter_context(mock.patch.object(ChainView, "is_in_the_past", False))  # the chain's time is made up
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
