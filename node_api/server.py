"""The whole application in one place: routes, and the servers that carry it."""

from __future__ import annotations

import logging
import socket
from contextlib import AbstractContextManager, AsyncExitStack, nullcontext
from functools import partial

import anyio
import uvicorn
from anyio.abc import TaskStatus
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from authnet_core.errors import AuthnetError, Code, ConfigError
from authnet_runtime.config import NodeConfig, split_address
from node_api.chain_view import ChainView
from node_api.comet_proxy import CometProxy
from node_api.door import RPC_PATHS, Door
from node_api.http_protocol import ConnectionLimits, limited_protocol
from node_api.jsonrpc import JsonRpc
from node_api.keeper import Keeper
from node_api.limits import Limits, proxy_set
from node_api.node import Node
from node_api.node_metrics import NodeMetrics
from node_api.refusals import http_refusal
from node_api.rest import Get, OwnMetrics, health, node_details, ready, resolve

KEEP_ALIVE_S = 75
BACKLOG = 512


async def _no_such_path(request: Request, error: Exception) -> Response:
    """404 and 405 in the same form as every other refusal."""
    status = error.status_code if isinstance(error, HTTPException) else 404
    code = Code.UNKNOWN_METHOD if status == 405 else Code.UNKNOWN_PATH
    refusal = http_refusal(AuthnetError(code, f"HTTP {status}: see docs/protocol/api.md"))
    return JSONResponse({"error": refusal.error}, status)


def application(node: Node, comet: CometProxy, proxies: frozenset[str]) -> ASGIApp:
    """Everything the public port serves."""
    rpc = JsonRpc(node)
    routes = [
        *(Route(path, rpc, methods=["POST"]) for path in RPC_PATHS),  # for a GET's 405; the door serves POST
        Route("/v1/resolve/{verifier}/{id:path}", Get(node, "resolve", resolve), methods=["GET"]),
        Route("/v1/node-details", Get(node, "node-details", node_details), methods=["GET"]),
        Route("/healthz", Get(node, "healthz", health), methods=["GET"]),
        Route("/readyz", Get(node, "readyz", partial(ready, comet)), methods=["GET"]),
        Route("/metrics", OwnMetrics(), methods=["GET"]),
        Route("/comet", comet, methods=["POST"]),
        Route("/comet/", comet, methods=["POST"]),
        Route("/comet/{method}", comet, methods=["GET"]),
    ]
    starlette = Starlette(routes=routes, exception_handlers={HTTPException: _no_such_path})
    return Door(rpc, starlette, node, proxies)


class QuietServer(uvicorn.Server):
    """uvicorn without signal handlers: the process decides when it ends."""

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        """Leave signals alone."""
        return nullcontext()


def listen(key: str, address: str) -> socket.socket:
    """A bound listening socket. Raises ConfigError naming `key`."""
    host, port = split_address(address, key)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise ConfigError(f"{key}: {address} can not be listened on: {error.strerror}") from None


def _server(app: ASGIApp, limits: ConnectionLimits) -> uvicorn.Server:
    config = uvicorn.Config(
        app,
        loop="none",
        http=limited_protocol(limits),
        ws="none",
        lifespan="off",
        interface="asgi3",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=3,
    )
    return QuietServer(config)


async def run(config: NodeConfig, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
    """Serve both listeners until cancelled. Waits for nothing: what is not there yet is UNAVAILABLE."""
    logging.getLogger("uvicorn").setLevel(logging.ERROR)
    api, metrics = config.toml.api, config.toml.metrics
    proxies = proxy_set(api.proxies)
    sockets = [listen("api.listen", api.listen)]
    if metrics.listen:
        sockets.append(listen("metrics.listen", metrics.listen))
    async with AsyncExitStack() as stack:
        for each in sockets:
            stack.callback(each.close)
        comet = CometProxy(config.comet_sock)
        stack.push_async_callback(comet.close)
        node = Node(
            chain=await stack.enter_async_context(ChainView(config.read_sock)),
            keeper=await stack.enter_async_context(Keeper(config.api_sock, config.ops_sock)),
            limits=Limits(api.rate_per_s, api.burst, api.new_keys_per_s, api.new_keys_burst),
            endpoint=api.endpoint,
            max_body=api.max_body,
            body_timeout_s=api.body_timeout_s,
        )
        limits = ConnectionLimits(api.max_connections, max(api.max_connections // 2, 1), proxies)
        servers = [_server(application(node, comet, proxies), limits)]
        if metrics.listen:
            servers.append(_server(NodeMetrics(node, comet), ConnectionLimits(32, 32)))
        await _serve_all(dict(zip(servers, sockets, strict=True)), task_status)


async def _serve_all(servers: dict[uvicorn.Server, socket.socket], task_status: TaskStatus[None]) -> None:
    async with anyio.create_task_group() as group:
        for server, bound in servers.items():
            group.start_soon(_serve_one, server, bound)
        try:
            task_status.started()  # the sockets listen already
            await anyio.sleep_forever()
        finally:
            # Each server finishes what it is answering, for three seconds at most, and returns.
            for server in servers:
                server.should_exit = True


async def _serve_one(server: uvicorn.Server, bound: socket.socket) -> None:
    with anyio.CancelScope(shield=True):
        await server.serve(sockets=[bound])
