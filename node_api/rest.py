"""The GET side: resolve, node-details, health. Same answers as JSON-RPC, in our own form (docs/protocol/api.md)."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.views import EpochView, MemberView, StatusView
from authnet_runtime import metrics
from node_api.comet_proxy import CometProxy
from node_api.encoding import address, coordinates, final_pub
from node_api.meters import observe
from node_api.node import Account, Node
from node_api.replies import reply, reply_json, reply_refusal

Endpoint = Callable[[Node, Request], Awaitable[Any]]
PROMETHEUS = ((b"content-type", b"text/plain; version=0.0.4; charset=utf-8"),)
_encoder = msgspec.json.Encoder()


class Get:
    """ASGI endpoint that runs one function and writes its value as JSON, or its refusal."""

    def __init__(self, node: Node, name: str, endpoint: Endpoint) -> None:
        self._node, self._name, self._endpoint = node, name, endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started, outcome = time.perf_counter(), "ok"
        try:
            with self._node.limits.work.one():
                value = await self._endpoint(self._node, Request(scope, receive))
        except AuthnetError as refusal:
            outcome = refusal.code.value
            await reply_refusal(send, refusal)
        else:
            await reply_json(send, 200, _encoder.encode(value))
        observe(self._name, outcome, time.perf_counter() - started)


class Resolved(msgspec.Struct, frozen=True):
    """Answer of /v1/resolve."""

    verifier: str
    id: str
    account_id: str
    key_index: int
    Y: str
    N: str
    final_pub: str
    address: str
    is_new: bool
    upgraded: bool
    created_ms: int
    height: int
    node_index: int


async def resolve(node: Node, request: Request) -> Resolved:
    """GET /v1/resolve/{verifier}/{id}[?assign=0][&extension=...]."""
    query = request.query_params
    account = Account(
        request.path_params["verifier"],
        request.path_params["id"],
        query.get("extension", ""),
        query.get("curve", "secp256k1"),
    )
    key = await (node.find if query.get("assign") == "0" else node.find_or_assign)(account)
    final = final_pub(key.Y, key.N)
    return Resolved(
        verifier=account.verifier,
        id=account.verifier_id,
        account_id=key.account_id.hex(),
        key_index=key.index,
        Y=key.Y,
        N=key.N,
        final_pub=final,
        address=address(final),
        is_new=key.is_new,
        upgraded=key.upgraded,
        created_ms=key.created_ms,
        height=node.chain.height,
        node_index=await node.index(),
    )


async def node_details(node: Node, request: Request) -> dict[str, Any]:
    """GET /v1/node-details: the serving committee, for our clients and, as `nodeDetails`, for torus.js."""
    return committee_object(await node.chain.status(), await node.chain.serving_epoch())


def committee_object(status: StatusView, epoch: EpochView) -> dict[str, Any]:
    """Equal on all nodes at one height: nothing in it depends on who answers."""
    members = sorted(epoch.members, key=lambda member: member.index)
    endpoints = [f"{member.endpoint.rstrip('/')}/sss/jrpc" for member in members]
    pairs = (coordinates(_public_key(member)) for member in members)
    return {
        "schema": 1,
        "network_id": status.network_id,
        "chain_id": status.chain_id,
        "dev": status.dev,
        "epoch": epoch.epoch,
        "n": epoch.n,
        "k": epoch.k,
        "t": epoch.t,
        "committee_hash": epoch.committee_hash,
        "members": [
            {
                "index": member.index,
                "endpoint": member.endpoint.rstrip("/"),
                "identity": member.identity,
                "service_key": member.service_key,
            }
            for member in members
        ],
        "nodeDetails": {
            "currentEpoch": str(epoch.epoch),
            "torusNodeEndpoints": endpoints,
            "torusNodeSSSEndpoints": endpoints,
            "torusNodeRSSEndpoints": [],
            "torusNodeTSSEndpoints": [],
            "torusNodePub": [{"X": x, "Y": y} for x, y in pairs],
            "torusIndexes": [member.index for member in members],
        },
        "success": True,
    }


def _public_key(member: MemberView) -> str:
    """What clients check session tokens with. A member that never came up has only its identity key."""
    return member.service_key or member.identity


async def health(node: Node, request: Request) -> dict[str, Any]:
    """GET /healthz: this process answers."""
    return {"ok": True}


async def ready(comet: CometProxy, node: Node, request: Request) -> dict[str, Any]:
    """GET /readyz: chain and keeper answer, logins too, and what they know is not of long ago. Raises UNAVAILABLE
    naming what is missing."""
    if node.chain.newest is None:
        raise AuthnetError(Code.UNAVAILABLE, "no block seen yet")
    epoch = await node.chain.serving_epoch()
    if epoch.epoch < 1:
        raise AuthnetError(Code.UNAVAILABLE, "the first committee is not on chain yet")
    if not (await node.keeper.status()).get("login_ready"):
        raise AuthnetError(Code.UNAVAILABLE, "the keeper serves no logins yet")
    if node.chain.is_in_the_past or await comet.is_syncing():
        # A node that was restored or was away for long goes through the past: keys and committees of then.
        raise AuthnetError(Code.UNAVAILABLE, f"the chain is being synced, at height {node.chain.height}")
    return {"ok": True, "height": node.chain.height, "epoch": epoch.epoch}


class OwnMetrics:
    """GET /metrics of this process; the operator's listener has those of the whole node."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await reply(send, 200, metrics.render().encode(), PROMETHEUS)
