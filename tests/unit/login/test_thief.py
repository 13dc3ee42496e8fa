"""The thief's kit: what somebody with a stolen, foreign or forged token tries, and the code that refuses it.

threats.md "Login", line by line, against the keeper's own handlers.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import pytest
import trio

from authnet_core.crypto.hashing import keccak256
from authnet_core.crypto.jose_text import decode_part, encode_part
from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.receipts import SEPARATOR, Receipt
from authnet_core.protocol.views import AudienceView
from tests.unit.login import provider
from tests.unit.login.world import Keeper, Key, Session, World, in_trio, refused, running, secret, verifier

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493


def resign(receipt: dict[str, Any], index: int, place: int, value: str) -> dict[str, Any]:
    """The receipt with one field changed, rightly signed by node `index`."""
    fields = receipt["data"].split(SEPARATOR)
    fields[place] = value
    text = SEPARATOR.join(fields)
    return {"data": text, "signature": Key(secret(index)).sign_recoverable(keccak256(text.encode())).hex()}


async def committed(world: World, token: str, session: Session) -> list[dict[str, Any]]:
    return await world.commit_all(token, session)


# --- receipts ---------------------------------------------------------------------------------------------------------


@in_trio
async def test_receipts_all_from_one_node(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        token, session = world.token(), Session()
        one = await world.keepers[0].commit(token, session)
        forged = [one] * 5 + [resign(one, 1, 8, str(j)) for j in range(2, 6)]
        await refused(Code.RECEIPTS_TOO_FEW, world.keepers[1].share(token, forged))


@in_trio
async def test_fewer_than_n_minus_t_receipts(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        token, session = world.token(), Session()
        some = [await keeper.commit(token, session) for keeper in world.keepers[:3]]
        refusal = await refused(Code.RECEIPTS_TOO_FEW, world.keepers[4].share(token, some))
        assert refusal.detail == {"found": 3, "needed": 4}


@in_trio
async def test_receipts_for_different_session_keys_do_not_add_up(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        token, mine, other = world.token(), Session(1), Session(2)
        mixed = [await keeper.commit(token, mine) for keeper in world.keepers[:3]]
        mixed += [await keeper.commit(token, other) for keeper in world.keepers[3:]]
        for keeper in world.keepers:
            await refused(Code.RECEIPTS_TOO_FEW, keeper.share(token, mixed))


@in_trio
async def test_share_goes_to_the_key_in_the_receipts_whatever_else_is_asked(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        token, owner, thief = world.token(), Session(1), Session(2)
        receipts = await committed(world, token, owner)
        answer = await world.keepers[0].share(token, receipts, temp_pub=thief.pub.hex())
        assert owner.open(answer["share"])
        with pytest.raises(ValueError, match="MAC"):
            thief.open(answer["share"])


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (1, "11" * 32),  # another token
        (4, "facebook"),  # another verifier
        (6, "other-net"),  # another network
        (7, "2"),  # another epoch
        (7, "0"),
        (8, "9"),  # nobody
        (0, "mug01"),
    ],
)
@in_trio
async def test_receipts_that_say_something_else(tmp_path: Path, place: int, value: str) -> None:
    async with running(tmp_path) as world:
        token, session = world.token(), Session()
        keepers = world.keepers
        receipts = [resign(await k.commit(token, session), k.index, place, value) for k in keepers]
        for keeper in keepers:
            keeper.source = None  # the others would help out with the right ones
        await refused(Code.RECEIPTS_TOO_FEW, keepers[0].share(token, receipts))


@pytest.mark.parametrize("shift", [-121, 61, 10**9])
@in_trio
async def test_receipts_of_another_time(tmp_path: Path, shift: int) -> None:
    async with running(tmp_path) as world:
        token, session = world.token(), Session()
        time_s = str(int(world.now) + shift)
        receipts = [resign(await k.commit(token, session), k.index, 5, time_s) for k in world.keepers]
        for keeper in world.keepers:
            keeper.source = None
        await refused(Code.RECEIPTS_TOO_FEW, world.keepers[0].share(token, receipts))


@in_trio
async def test_receipts_of_an_old_epoch(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        token, session = world.token(), Session()
        receipts = await committed(world, token, session)
        world.chain.epoch = 2
        await world.read_chain()
        await refused(Code.RECEIPTS_TOO_FEW, world.keepers[0].share(token, receipts))


@in_trio
async def test_token_of_the_old_committee_committed_at_the_new_one(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        token, session = world.token(), Session()
        world.chain.epoch, world.chain.serving_from_ms = 2, int(world.now * 1000) + 1000
        await world.read_chain()
        receipts = await committed(world, token, session)
        refusal = await refused(Code.EPOCH_MOVED, world.keepers[0].share(token, receipts))
        assert refusal.detail == {"epoch": 2}


@in_trio
async def test_forged_and_malformed_receipts_are_junk(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        token, session = world.token(), Session()
        good = await committed(world, token, session)
        junk: list[Any] = [
            None,
            7,
            {},
            {"data": 5, "signature": "00"},
            {"data": good[0]["data"], "signature": "00" * 65},
            {"data": good[0]["data"], "signature": good[1]["signature"]},
            {"data": good[0]["data"] + " ", "signature": good[0]["signature"]},
            {"data": "\x1c" * 500, "signature": good[0]["signature"]},
            {"data": good[0]["data"].upper(), "signature": good[0]["signature"]},
        ]
        for keeper in world.keepers:
            keeper.source = None
        await refused(Code.RECEIPTS_TOO_FEW, world.keepers[0].share(token, junk + good[:3]))
        assert await world.keepers[0].share(token, junk + good[:4])


@in_trio
async def test_junk_from_one_node_among_the_first_answers_does_not_cost_the_login(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        token, session, bad = world.token(), Session(), Session(9)
        good = await committed(world, token, session)
        lie = Receipt(keccak256(token.encode()), b"\x01" * 64, "google", int(world.now), "test-net", 1, 1)
        other = await Keeper(1, world, tmp_path / "twin").commit(token, bad)
        for first in ({"data": lie.text, "signature": "11" * 65}, {"data": "x", "signature": "y"}, other):
            asked = world.keepers[4].asks
            answer = await world.keepers[4].share(token, [first, *good[1:4]])
            assert session.open(answer["share"])
            assert world.keepers[4].asks <= asked + 1


@in_trio
async def test_asking_makes_no_receipts(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        token, session = world.token(), Session()
        token_hash = keccak256(token.encode())
        assert world.keepers[1].service.on_receipt_ask(token_hash, session.pub) is None
        one = await world.keepers[0].commit(token, session)
        await refused(Code.RECEIPTS_TOO_FEW, world.keepers[1].share(token, [one]))
        assert world.keepers[1].service.on_receipt_ask(token_hash, session.pub) is None
        assert world.keepers[0].service.on_receipt_ask(token_hash, Session(7).pub) is None
        told = world.keepers[0].service.on_receipt_ask(token_hash, session.pub)
        assert told is not None
        assert (told.data, told.signature.hex()) == (one["data"], one["signature"])


@in_trio
async def test_others_are_asked_only_for_verified_tokens(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        token, session = world.token(sub="mallory"), Session()
        one = await world.keepers[0].commit(token, session)
        await refused(Code.TOKEN_SUBJECT, world.keepers[1].share(token, [one]))
        assert world.keepers[1].asks == 0


# --- one token, one session key ---------------------------------------------------------------------------------------


@in_trio
async def test_second_session_key_for_one_token(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        token = world.token()
        await committed(world, token, Session(1))
        for keeper in world.keepers:
            refusal = await refused(Code.DUPLICATE_TOKEN, keeper.commit(token, Session(2)))
            assert refusal.message == "Duplicate token found"


@in_trio
async def test_same_session_key_may_try_again_and_gets_a_new_time(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        token, session = world.token(), Session()
        keeper = world.keepers[0]
        first = await keeper.commit(token, session)
        await world.pass_time(30)
        again = await keeper.commit(token, session)
        times = [r["data"].split(SEPARATOR)[5] for r in (first, again)]
        assert int(times[1]) == int(times[0]) + 30
        told = keeper.service.on_receipt_ask(keccak256(token.encode()), session.pub)
        assert told is not None
        assert told.data == again["data"]


@in_trio
async def test_race_of_two_session_keys_at_all_nodes(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        token = world.token()
        sessions = [Session(j) for j in range(6)]
        given: dict[tuple[int, int], dict[str, Any]] = {}

        async def race(keeper: Keeper, number: int) -> None:
            receipt = await unless(Code.DUPLICATE_TOKEN, keeper.commit(token, sessions[number]))
            if receipt is not None:
                given[keeper.index, number] = receipt

        async with trio.open_nursery() as nursery:
            for keeper in world.keepers:
                for number in range(6):
                    nursery.start_soon(race, keeper, number)
        assert sorted(index for index, _ in given) == [1, 2, 3, 4, 5], "exactly one at each node"
        everything = list(given.values())
        winners = set()
        for keeper in world.keepers:
            answer = await unless(Code.RECEIPTS_TOO_FEW, keeper.share(token, everything))
            if answer is not None:
                winners |= {n for n in range(6) if _opens(sessions[n], answer["share"])}
        assert len(winners) <= 1


async def unless(code: Code, call: Awaitable[dict[str, Any]]) -> dict[str, Any] | None:
    """The answer, or None if it is refused with `code`."""
    try:
        return await call
    except AuthnetError as refusal:
        if refusal.code != code:
            raise
        return None


def _opens(session: Session, sealed: dict[str, str]) -> bool:
    try:
        return bool(session.open(sealed))
    except ValueError:
        return False


@in_trio
async def test_same_token_under_a_second_verifier(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        world.chain.verifiers["twin"] = verifier("twin")
        await world.read_chain()
        token, owner, thief = world.token(), Session(1), Session(2)
        receipts = await committed(world, token, owner)
        for keeper in world.keepers:
            await refused(Code.DUPLICATE_TOKEN, keeper.commit(token, thief, verifier="twin"))
            await refused(Code.DUPLICATE_TOKEN, keeper.commit(token, owner, verifier="twin"))
        await refused(Code.RECEIPTS_TOO_FEW, world.keepers[0].share(token, receipts, verifier="twin"))


@pytest.mark.parametrize("pad", ["=", "==", " ", "\n", ".", "A"])
@in_trio
async def test_padded_text_is_no_second_text(tmp_path: Path, pad: str) -> None:
    async with running(tmp_path) as world:
        token, thief = world.token(), Session(2)
        padded = token + pad
        receipts = await committed(world, padded, thief)
        code = Code.TOKEN_SIGNATURE if pad == "A" else Code.TOKEN_MALFORMED
        for keeper in world.keepers:
            with pytest.raises(AuthnetError) as refusal:
                await keeper.share(padded, receipts)
            assert refusal.value.code in (code, Code.TOKEN_MALFORMED)


@in_trio
async def test_stray_bits_in_the_last_character(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        token = world.token()
        alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        stray = token[:-1] + alphabet[alphabet.index(token[-1]) ^ 1]
        assert len(decode_part(token.split(".")[2])) == 256
        receipts = await committed(world, stray, Session(2))
        await refused(Code.TOKEN_MALFORMED, world.keepers[0].share(stray, receipts))


@in_trio
async def test_rsa_signature_plus_modulus(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        modulus = provider.rsa_key("rsa-1", 2048).public_key().public_numbers().n
        for attempt in range(40):
            token = world.token(jti=attempt)
            head, body, part = token.split(".")
            twin = int.from_bytes(decode_part(part), "big") + modulus
            size = (twin.bit_length() + 7) // 8
            second = f"{head}.{body}.{encode_part(twin.to_bytes(size, 'big'))}"
            receipts = await committed(world, second, Session(2))
            await refused(Code.TOKEN_SIGNATURE, world.keepers[0].share(second, receipts))
            if size == 256:
                return


@pytest.mark.parametrize("change", [b"\x00", b""])
@in_trio
async def test_rsa_signature_of_another_length(tmp_path: Path, change: bytes) -> None:
    async with running(tmp_path) as world:
        head, body, part = world.token().split(".")
        raw = change + decode_part(part) if change else decode_part(part)[1:]
        second = f"{head}.{body}.{encode_part(raw)}"
        receipts = await committed(world, second, Session(2))
        await refused(Code.TOKEN_SIGNATURE, world.keepers[0].share(second, receipts))


@in_trio
async def test_eddsa_signature_plus_group_order(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        head, body, part = world.token("EdDSA").split(".")
        raw = decode_part(part)
        twin = int.from_bytes(raw[32:], "little") + ED25519_ORDER
        second = f"{head}.{body}.{encode_part(raw[:32] + twin.to_bytes(32, 'little'))}"
        receipts = await committed(world, second, Session(2))
        await refused(Code.TOKEN_SIGNATURE, world.keepers[0].share(second, receipts))


@in_trio
async def test_es256_in_two_rounds_and_its_twin(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        token = world.token("ES256")
        head, body, part = token.split(".")
        raw = decode_part(part)
        twin = P256_ORDER - int.from_bytes(raw[32:], "big")
        second = f"{head}.{body}.{encode_part(raw[:32] + twin.to_bytes(32, 'big'))}"
        for text in (token, second):
            receipts = await committed(world, text, Session(len(text)))
            await refused(Code.TOKEN_ALGORITHM, world.keepers[0].share(text, receipts))


# --- tokens -----------------------------------------------------------------------------------------------------------

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
        receipts = await committed(world, token, session)
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
        receipts = await committed(world, token, session)
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
            receipts = await committed(world, token, Session(number))
            await refused(code, world.keepers[0].share(token, receipts))


@in_trio
async def test_hmac_is_refused_even_if_a_record_allows_it(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        world.chain.verifiers["google"] = verifier(algorithms=("HS256", "none", "RS256"))
        await world.read_chain()
        for alg in ("HS256", "none"):
            token = provider.sign(provider.claims(world.now), alg)
            receipts = await committed(world, token, Session(len(alg)))
            await refused(Code.TOKEN_ALGORITHM, world.keepers[0].share(token, receipts))


@in_trio
async def test_keys_that_a_token_brings_along_are_not_looked_at(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        own = {"kid": "thief", "jwk": provider.rsa_jwk("thief"), "jku": "https://thief.test", "x5c": ["AA=="]}
        token = world.token(header=own)
        receipts = await committed(world, token, Session())
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
        receipts = await committed(world, token, Session())
        await refused(Code.TOKEN_MALFORMED, world.keepers[0].share(token, receipts))


@in_trio
async def test_huge_tokens(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        for token in (world.token(filler="x" * 20_000), world.token(header={"x": "y" * 3_000}), "A" * 10**6, "\u00e4"):
            receipts = await committed(world, token, Session(len(token)))
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


# --- modes ------------------------------------------------------------------------------------------------------------


@in_trio
async def test_no_receipts_for_an_unbound_token(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        session = Session()
        keeper = world.keepers[0]
        await refused(Code.TOKEN_MODE, keeper.share(world.token(), temp_pub=session.pub.hex()))
        nonce = {"nonce": session.nonce()}
        await refused(Code.TOKEN_MODE, keeper.share(world.token(**nonce), temp_pub=session.pub.hex()))


@in_trio
async def test_bound_audience_in_two_rounds(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        session = Session()
        token = world.bound_token(session)
        receipts = await committed(world, token, session)
        await refused(Code.TOKEN_MODE, world.keepers[0].share(token, receipts))
        await refused(Code.TOKEN_MODE, world.keepers[0].share(token, receipts, temp_pub=session.pub.hex()))


@pytest.mark.parametrize(
    "changes", [{"nonce": None}, {"nonce": "x"}, {"nonce": 5}, {"nonce": Session(3).nonce("other")}]
)
@in_trio
async def test_bound_token_without_the_right_nonce(tmp_path: Path, changes: dict[str, Any]) -> None:
    async with running(tmp_path) as world:
        session = Session(3)
        token = world.bound_token(session, **changes)
        await refused(Code.TOKEN_UNBOUND, world.keepers[0].share(token, temp_pub=session.pub.hex()))


@in_trio
async def test_stolen_bound_token(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        owner, thief = Session(1), Session(2)
        token = world.bound_token(owner)
        await refused(Code.TOKEN_UNBOUND, world.keepers[0].share(token, temp_pub=thief.pub.hex()))


@in_trio
async def test_flow_started_by_a_thief_bound_to_his_key_for_the_two_round_client(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        thief = Session(2)
        token = world.token(nonce=thief.nonce())  # audience torus: two rounds, and only that
        await refused(Code.TOKEN_MODE, world.keepers[0].share(token, temp_pub=thief.pub.hex()))


@in_trio
async def test_record_that_gives_an_audience_both_modes_serves_neither(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        both = tuple(AudienceView(aud="torus", mode=mode) for mode in ("bound", "two-round"))
        world.chain.verifiers["google"] = verifier(audiences=both)
        keeper, session = world.keepers[0], Session()
        await keeper.service._facts.refresh()
        token = world.bound_token(session, aud="torus")
        await refused(Code.TOKEN_AUDIENCE, keeper.share(token, temp_pub=session.pub.hex()))


@in_trio
async def test_removed_verifier(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        world.chain.verifiers["google"] = verifier(removed=True)
        keeper, session = world.keepers[0], Session()
        await keeper.service._facts.refresh()
        token = world.bound_token(session)
        await refused(Code.VERIFIER_UNKNOWN, keeper.share(token, temp_pub=session.pub.hex()))
        await refused(Code.VERIFIER_UNKNOWN, keeper.commit(token, session))


# --- the keeper itself ------------------------------------------------------------------------------------------------


@in_trio
async def test_keeper_whose_chain_lags(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        token, session = world.token(), Session()
        receipts = await committed(world, token, session)
        world.chain.lag_s = 31
        await refused(Code.CHAIN_STALE, world.keepers[0].share(token, receipts))
        await refused(Code.CHAIN_STALE, world.keepers[0].commit(world.token(jti=2), session))


@in_trio
async def test_keeper_that_can_not_read_its_chain_any_more(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        token, session = world.token(), Session()
        receipts = await committed(world, token, session)
        world.chain.down = True
        world.now += 31
        await refused(Code.CHAIN_STALE, world.keepers[0].share(token, receipts))
        await refused(Code.CHAIN_STALE, world.keepers[0].commit(world.token(jti=2), session))


@in_trio
async def test_keeper_whose_clock_is_behind_the_chain(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        token, session = world.token(), Session()
        receipts = await committed(world, token, session)
        world.chain.lag_s = -31
        await refused(Code.CHAIN_STALE, world.keepers[0].share(token, receipts))
        await refused(Code.CHAIN_STALE, world.keepers[0].commit(world.token(jti=2), session))


@in_trio
async def test_one_user_can_not_drain_the_pool_by_extensions(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        keeper, session = world.keepers[0], Session()
        token = world.bound_token(session)
        for number in range(10):
            await keeper.share(token, temp_pub=session.pub.hex(), extension=f"tag-{number}")
        call = keeper.share(token, temp_pub=session.pub.hex(), extension="tag-10")
        await refused(Code.RATE_LIMITED, call)
        await keeper.share(token, temp_pub=session.pub.hex(), extension="tag-3")
        assert len(world.chain.assigned) == 10


@in_trio
async def test_no_committee_no_login(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        world.chain.epoch = 0
        keeper, session = world.keepers[0], Session()
        await keeper.service._facts.refresh()
        await refused(Code.UNAVAILABLE, keeper.commit(world.token(), session))
        await refused(Code.UNAVAILABLE, keeper.share(world.bound_token(session), temp_pub=session.pub.hex()))
