"""What nodes and Ethereum tell a client: every answer may be a lie, and one liar must not end a login."""

from __future__ import annotations

import base64
import json
from functools import cache

import msgspec
import pytest

from authnet_client.committee import Details
from authnet_client.link import GetRefusal, RpcAnswer, _decode, _refusal
from authnet_client.network import Network
from authnet_client.opening import Opening
from authnet_client.outcomes import Reports
from authnet_client.registry import decode_node_set
from authnet_client.wire import CommitAnswer, ShareAnswer
from authnet_core.crypto.ecdsa import sign_recoverable
from authnet_core.crypto.hashing import keccak256
from authnet_core.crypto.secp256k1 import pub
from authnet_core.errors import AuthnetError
from tests.component.api.scripted_registry import abi_node_set
from tests.fuzz.target import Target
from tests.unit.client.test_key_opening import NOW, USER, World

SHAPES = (RpcAnswer, GetRefusal, Details, ShareAnswer, CommitAnswer)
LIAR = 2


@cache
def world() -> World:
    return World()


def check_answer(raw: bytes) -> None:
    """Of the agreed shape, or BAD_NODE_ANSWER."""
    for shape in SHAPES:
        try:
            found = _decode(raw, shape)
        except AuthnetError:
            continue
        error = found.error if isinstance(found, RpcAnswer | GetRefusal) else None
        if error is not None:
            assert len(_refusal(error).message) <= 300


def _answers() -> tuple[bytes, ...]:
    result = msgspec.json.encode(world().answer(1))
    refused = {"code": -32602, "message": "m", "data": "d", "authnet": {"code": "BUSY", "cure": "", "detail": {}}}
    return (
        b'{"jsonrpc":"2.0","id":1,"result":' + result + b"}",
        json.dumps({"jsonrpc": "2.0", "id": 1, "error": refused}).encode(),
        json.dumps({"error": {"code": "BUSY", "message": "m", "cure": "", "nodes": []}}).encode(),
        b'{"network_id":"n","chain_id":"n-1","epoch":1,"n":1,"k":1,"t":0,"members":[{"index":1,"endpoint":"","identity":"a"}]}',
    )


def opening_with(answer: ShareAnswer) -> Opening:
    """A login in which one node of four says this, and the others the truth."""
    known = world()
    opening = Opening(known.committee, known.session, Reports(known.committee.members), frozenset({USER}))
    for index in (1, LIAR, 3, 4):
        opening.add(index, answer if index == LIAR else honest(index))
    return opening


@cache
def honest(index: int) -> ShareAnswer:
    return world().answer(index)


def check_share(raw: bytes) -> None:
    try:
        answer = _decode(raw, ShareAnswer)
    except AuthnetError:
        return
    opening = opening_with(answer)
    assert opening.opened is not None
    assert opening.opened.postbox == world().coefficients[0], "one liar must not cost or change a key"
    opening.session_tokens(NOW)


def check_session_token(raw: bytes) -> None:
    """A node signs whatever it likes: its token is used or reported."""
    key = world().service[LIAR]
    signature = sign_recoverable(key, keccak256(base64.b64encode(raw)))
    opening_with(world().answer(LIAR, token=(raw, signature))).session_tokens(NOW)


def check_node_set(raw: bytes) -> None:
    try:
        found = decode_node_set(raw)
    except ValueError:
        return
    assert all(len(bytes.fromhex(node.identity)) == 33 for node in found.nodes)


def _node_set() -> tuple[bytes, ...]:
    return (abi_node_set(1, ["https://a.example", "https://b.example"], [pub(bytes([7]) * 32), pub(bytes([8]) * 32)]),)


def check_network(raw: bytes) -> None:
    try:
        found = Network.parse(raw)
    except AuthnetError:
        return
    assert found.network_id
    assert found.chain_id


NETWORK = b'{"network_id":"n","chain_id":"n-1","registry":"0x1","eth_rpc":"http://127.0.0.1:1","front":"","dev":true}'
TARGETS = (
    Target("node_answers", "json", _answers, check_answer, 100),
    Target("share_answers", "json", lambda: (msgspec.json.encode(world().answer(LIAR)),), check_share, 40),
    Target("session_tokens", "json", lambda: (world().token(LIAR)[0],), check_session_token, 30),
    Target("node_sets", "bytes", _node_set, check_node_set, 100),
    Target("network_file", "json", lambda: (NETWORK,), check_network, 60),
)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_what_nodes_tell_a_client(target: Target) -> None:
    target.slice()
