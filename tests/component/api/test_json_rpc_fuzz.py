"""Bytes and shapes that are no request: every one gets a coded answer in HTTP 200 and harms nobody."""

from __future__ import annotations

import json
import random
from typing import Any

import httpx
import pytest

from tests.component.api.scripted import ScriptedNet
from tests.component.api.scripted_keeper import scripted_token
from tests.component.api.torus_calls import T_XY, call, commitment, lookup, receipts, share

pytestmark = pytest.mark.anyio

BODIES: list[bytes] = [
    b"",
    b"{",
    b"null",
    b"[]",
    b"5",
    b'"x"',
    b"\xff\xfe",
    b"[" * 60_000,
    b'{"method":' + b"[" * 50_000,
    b'{"method":"Ping","params":' + b'{"a":' * 10_000 + b"1" + b"}" * 10_000 + b"}",
    b'{"method":"Ping"}{"method":"Ping"}',
    b'[{"jsonrpc":"2.0","id":1,"method":"Ping","params":{}}]',
    b'{"id":1}',
    b'{"id":{},"method":"Ping"}',
    b'{"id":[1],"method":"Ping"}',
    b'{"id":1e999,"method":"Ping"}',
    b'{"id":true,"method":"Ping"}',
    b'{"id":"' + b"x" * 500 + b'","method":"Ping"}',
    b'{"id":1,"method":5}',
    b'{"id":1,"method":"__class__","params":{}}',
    b'{"id":1,"method":"Ping","params":[]}',
    b'{"id":1,"method":"Ping","params":null}',
    b'{"id":1,"method":"GetPubKeyOrKeyAssign","params":{"verifier":"\\ud800","verifier_id":"x"}}',
    b'{"id":1,"method":"GetPubKeyOrKeyAssign","params":{"verifier":"mock-google","verifier_id":"\xff"}}',
    b'{"id":1,"method":"CommitmentRequest","params":{"verifieridentifier":"mock-google"}}',
]


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
async def test_bytes_that_are_no_request_get_a_coded_answer(
    net: ScriptedNet, http: httpx.AsyncClient, body: bytes
) -> None:
    response = await http.post(net.rpc_url(), content=body)
    assert response.status_code == 200
    error = response.json()["error"]
    assert error["authnet"]["code"] in {"DECODE", "MALFORMED", "BAD_PARAMS", "UNKNOWN_METHOD"}
    assert isinstance(error["data"], str)


def _mutate(rng: random.Random, value: Any, depth: int = 0) -> Any:
    """A JSON value with some of its parts replaced by ones of another kind."""
    if rng.random() < 0.15:
        return rng.choice([None, True, -1, 2**80, 1.5, "", "x" * 300, "\u0000", "é", [], {}, [[]], {"a": {}}])
    if isinstance(value, dict):
        kept = {k: _mutate(rng, v, depth + 1) for k, v in value.items() if rng.random() > 0.08}
        return kept | ({"verifier_id\x00": 1} if rng.random() < 0.05 else {})
    if isinstance(value, list):
        return [_mutate(rng, v, depth + 1) for v in value] * rng.choice([1, 1, 1, 2])
    return value


async def test_fuzzed_requests_never_break_the_door(net: ScriptedNet, http: httpx.AsyncClient) -> None:
    token = scripted_token("bob@x.y")
    given = await receipts(net, http, token)
    shapes = [
        ("GetPubKeyOrKeyAssign", lookup()),
        ("VerifierLookupRequest", lookup()),
        ("KeyLookupRequest", {"pub_key_X": T_XY[:64], "pub_key_Y": T_XY[64:]}),
        ("CommitmentRequest", commitment()),
        ("GetShareOrKeyAssign", share(token, given)),
        ("Ping", {}),
    ]
    for seed in range(400):
        rng = random.Random(seed)
        method, params = rng.choice(shapes)
        body = {"jsonrpc": "2.0", "method": method, "id": 10, "params": _mutate(rng, params)}
        raw = bytearray(json.dumps(body).encode())
        if rng.random() < 0.3:
            for _ in range(rng.randrange(1, 6)):
                raw[rng.randrange(len(raw))] = rng.randrange(256)
        response = await http.post(net.rpc_url(), content=bytes(raw))
        assert response.status_code == 200, seed
        answer = response.json()
        code = answer.get("error", {}).get("authnet", {}).get("code", "")
        assert code != "INTERNAL", (seed, bytes(raw))
    assert (await call(http, net.rpc_url(), "Ping"))["result"]
