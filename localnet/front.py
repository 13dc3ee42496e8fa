"""The one HTTP door of a localnet: discovery for SDKs, the calls torus.js makes beside the nodes, the provider.

A stand-in for a wallet project's own servers; holds the provider's keys and nothing of any node.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio.to_thread
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from authnet_core.errors import AuthnetError, Code
from localnet.discovery import Discovery, network_json
from localnet.idp import LIFETIME_S, Provider, TokenWish, parse_claims
from localnet.places import Places

METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH"]
Endpoint = Callable[[Request], Awaitable[Response]]


def build(places: Places, provider: Provider) -> Starlette:
    """The whole application."""
    discovery = Discovery(places)

    async def node_details(_: Request) -> Response:
        return JSONResponse(await anyio.to_thread.run_sync(discovery.node_details))

    async def network(_: Request) -> Response:
        return JSONResponse(network_json(places))

    async def token(request: Request) -> Response:
        return JSONResponse({"id_token": provider.token(wish_of(request))})

    async def configuration(_: Request) -> Response:
        return JSONResponse(provider.configuration())

    async def jwks(_: Request) -> Response:
        if provider.is_out:
            return JSONResponse({"error": "outage"}, status_code=503)
        return JSONResponse(provider.jwks(), headers={"Cache-Control": "max-age=60"})

    async def allowed(_: Request) -> Response:
        return JSONResponse({"success": True})

    async def index(_: Request) -> Response:
        return JSONResponse({"network": f"{places.front}/network.json", "nodes": f"{places.front}/fnd/node-details"})

    return Starlette(
        routes=[
            Route("/", index),
            Route("/fnd/node-details", node_details),
            Route("/network.json", network),
            Route("/dev/token", token),
            Route("/.well-known/openid-configuration", configuration),
            Route("/.well-known/jwks.json", jwks),
            Route("/citadel/{rest:path}", allowed, methods=METHODS),
            Route("/signer/api/allow", allowed, methods=METHODS),
        ],
        middleware=[
            Middleware(CORSMiddleware, allow_origins=["*"], allow_methods=["*"], allow_headers=["*"], max_age=600)
        ],
        exception_handlers={AuthnetError: refusal},
    )


async def refusal(_: Request, error: Exception) -> Response:
    """A coded refusal as JSON."""
    if not isinstance(error, AuthnetError):
        raise error
    status = {Code.NETWORK_DOWN: 503, Code.VERIFIER_UNKNOWN: 404}.get(error.code, 400)
    return JSONResponse({"error": {"code": error.code.value, "message": error.message}}, status_code=status)


def wish_of(request: Request) -> TokenWish:
    """The token that the query string asks for. Raises AuthnetError(BAD_PARAMS)."""
    ask = request.query_params
    try:
        exp_in = int(ask.get("exp_in", LIFETIME_S))
    except ValueError:
        raise AuthnetError(Code.BAD_PARAMS, "exp_in is a number of seconds") from None
    if not ask.get("verifier") or not ask.get("verifier_id"):
        raise AuthnetError(Code.BAD_PARAMS, "verifier and verifier_id are needed")
    return TokenWish(
        verifier=ask["verifier"],
        verifier_id=ask["verifier_id"],
        exp_in=exp_in,
        bad=ask.get("bad", "") not in ("", "0", "false"),
        nonce=ask.get("nonce", ""),
        aud=ask.get("aud", ""),
        alg=ask.get("alg") or "RS256",
        kid=ask.get("kid", ""),
        claims=parse_claims(ask.getlist("set")),
    )
