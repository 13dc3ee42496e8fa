"""What a client brings to log in, and what a provider publishes: receipts, tokens, key sets, sealed messages."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import msgspec
import pytest

from authnet_core.crypto import ecies
from authnet_core.crypto.jose_text import TokenText, encode_part, read_object, read_token
from authnet_core.crypto.secp256k1 import pub
from authnet_core.errors import AuthnetError, DecodeError
from authnet_core.protocol.receipts import Receipt, SignedReceipt, parse
from authnet_core.protocol.registration import parse_fields
from p2p_dkg.doors.api import AssignParams, read_params
from p2p_dkg.login.claims import check_claims, read_header
from p2p_dkg.login.key_set import check_signature, read_key_set
from p2p_dkg.login.requests import read_commit, read_share
from tests.fuzz.target import Target
from tests.unit.login import provider
from tests.unit.login.chain import verifier

NOW = 1_700_000_000
RECEIPT = Receipt(b"\x01" * 32, b"\x02" * 64, "google", NOW, "testnet", 1, 3)
SECRET = bytes([5]) * 32


def check_receipt(raw: bytes) -> None:
    text = raw.decode("utf-8", "surrogatepass") if _is_text(raw) else raw.decode("latin-1")
    try:
        receipt = parse(text)
    except DecodeError:
        return
    assert receipt.text == text


def _is_text(raw: bytes) -> bool:
    try:
        raw.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return False
    return True


def _object(raw: bytes) -> dict[str, Any] | None:
    """As a frame of a unix socket gives it."""
    try:
        return msgspec.json.decode(raw, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def check_wire_receipt(raw: bytes) -> None:
    try:
        signed = SignedReceipt.from_wire(_object(raw))
    except DecodeError:
        return
    assert SignedReceipt.from_wire(signed.to_wire()) == signed


def check_token(raw: bytes) -> None:
    text = raw.decode("utf-8", "surrogatepass") if _is_text(raw) else raw.decode("latin-1")
    try:
        token = read_token(text)
        header = read_header(token, verifier())
        key = _keys().find(header.kid, header.algorithm)
        if key is not None:
            check_signature(token, key, header.algorithm)
            assert text in tokens_text(), "another text of a signed token"
        check_claims(token, verifier(), "alice", NOW)
    except AuthnetError:
        return


@cache
def _keys() -> Any:
    return read_key_set(provider.key_set())


@cache
def tokens_text() -> tuple[str, ...]:
    return (provider.sign(provider.claims(NOW)), provider.sign(provider.claims(NOW, aud="authnet", nonce="x" * 43)))


def check_claims_of(raw: bytes) -> None:
    """Claims that a provider might sign: any JSON object."""
    try:
        claims = read_object(raw)
        found = check_claims(TokenText({"alg": "RS256"}, claims, b"", ""), verifier(), "alice", NOW)
    except AuthnetError:
        return
    assert found.user == "alice"


def check_header(raw: bytes) -> None:
    try:
        header = read_header(TokenText(read_object(raw), {}, b"", ""), verifier())
    except AuthnetError:
        return
    assert header.algorithm in verifier().algorithms


def check_key_set(raw: bytes) -> None:
    try:
        keys = read_key_set(raw)
    except AuthnetError:
        return
    assert keys.keys
    for text in tokens_text():
        token = read_token(text)
        key = keys.find("rsa-1", "RS256")
        if key is not None:
            try:
                check_signature(token, key, "RS256")
            except AuthnetError:
                continue


def check_sealed(raw: bytes) -> None:
    sealed = ecies.Ecies(raw[:16], raw[16:81], raw[81:113], raw[113:])
    try:
        opened = ecies.decrypt(SECRET, sealed)
    except ValueError:
        return
    assert opened == b"share" * 7, "a changed message opened"


def _sealed() -> tuple[bytes, ...]:
    made = ecies.encrypt(pub(SECRET), b"share" * 7, ephemeral=bytes([3]) * 32, iv=bytes(16))
    return (made.iv + made.ephem_public_key + made.mac + made.ciphertext,)


def check_parameters(raw: bytes) -> None:
    params = _object(raw)
    if params is None:
        return
    for read in (read_share, read_commit, parse_fields, lambda p: read_params(p, AssignParams)):
        try:
            found = read(params)
        except AuthnetError:
            continue
        if read is read_share:
            found.signed_receipts()


def _parameters() -> tuple[bytes, ...]:
    receipt = {"data": RECEIPT.text, "signature": "00" * 65}
    point = pub(SECRET).hex()
    made = (
        {"token_hash": "11" * 32, "temp_pub": point, "verifier": "google"},
        {"verifier": "google", "verifier_id": "alice", "id_token": tokens_text()[0], "receipts": [receipt] * 4},
        {"verifier": "google", "verifier_id": "alice", "id_token": "x", "temp_pub": point, "extension": "e"},
        {"verifier": "google", "account_id": "22" * 32, "curve": "secp256k1", "purpose": "login"},
        {
            "eth_chain_id": 1,
            "registry": "0x" + "00" * 20,
            "registration": {
                "epoch": 1,
                "operator": "0x" + "11" * 20,
                "identity": point,
                "consensus": "22" * 32,
                "peer_id": "12D3",
                "comet_id": "33" * 20,
                "p2p_addr": "/ip4/127.0.0.1/tcp/1",
                "comet_addr": "127.0.0.1:2",
                "endpoint": "http://127.0.0.1:3",
            },
        },
    )
    return tuple(json.dumps(each).encode() for each in made)


TARGETS = (
    Target("receipts", "text", lambda: (RECEIPT.text.encode(),), check_receipt, 100),
    Target("wire_receipts", "json", lambda: (b'{"data": "a", "signature": "%s"}' % (b"00" * 65),), check_wire_receipt),
    Target("tokens", "text", lambda: tuple(text.encode() for text in tokens_text()), check_token, 100),
    Target("claims", "json", lambda: (json.dumps(provider.claims(NOW)).encode(),), check_claims_of, 100),
    Target("headers", "json", lambda: (b'{"alg":"RS256","kid":"rsa-1","typ":"JWT"}',), check_header),
    Target("key_sets", "json", lambda: (provider.key_set(),), check_key_set, 100),
    Target("sealed", "bytes", _sealed, check_sealed),
    Target("parameters", "json", _parameters, check_parameters, 100),
)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_what_a_login_brings(target: Target) -> None:
    target.slice()


def test_parts_of_a_token_have_one_text() -> None:
    assert encode_part(b"\xff\xfe") == "__4"
