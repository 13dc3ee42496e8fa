"""Requests as torus.js 17 sends them."""

from __future__ import annotations

from typing import Any

import httpx

from authnet_core.crypto.hashing import keccak256
from authnet_core.crypto.secp256k1 import decompress, pub
from tests.component.api.scripted import ScriptedNet
from tests.component.api.scripted_chain import VERIFIER

T_SECRET = (77).to_bytes(32, "big")
T_XY = decompress(pub(T_SECRET)).hex()


async def call(http: httpx.AsyncClient, url: str, method: str, **params: Any) -> dict[str, Any]:
    body = {"jsonrpc": "2.0", "method": method, "id": 10, "params": params}
    response = await http.post(url, json=body)
    assert response.status_code == 200
    assert "application/json" in response.headers["content-type"]
    answer: dict[str, Any] = response.json()
    assert answer["jsonrpc"] == "2.0"
    assert answer["id"] == 10
    return answer


def lookup(user: str = "bob@x.y", **changes: Any) -> dict[str, Any]:
    """What torus.js 17 sends."""
    return {
        "distributed_metadata": True,
        "verifier": VERIFIER,
        "verifier_id": user,
        "one_key_flow": True,
        "key_type": "secp256k1",
        "fetch_node_index": True,
        "client_time": "1700000000",
    } | changes


def commitment(token: str = "t", **changes: Any) -> dict[str, Any]:
    return {
        "messageprefix": "mug00",
        "keytype": "secp256k1",
        "tokencommitment": keccak256(token.encode()).hex(),
        "temppubx": T_XY[:64],
        "temppuby": T_XY[64:],
        "verifieridentifier": VERIFIER,
        "verifier_id": "bob@x.y",
        "is_import_key_flow": True,
    } | changes


def share(token: str, receipts: list[Any], **changes: Any) -> dict[str, Any]:
    item = {
        "verifier_id": "bob@x.y",
        "idtoken": token,
        "key_type": "secp256k1",
        "nodesignatures": receipts,
        "verifieridentifier": VERIFIER,
        "session_token_exp_second": 86400,
    } | changes
    return {
        "encrypted": "yes",
        "use_temp": True,
        "key_type": "secp256k1",
        "distributed_metadata": True,
        "verifieridentifier": VERIFIER,
        "temppubx": "",
        "temppuby": "",
        "client_time": "1700000000",
        "one_key_flow": True,
        "item": [item],
    }


async def receipts(net: ScriptedNet, http: httpx.AsyncClient, token: str) -> list[Any]:
    return [
        (await call(http, net.rpc_url(i), "CommitmentRequest", **commitment(token)))["result"] for i in (1, 2, 3, 4)
    ]
