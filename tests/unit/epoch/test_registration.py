"""The digest an identity key signs for the registry, and the fields a keeper accepts for it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from authnet_core.crypto import ecdsa, secp256k1
from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.registration import SigningRequest, parse_fields, registration_digest

SECRET = bytes([7] * 32)
FIELDS: dict[str, Any] = {
    "eth_chain_id": 31337,
    "registry": "0x5fbdb2315678afecb367f032d93f642f64180aa3",
    "registration": {
        "epoch": 1,
        "operator": "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266",
        "identity": secp256k1.pub(SECRET).hex(),
        "consensus": "11" * 32,
        "peer_id": "16Uiu2HAm1",
        "comet_id": "22" * 20,
        "p2p_addr": "/ip4/127.0.0.1/tcp/8799",
        "comet_addr": "127.0.0.1:8800",
        "endpoint": "http://127.0.0.1:8798",
    },
}
DIGEST = "f66f5056e643975ea4add94a376f7b533f64e0460f077788299bd5dd9df61b15"


def with_field(name: str, value: object) -> dict[str, Any]:
    if name in ("eth_chain_id", "registry"):
        return FIELDS | {name: value}
    return FIELDS | {"registration": FIELDS["registration"] | {name: value}}


def test_the_digest_is_fixed() -> None:
    assert registration_digest(parse_fields(FIELDS)).hex() == DIGEST


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("eth_chain_id", 1),
        ("registry", "0x" + "ab" * 20),
        ("epoch", 2),
        ("operator", "0x" + "cd" * 20),
        ("identity", secp256k1.pub(bytes([8] * 32)).hex()),
        ("consensus", "12" * 32),
        ("peer_id", "16Uiu2HAm2"),
        ("comet_id", "23" * 20),
        ("p2p_addr", "/ip4/127.0.0.1/tcp/8798"),
        ("comet_addr", "127.0.0.1:8801"),
        ("endpoint", "http://127.0.0.1:8799"),
    ],
)
def test_every_field_is_under_the_signature(name: str, value: object) -> None:
    assert registration_digest(parse_fields(with_field(name, value))).hex() != DIGEST


def test_a_signature_is_recovered_to_the_identity() -> None:
    digest = registration_digest(parse_fields(FIELDS))
    assert ecdsa.recover(digest, ecdsa.sign_recoverable(SECRET, digest)) == secp256k1.pub(SECRET)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("eth_chain_id", 0),
        ("eth_chain_id", "1"),
        ("registry", "5fbdb2315678afecb367f032d93f642f64180aa3"),
        ("registry", "0x5FBDB2315678afecb367f032d93f642f64180aa3"),
        ("epoch", 0),
        ("epoch", 2**64),
        ("epoch", -1),
        ("operator", "0x12"),
        ("identity", "02" + "00" * 32),
        ("identity", "04" * 33),
        ("identity", ""),
        ("consensus", "11" * 31),
        ("consensus", "AA" * 32),
        ("comet_id", "xx" * 20),
        ("peer_id", ""),
        ("peer_id", "a b"),
        ("p2p_addr", "x" * 201),
        ("comet_addr", "h\u00f6st:1"),
        ("endpoint", "http://a\n"),
        ("extra", "field"),
    ],
)
def test_malformed_fields_are_refused(name: str, value: object) -> None:
    with pytest.raises(AuthnetError) as refusal:
        parse_fields(with_field(name, value))
    assert refusal.value.code is Code.BAD_PARAMS


def test_a_request_made_by_hand_is_checked_too() -> None:
    request = msgspec.convert(with_field("consensus", "zz"), SigningRequest)
    with pytest.raises(AuthnetError):
        registration_digest(request)
