"""The thief of a chaos run sees a node that gives something away, and one that refuses without saying why."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest

from authnet_client import Client, Network
from localnet.chaos.lights import Light
from localnet.chaos.record import Record
from localnet.chaos.tokens import WHAT, Attempt, Thief

NETWORK = Network("n", "n-1", front="http://127.0.0.1:1", dev=True)
REFUSED = {"error": {"code": -32000, "data": "no", "authnet": {"code": "TOKEN_SIGNATURE"}}}


def lights_after(answer: httpx.Response | Exception) -> Record:
    record = Record()

    def say(_: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def run() -> None:
        async with httpx.AsyncClient(transport=httpx.MockTransport(say)) as http:
            await Thief(Client(NETWORK), record).try_at(http, 2, "http://node/", Attempt("expired", b"{}"))

    asyncio.run(run())
    return record


def test_a_coded_refusal_is_what_it_wants() -> None:
    record = lights_after(httpx.Response(200, json=REFUSED))
    assert record.lights.green
    assert record.lights.checks == {Light.TOKENS: 1, Light.CODES: 1}
    assert record.outcomes() == {WHAT: {"TOKEN_SIGNATURE": 1}}


def test_a_share_for_a_bad_token_turns_the_light_red() -> None:
    record = lights_after(httpx.Response(200, json={"result": {"keys": [{}]}}))
    assert record.lights.broken == {Light.TOKENS: 1}
    assert record.lights.violations[0].text == "node 2 answered a token that was expired"


@pytest.mark.parametrize(
    "answer",
    [
        {"error": {"code": -32000, "data": "no"}},
        {"error": {"code": -32000, "data": "no", "authnet": {"code": "INTERNAL"}}},
        {"error": {"code": -32000, "data": "no", "authnet": {"code": "WHATEVER"}}},
        {"error": {"code": -32000, "data": "no", "authnet": "text"}},
    ],
)
def test_a_refusal_without_a_code_is_seen(answer: object) -> None:
    assert lights_after(httpx.Response(200, content=json.dumps(answer))).lights.broken == {Light.CODES: 1}


def test_no_json_is_seen_and_a_dead_node_is_not_held_against_it() -> None:
    assert lights_after(httpx.Response(200, text="<html>")).lights.broken == {Light.CODES: 1}
    away = lights_after(httpx.ConnectError("gone"))
    assert away.lights.green
    assert away.outcomes() == {WHAT: {"UNREACHABLE": 1}}
