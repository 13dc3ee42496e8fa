"""Logging in, in two rounds and in one: what a right client gets."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from authnet_core.crypto import ecdsa
from authnet_core.crypto.hashing import keccak256
from authnet_core.errors import Code
from authnet_core.protocol.accounts import account_id
from tests.unit.login.chain import NETWORK
from tests.unit.login.world import Session, in_trio, refused, running


@pytest.mark.parametrize("n", [5, 6, 9])
@in_trio
async def test_two_round_login_gives_every_node_s_share(tmp_path: Path, n: int) -> None:
    async with running(tmp_path, n) as world:
        token, session = world.token(), Session()
        receipts = await world.commit_all(token, session)
        for keeper in world.keepers:
            answer = await keeper.share(token, receipts)
            assert int.from_bytes(session.open(answer["share"]), "big") == keeper.index * 10_000
            assert answer["node_index"] == keeper.index
            assert answer["nonce"] == f"{77:064x}"
            assert answer["is_new"] is False


@in_trio
async def test_one_round_login_needs_no_receipts(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        session = Session()
        for alg in ("RS256", "PS256", "ES256", "EdDSA"):
            token = world.bound_token(session, alg)
            answer = await world.keepers[0].share(token, temp_pub=session.pub.hex(), nonce_enc=True)
            assert int.from_bytes(session.open(answer["share"]), "big") == 10_000
            assert int.from_bytes(session.open(answer["nonce_sealed"]), "big") == 77
            assert "nonce" not in answer


@pytest.mark.parametrize("alg", ["RS256", "PS256", "EdDSA"])
@in_trio
async def test_two_rounds_take_algorithms_with_one_text_per_token(tmp_path: Path, alg: str) -> None:
    async with running(tmp_path) as world:
        token, session = world.token(alg), Session()
        receipts = await world.commit_all(token, session)
        await world.keepers[0].share(token, receipts)


@in_trio
async def test_session_token_is_signed_by_the_service_key_and_names_the_session(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        session = Session()
        keeper = world.keepers[2]
        answer = await keeper.share(world.bound_token(session), temp_pub=session.pub.hex(), session_s=100)
        raw = session.open(answer["session_token"])
        body: dict[str, Any] = json.loads(raw)
        assert body["exp"] == int(world.now) + 100
        assert body["verifier_name"] == "google"
        assert body["verifier_id"] == "alice"
        assert body["temp_key_x"] == session.pub[1:].hex()
        signature = session.open(answer["session_token_sig"])
        digest = keccak256(base64.b64encode(raw))
        assert answer["service_pub"] == keeper.service_key(1).pub.hex()
        assert ecdsa.verify_recoverable(keeper.service_key(1).pub, digest, signature)


@in_trio
async def test_unassigned_account_gets_its_key_first(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        session = Session()
        token = world.bound_token(session, sub="bob")
        answers = [await k.share(token, temp_pub=session.pub.hex(), verifier_id="bob") for k in world.keepers]
        assert world.chain.assigned == [account_id(NETWORK, "google", "bob")]
        assert {answer["Y"] for answer in answers} == {answers[0]["Y"]}
        assert all(answer["is_new"] for answer in answers)


@in_trio
async def test_extension_is_an_account_of_its_own(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        session = Session()
        keeper = world.keepers[0]
        token = world.bound_token(session)
        plain = await keeper.share(token, temp_pub=session.pub.hex())
        extended = await keeper.share(token, temp_pub=session.pub.hex(), extension="alice\x15tag")
        assert plain["Y"] != extended["Y"]
        assert json.loads(session.open(extended["session_token"]))["extended_verifier_id"] == "alice\x15tag"


@in_trio
async def test_upgraded_key_never_gives_a_nonce(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        world.chain.give_key(account_id(NETWORK, "google", "alice"), upgraded=True)
        session = Session()
        for sealed in (True, False):
            answer = await world.keepers[0].share(
                world.bound_token(session), temp_pub=session.pub.hex(), nonce_enc=sealed
            )
            assert answer["upgraded"] is True
            assert "nonce" not in answer
            assert "nonce_sealed" not in answer


@in_trio
async def test_a_node_without_the_share_says_so(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        world.keepers[0].missing = True
        session = Session()
        await refused(
            Code.SHARE_MISSING, world.keepers[0].share(world.bound_token(session), temp_pub=session.pub.hex())
        )


@in_trio
async def test_one_round_login_goes_on_while_the_chain_stands_still(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        world.chain.lag_s = 3600
        session = Session()
        await world.keepers[0].share(world.bound_token(session), temp_pub=session.pub.hex())


@in_trio
async def test_one_round_retries_are_free(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        session = Session()
        token = world.bound_token(session)
        for _ in range(3):
            await world.keepers[0].share(token, temp_pub=session.pub.hex())


@pytest.mark.parametrize(
    "changes",
    [
        {"id_token": 5},
        {"verifier": None},
        {"receipts": "x"},
        {"receipts": [{}] * 33},
        {"session_s": 0},
        {"session_s": True},
        {"verifier_id": "\ud800"},
        {"verifier_id": ""},
        {"extension": "\ud800"},
        {"extension": "x" * 513},
        {"temp_pub": "02" + "00" * 32},
        {"temp_pub": "zz"},
    ],
)
@in_trio
async def test_wrong_parameters_are_refused_by_name(tmp_path: Path, changes: dict[str, Any]) -> None:
    async with running(tmp_path) as world:
        session = Session()
        params = {"temp_pub": session.pub.hex()} | changes
        await refused(Code.BAD_PARAMS, world.keepers[0].share(world.bound_token(session), **params))


@in_trio
async def test_other_curves_and_verifiers_are_refused(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        keeper, session = world.keepers[0], Session()
        token = world.bound_token(session)
        await refused(Code.UNSUPPORTED_CURVE, keeper.share(token, temp_pub=session.pub.hex(), curve="ed25519"))
        refusal = await refused(
            Code.VERIFIER_UNKNOWN, keeper.share(token, temp_pub=session.pub.hex(), verifier="nobody")
        )
        assert refusal.message == "Verifier not supported"
        await refused(Code.VERIFIER_UNKNOWN, keeper.commit(token, session, verifier="nobody"))
