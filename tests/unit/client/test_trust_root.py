"""network.json, the registry's node list, session binding: what the client believes and why."""

import json
from pathlib import Path
from typing import Any

import pytest

from authnet_client.network import Network
from authnet_client.registry import decode_node_set
from authnet_client.session import LoginSession
from authnet_core.crypto.secp256k1 import pub
from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.session_binding import session_nonce
from tests.component.api.scripted_keeper import scripted_token
from tests.component.api.scripted_registry import abi_node_set, word

GOOD = {
    "network_id": "net",
    "chain_id": "net-1",
    "genesis_hash": "00" * 32,
    "registry": "0x" + "11" * 20,
    "eth_rpc": "http://127.0.0.1:8789",
    "front": "http://127.0.0.1:8788",
    "dev": True,
}


def test_network_json_is_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "network.json"
    path.write_text(json.dumps(GOOD | {"later": "fields are skipped"}))
    assert Network.from_file(path).network_id == "net"


@pytest.mark.parametrize(
    "change",
    [
        {"network_id": ""},
        {"chain_id": ""},
        {"network_id": 5},
        {"registry": "", "front": ""},
        {"dev": False, "registry": ""},
        {"dev": False, "eth_rpc": ""},
    ],
)
def test_a_network_without_a_root_of_trust_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(AuthnetError) as caught:
        Network.parse(json.dumps(GOOD | change).encode())
    assert caught.value.code is Code.CONFIG


@pytest.mark.parametrize("text", [b"", b"[]", b"\xff", b"{", b"[" * 5000])
def test_other_bytes_are_no_network(text: bytes) -> None:
    with pytest.raises(AuthnetError) as caught:
        Network.parse(text)
    assert caught.value.code is Code.CONFIG


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(AuthnetError, match=r"absent\.json"):
        Network.from_file(tmp_path / "absent.json")


def abi(epoch: int, endpoints: list[str], secrets: list[int]) -> bytes:
    return abi_node_set(epoch, endpoints, [pub(secret) for secret in secrets])


def test_the_registry_s_list_is_decoded() -> None:
    listed = decode_node_set(abi(3, ["127.0.0.1:8798", "node.example"], [7, 8]))
    assert listed.epoch == 3
    assert [(n.index, n.endpoint, n.identity) for n in listed.nodes] == [
        (1, "127.0.0.1:8798", pub(7).hex()),
        (2, "node.example", pub(8).hex()),
    ]


def test_every_cut_of_the_list_is_refused() -> None:
    whole = abi(1, ["a:1", "b:2"], [7, 8])
    for size in range(len(whole)):
        with pytest.raises(ValueError):  # noqa: PT011 (each cut has its own text)
            decode_node_set(whole[:size])


def test_a_list_of_a_million_is_refused() -> None:
    raw = word(1) + word(160) * 4 + word(10**6) + bytes(64)
    with pytest.raises(ValueError, match="too long"):
        decode_node_set(raw)


def test_the_session_nonce_is_the_protocol_s() -> None:
    session = LoginSession.start("net", "google")
    assert session.nonce == session_nonce("net", "google", session.temp_pub)
    assert session.temp_pub == pub(session.secret)
    assert LoginSession.start("net", "google").nonce != session.nonce


def test_a_token_with_this_session_s_nonce_passes() -> None:
    session = LoginSession.start("net", "google")
    session.require_bound(scripted_token("bob", session.nonce), "nonce")


@pytest.mark.parametrize("nonce", [None, "", "x", session_nonce("net", "google", pub(7))])
def test_a_token_bound_to_something_else_is_not_sent(nonce: str | None) -> None:
    session = LoginSession.start("net", "google")
    with pytest.raises(AuthnetError) as caught:
        session.require_bound(scripted_token("bob", nonce), "nonce")
    assert caught.value.code is Code.TOKEN_UNBOUND


@pytest.mark.parametrize("token", ["", "a.b", "a.b.c.d", "not-a-token"])
def test_a_text_that_is_no_token_is_not_sent(token: str) -> None:
    session = LoginSession.start("net", "google")
    with pytest.raises(AuthnetError) as caught:
        session.require_bound(token, "nonce")
    assert caught.value.code is Code.TOKEN_MALFORMED
