"""Calls, results and errors of the registry as the ABI has them."""

from __future__ import annotations

import pytest
from eth_abi.abi import encode
from eth_abi.exceptions import EncodingError, InsufficientDataBytes

from authnet_core.crypto.hashing import keccak256
from authnet_core.errors import AuthnetError, Code
from authnet_runtime.contract import call, deployment, name_revert
from authnet_runtime.ethereum import _refusal

REGISTRY = "0x" + "22" * 20
IDENTITY = {"name": "google", "issuer": "https://g", "idClaim": "email", "sessionClaim": "nonce", "caseRule": 1}
TERMS = {
    "jwksUrl": "https://g/jwks",
    "audiences": [{"mode": 1, "aud": "one"}, {"aud": "two", "mode": 0}],
    "algorithms": ["RS256"],
    "iatLimitS": 60,
    "owner": "0x" + "11" * 20,
}
TYPES = ["(string,string,string,string,uint8)", "(string,(string,uint8)[],string[],uint64,address)"]


def test_structs_go_in_by_the_names_of_their_fields() -> None:
    made = call(REGISTRY, "addVerifier", IDENTITY, TERMS).data
    values = [
        ("google", "https://g", "email", "nonce", 1),
        ("https://g/jwks", [("one", 1), ("two", 0)], ["RS256"], 60, TERMS["owner"]),
    ]
    assert made == keccak256(f"addVerifier({','.join(TYPES)})".encode())[:4] + encode(TYPES, values)


def test_results_come_out_with_the_names_of_their_fields() -> None:
    one = call(REGISTRY, "networkId")
    assert one.result(encode(["string"], ["testnet"])) == "testnet"
    pending = call(REGISTRY, "getPending", "google")
    found = pending.result(encode(["(uint64,uint64,uint64,bool)"], [(7, 8, 9, True)]))
    assert found.effectiveAt in (7, 8, 9)
    with pytest.raises(InsufficientDataBytes):
        pending.result(b"")


@pytest.mark.parametrize("arguments", [(), ("google",), (IDENTITY, TERMS | {"owner": "nobody"})])
def test_arguments_that_do_not_fit_are_not_sent(arguments: tuple[object, ...]) -> None:
    with pytest.raises((ValueError, TypeError, EncodingError)):
        call(REGISTRY, "addVerifier", *arguments)


def test_a_deployment_ends_with_its_arguments() -> None:
    arguments = ("testnet", True, "0x" + "33" * 20, 5)
    assert deployment(*arguments).data.endswith(encode(["string", "bool", "address", "uint64"], arguments))


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        ({"code": 3, "message": "execution reverted", "data": "0x1234"}, Code.REGISTRY_REFUSED, "x: reverted()"),
        ({"code": -32000, "message": "execution reverted"}, Code.REGISTRY_REFUSED, "x: reverted()"),
        ({"code": -32003, "message": "insufficient funds"}, Code.UNAVAILABLE, "x: Ethereum: insufficient funds"),
        ({}, Code.UNAVAILABLE, "x: Ethereum: no result"),
        ("no", Code.UNAVAILABLE, "x: Ethereum: no result"),
        (None, Code.UNAVAILABLE, "x: Ethereum: no result"),
    ],
)
def test_what_a_node_refuses_is_the_contracts_word_or_its_own(error: object, code: Code, words: str) -> None:
    refusal = _refusal("x", error)
    assert isinstance(refusal, AuthnetError)
    assert (refusal.code, refusal.message) == (code, words)


def test_errors_have_their_names() -> None:
    refused = keccak256(b"NotAllowed(address)")[:4] + encode(["address"], [TERMS["owner"]])
    assert name_revert("0x" + refused.hex()) == ("NotAllowed", (TERMS["owner"],))
    assert name_revert("0x" + refused[:20].hex()) == ("reverted", ())
    assert name_revert("0x08c379a0") == ("reverted", ())
    assert name_revert(None) == ("reverted", ())
