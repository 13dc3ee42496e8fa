"""The local identity provider: good tokens are good, bad ones bad in exactly one way, and the front serves both."""

import base64
import hashlib
import hmac
import json
import stat
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.errors import BadSignatureError, InvalidKeyIdError
from joserfc.jwk import KeySet
from starlette.testclient import TestClient

from authnet_core.errors import AuthnetError, Code
from localnet import front
from localnet.idp import Provider, TokenWish, parse_claims
from localnet.places import Places

ISSUER = "http://127.0.0.1:18788"
BOB = "bob@example.com"


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Provider:
    return Provider(tmp_path_factory.mktemp("idp"), ISSUER)


def wish(**options: Any) -> TokenWish:
    return TokenWish(**({"verifier": "mock-google", "verifier_id": BOB} | options))


def part(token: str, index: int) -> dict[str, Any]:
    text = token.split(".")[index]
    decoded: dict[str, Any] = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return decoded


def verify(provider: Provider, token: str) -> dict[str, Any]:
    keys = KeySet.import_key_set(provider.jwks())  # type: ignore[arg-type]
    return dict(jwt.decode(token, keys, algorithms=["RS256", "ES256"]).claims)


@pytest.mark.parametrize("alg", ["RS256", "ES256"])
def test_good_tokens_verify_against_the_jwks(provider: Provider, alg: str) -> None:
    claims = verify(provider, provider.token(wish(alg=alg)))
    assert (claims["iss"], claims["aud"], claims["sub"], claims["email"]) == (ISSUER, "torus", BOB, BOB)
    assert claims["email_verified"] is True
    assert claims["exp"] - claims["iat"] == 120
    assert "nonce" not in claims


def test_a_nonce_makes_a_token_of_the_bound_audience(provider: Provider) -> None:
    claims = verify(provider, provider.token(wish(nonce="abc")))
    assert (claims["aud"], claims["nonce"]) == ("authnet", "abc")
    assert verify(provider, provider.token(wish(nonce="abc", aud="torus")))["aud"] == "torus"


def test_two_tokens_of_one_second_differ(provider: Provider) -> None:
    assert provider.token(wish()) != provider.token(wish())


@pytest.mark.parametrize("alg", ["RS256", "ES256"])
def test_a_bad_token_names_the_right_key_and_fails(provider: Provider, alg: str) -> None:
    token = provider.token(wish(bad=True, alg=alg))
    assert part(token, 0)["kid"] in {key["kid"] for key in provider.jwks()["keys"]}
    with pytest.raises(BadSignatureError):
        verify(provider, token)


def test_attacks_are_what_they_claim_to_be(provider: Provider) -> None:
    unsigned = provider.token(wish(alg="none"))
    assert part(unsigned, 0)["alg"] == "none"
    assert unsigned.endswith(".")
    confused = provider.token(wish(alg="HS256-pub"))
    head, _, mac = confused.rpartition(".")
    public = provider.generations[0].rsa.as_pem(private=False)
    expected = hmac.digest(public, head.encode(), hashlib.sha256)
    assert base64.urlsafe_b64decode(mac + "=") == expected
    assert part(provider.token(wish(exp_in=-60)), 1)["exp"] < part(provider.token(wish()), 1)["iat"]
    assert part(provider.token(wish(kid="other")), 0)["kid"] == "other"


def test_claims_are_set_and_left_out_at_will(provider: Provider) -> None:
    claims = part(provider.token(wish(claims=parse_claims(["email_verified=false", "sub=null", "iss=x", "n=1"]))), 1)
    assert claims["email_verified"] is False
    assert "sub" not in claims
    assert (claims["iss"], claims["n"]) == ("x", 1)


@pytest.mark.parametrize(
    ("options", "code"),
    [({"verifier": "nobody"}, Code.VERIFIER_UNKNOWN), ({"alg": "RS512"}, Code.BAD_PARAMS)],
)
def test_unknown_wishes_are_refused(provider: Provider, options: dict[str, Any], code: Code) -> None:
    with pytest.raises(AuthnetError) as refused:
        provider.token(wish(**options))
    assert refused.value.code is code


@pytest.mark.parametrize("setting", ["", "name", "=1"])
def test_claim_settings_without_a_name_or_value_are_refused(setting: str) -> None:
    with pytest.raises(AuthnetError):
        parse_claims([setting])


def test_rotation_keeps_the_former_keys_for_a_while_and_survives_a_restart(tmp_path: Path) -> None:
    provider = Provider(tmp_path, ISSUER)
    old = provider.token(wish())
    first = provider.jwks()["keys"]
    provider.rotate()
    assert verify(provider, old)["email"] == BOB
    assert provider.jwks()["keys"][2:] == first
    assert part(provider.token(wish()), 0)["kid"] not in {key["kid"] for key in first}
    assert Provider(tmp_path, ISSUER).jwks() == provider.jwks()
    provider.rotate()
    with pytest.raises(InvalidKeyIdError):
        verify(provider, old)
    for path in tmp_path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


# ---- the front


@pytest.fixture(scope="module")
def client(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> TestClient:
    return TestClient(front.build(Places(tmp_path_factory.mktemp("net"), 5, 18788, "local-test"), provider))


def test_token_options_reach_the_provider(client: TestClient) -> None:
    ask = {"verifier": "mock-google", "verifier_id": BOB, "exp_in": "30", "alg": "ES256", "nonce": "q", "set": "a=[1]"}
    token = client.get("/dev/token", params=ask).json()["id_token"]
    claims = part(token, 1)
    assert part(token, 0)["alg"] == "ES256"
    assert (claims["exp"] - claims["iat"], claims["aud"], claims["a"]) == (30, "authnet", [1])


@pytest.mark.parametrize(
    ("ask", "status"),
    [
        ({}, 400),
        ({"verifier": "mock-google"}, 400),
        ({"verifier": "mock-google", "verifier_id": "a", "exp_in": "soon"}, 400),
        ({"verifier": "mock-google", "verifier_id": "a", "alg": "XX"}, 400),
        ({"verifier": "nobody", "verifier_id": "a"}, 404),
    ],
)
def test_token_mistakes_get_a_code(client: TestClient, ask: dict[str, str], status: int) -> None:
    answer = client.get("/dev/token", params=ask)
    assert answer.status_code == status
    assert answer.json()["error"]["code"]


def test_node_details_without_a_chain_say_so(client: TestClient) -> None:
    answer = client.get("/fnd/node-details")
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "NETWORK_DOWN"


@pytest.mark.parametrize("path", ["/citadel/v1/signer/allow?x=1", "/citadel/v1/auth/audit", "/signer/api/allow"])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
def test_calls_that_torus_js_makes_beside_the_nodes_are_granted(client: TestClient, path: str, method: str) -> None:
    answer = client.request(method, path, headers={"Origin": "http://wallet.example"})
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "*"
