"""The thief's kit: tokens that are foreign, forged, expired or ambiguous.

threats.md "Login", line by line, against the keeper's own handlers.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from authnet_core.crypto.jose_text import encode_part
from authnet_core.errors import Code
from tests.unit.login import provider
from tests.unit.login.chain import verifier
from tests.unit.login.world import Session, in_trio, refused, running

BAD_CLAIMS = [
    ({"aud": "somebody-else"}, Code.TOKEN_AUDIENCE),
    ({"aud": None}, Code.TOKEN_AUDIENCE),
    ({"aud": []}, Code.TOKEN_AUDIENCE),
    ({"aud": ["torus", "authnet"]}, Code.TOKEN_AUDIENCE),
    ({"aud": ["torus", "other"]}, Code.TOKEN_AUDIENCE),
    ({"aud": {"torus": 1}}, Code.TOKEN_AUDIENCE),
    ({"iss": "https://idp.test/"}, Code.TOKEN_ISSUER),
    ({"iss": None}, Code.TOKEN_ISSUER),
    ({"iss": ["https://idp.test"]}, Code.TOKEN_ISSUER),
    ({"sub": "bob"}, Code.TOKEN_SUBJECT),
    ({"sub": None}, Code.TOKEN_SUBJECT),
    ({"sub": 5}, Code.TOKEN_SUBJECT),
    ({"sub": ["alice"]}, Code.TOKEN_SUBJECT),
    ({"sub": "Alice"}, Code.TOKEN_SUBJECT),
    ({"sub": " alice"}, Code.TOKEN_SUBJECT),
    ({"sub": "alice\n"}, Code.TOKEN_SUBJECT),
    ({"sub": ""}, Code.TOKEN_SUBJECT),
    ({"sub": "x" * 600}, Code.TOKEN_SUBJECT),
    ({"exp": None}, Code.TOKEN_MALFORMED),
    ({"exp": "9999999999"}, Code.TOKEN_MALFORMED),
    ({"exp": True}, Code.TOKEN_MALFORMED),
    ({"exp": -1}, Code.TOKEN_MALFORMED),
    ({"exp": 10**400}, Code.TOKEN_MALFORMED),
    ({"iat": None}, Code.TOKEN_MALFORMED),
    ({"iat": [1]}, Code.TOKEN_MALFORMED),
    ({"nbf": "soon"}, Code.TOKEN_MALFORMED),
]


@pytest.mark.parametrize(("changes", "code"), BAD_CLAIMS)
@in_trio
async def test_tokens_that_say_the_wrong_thing(tmp_path: Path, changes: dict[str, Any], code: Code) -> None:
    async with running(tmp_path) as world:
        token, session = world.token(**changes), Session()
        receipts = await world.commit_all(token, session)
        await refused(code, world.keepers[0].share(token, receipts))


@pytest.mark.parametrize(
    ("exp", "iat", "nbf", "code"),
    [
        (-10, -30, 0, Code.TOKEN_EXPIRED),
        (-9, -30, 0, None),
        (60, 60, 0, None),
        (90, 61, 0, Code.TOKEN_NOT_YET_VALID),
        (90, 0, 61, Code.TOKEN_NOT_YET_VALID),
        (90, 0, 60, None),
        (90, -120, 0, None),
        (90, -121, 0, Code.TOKEN_TOO_OLD),
    ],
)
@in_trio
async def test_times_have_their_skews(tmp_path: Path, exp: int, iat: int, nbf: int, code: Code | None) -> None:
    async with running(tmp_path) as world:
        world.now = float(int(world.now))
        session = Session()
        times = {"exp": int(world.now) + exp, "iat": int(world.now) + iat, "nbf": int(world.now) + nbf}
        call = world.keepers[0].share(world.bound_token(session, **times), temp_pub=session.pub.hex())
        if code is None:
            await call
        else:
            await refused(code, call)


@in_trio
async def test_share_asked_for_another_account(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        token, session = world.token(), Session()
        receipts = await world.commit_all(token, session)
        await refused(Code.TOKEN_SUBJECT, world.keepers[0].share(token, receipts, verifier_id="bob"))
        assert world.chain.assigned == [], "nothing was assigned on the way"


@in_trio
async def test_unsigned_hmac_and_foreign_tokens(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        body = provider.claims(world.now)
        cases = [
            (provider.unsigned(body), Code.TOKEN_MALFORMED),
            (provider.sign(body, "none"), Code.TOKEN_ALGORITHM),
            (provider.sign(body, "HS256"), Code.TOKEN_ALGORITHM),
            (provider.sign(body, "RS256", header={"alg": "rs256"}), Code.TOKEN_ALGORITHM),
            (provider.sign(body, "RS256", header={"alg": ["RS256"]}), Code.TOKEN_ALGORITHM),
            (provider.sign(body, "RS256", header={"alg": "RS512"}), Code.TOKEN_ALGORITHM),
            (provider.sign(body, "RS256", header={"alg": "PS256"}), Code.TOKEN_SIGNATURE),
            (provider.sign(body, "RS256", header={"kid": "ec-1"}), Code.TOKEN_KEY_UNKNOWN),
            (provider.sign(body, "RS256", header={"kid": ""}), Code.TOKEN_MALFORMED),
            (provider.sign(body, "RS256", header={"kid": 5}), Code.TOKEN_MALFORMED),
            (provider.sign(body, "RS256", header={"crit": ["exp"]}), Code.TOKEN_MALFORMED),
            (provider.sign(body, "RS256", header={"b64": False}), Code.TOKEN_MALFORMED),
            (provider.sign(body, "RS256", header={"typ": "logout+jwt"}), Code.TOKEN_MALFORMED),
        ]
        head, claims_part, signature = world.token().split(".")
        other = encode_part(json.dumps(provider.claims(world.now, sub="bob")).encode())
        cases += [
            (f"{head}.{other}.{signature}", Code.TOKEN_SIGNATURE),
            (f"{head}.{claims_part}.{encode_part(b'x' * 256)}", Code.TOKEN_SIGNATURE),
        ]
        for number, (token, code) in enumerate(cases):
            receipts = await world.commit_all(token, Session(number))
            await refused(code, world.keepers[0].share(token, receipts))


@in_trio
async def test_hmac_is_refused_even_if_a_record_allows_it(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        world.chain.verifiers["google"] = verifier(algorithms=("HS256", "none", "RS256"))
        await world.read_chain()
        for alg in ("HS256", "none"):
            token = provider.sign(provider.claims(world.now), alg)
            receipts = await world.commit_all(token, Session(len(alg)))
            await refused(Code.TOKEN_ALGORITHM, world.keepers[0].share(token, receipts))


@in_trio
async def test_keys_that_a_token_brings_along_are_not_looked_at(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        own = {"kid": "thief", "jwk": provider.rsa_jwk("thief"), "jku": "https://thief.test", "x5c": ["AA=="]}
        token = world.token(header=own)
        receipts = await world.commit_all(token, Session())
        await refused(Code.TOKEN_KEY_UNKNOWN, world.keepers[0].share(token, receipts))


@pytest.mark.parametrize(
    "body",
    [
        b'{"sub":"alice","sub":"bob"}',
        b'{"a":{"b":1,"b":2}}',
        b"[1]",
        b"nonsense",
        b'{"exp":NaN}',
        b'{"exp":1e999}',
        b'{"a":"\\ud800"}',
        b'\xef\xbb\xbf{"a":1}',
        b"\xff",
        b'{"a":' * 4000,
        b"[" * 8000,
        b'{"exp":' + b"9" * 5000 + b"}",
    ],
)
@in_trio
async def test_json_that_two_readers_may_read_differently(tmp_path: Path, body: bytes) -> None:
    async with running(tmp_path) as world:
        token = provider.sign(body)
        receipts = await world.commit_all(token, Session())
        await refused(Code.TOKEN_MALFORMED, world.keepers[0].share(token, receipts))


@in_trio
async def test_huge_tokens(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        for token in (world.token(filler="x" * 20_000), world.token(header={"x": "y" * 3_000}), "A" * 10**6, "\u00e4"):
            receipts = await world.commit_all(token, Session(len(token)))
            await refused(Code.TOKEN_MALFORMED, world.keepers[0].share(token, receipts))


@in_trio
async def test_unverified_email(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        world.chain.verifiers["google"] = verifier(id_claim="email", case_rule="ascii-lower")
        keeper, session = world.keepers[0], Session()
        await keeper.service._facts.refresh()

        async def login(**changes: Any) -> dict[str, Any]:
            token = world.bound_token(session, **changes)
            return await keeper.share(token, temp_pub=session.pub.hex(), verifier_id="Alice@Example.com ")

        for flag in (None, False, "false", 1, "True", [], {}):
            await refused(Code.EMAIL_NOT_VERIFIED, login(email_verified=flag))
        await login()
        await login(email_verified="true", email="ALICE@example.com")
