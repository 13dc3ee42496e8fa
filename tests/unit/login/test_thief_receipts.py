"""The thief's kit: receipts that are too few, forged, old or of others, and a second key for one token.

threats.md "Login", line by line, against the keeper's own handlers.
"""

from __future__ import annotations

from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import pytest
import trio

from authnet_core.crypto.hashing import keccak256
from authnet_core.crypto.jose_text import decode_part, encode_part
from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.receipts import SEPARATOR, Receipt
from tests.unit.login import provider
from tests.unit.login.chain import Key, secret, verifier
from tests.unit.login.world import Keeper, Session, in_trio, refused, running

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493


def resign(receipt: dict[str, Any], index: int, place: int, value: str) -> dict[str, Any]:
    """The receipt with one field changed, rightly signed by node `index`."""
    fields = receipt["data"].split(SEPARATOR)
    fields[place] = value
    text = SEPARATOR.join(fields)
    return {"data": text, "signature": Key(secret(index)).sign_recoverable(keccak256(text.encode())).hex()}


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
        receipts = await world.commit_all(token, owner)
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
        receipts = await world.commit_all(token, session)
        world.chain.epoch = 2
        await world.read_chain()
        await refused(Code.RECEIPTS_TOO_FEW, world.keepers[0].share(token, receipts))


@in_trio
async def test_forged_and_malformed_receipts_are_junk(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        token, session = world.token(), Session()
        good = await world.commit_all(token, session)
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
        good = await world.commit_all(token, session)
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


@in_trio
async def test_second_session_key_for_one_token(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        token = world.token()
        await world.commit_all(token, Session(1))
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
        receipts = await world.commit_all(token, owner)
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
        receipts = await world.commit_all(padded, thief)
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
        receipts = await world.commit_all(stray, Session(2))
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
            receipts = await world.commit_all(second, Session(2))
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
        receipts = await world.commit_all(second, Session(2))
        await refused(Code.TOKEN_SIGNATURE, world.keepers[0].share(second, receipts))


@in_trio
async def test_eddsa_signature_plus_group_order(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        head, body, part = world.token("EdDSA").split(".")
        raw = decode_part(part)
        twin = int.from_bytes(raw[32:], "little") + ED25519_ORDER
        second = f"{head}.{body}.{encode_part(raw[:32] + twin.to_bytes(32, 'little'))}"
        receipts = await world.commit_all(second, Session(2))
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
            receipts = await world.commit_all(text, Session(len(text)))
            await refused(Code.TOKEN_ALGORITHM, world.keepers[0].share(text, receipts))
