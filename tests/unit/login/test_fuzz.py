"""Whatever comes in ends in a coded refusal: fuzzed tokens, key sets, receipts and parameters."""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from authnet_core.crypto.hashing import keccak256
from authnet_core.crypto.jose_text import decode_part, encode_part, read_token
from authnet_core.errors import AuthnetError, DecodeError
from authnet_core.protocol.receipts import SEPARATOR, Receipt, SignedReceipt, parse
from p2p_dkg.login.key_set import read_key_set
from tests.unit.login import provider
from tests.unit.login.chain import NETWORK
from tests.unit.login.world import Session, World, running

FEW = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
TOKEN = provider.sign(provider.claims(1_700_000_000))
RECEIPT = Receipt(b"\x01" * 32, b"\x02" * 64, "google", 1_700_000_000, NETWORK, 1, 3)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def altered(draw: st.DrawFn, text: str) -> str:
    """`text` with a few characters changed, put in or taken out."""
    letters = list(text)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(letters)))
        cut = draw(st.integers(0, 2))
        letters[place : place + cut] = draw(st.text(max_size=2))
    return "".join(letters)


@FEW
@given(st.text() | altered(TOKEN) | st.text("ABCabc012-_.=", max_size=60))
def test_a_token_text_reads_back_to_itself_or_is_refused(text: str) -> None:
    try:
        token = read_token(text)
    except AuthnetError:
        return
    assert token.text == text
    assert encode_part(token.signature) == text.split(".")[2]


@FEW
@given(st.binary(max_size=40))
def test_one_text_for_all_bytes(raw: bytes) -> None:
    if raw:
        assert decode_part(encode_part(raw)) == raw


@FEW
@given(st.binary() | altered(provider.key_set().decode()).map(lambda t: t.encode("utf-8", "surrogatepass")))
def test_a_key_set_is_read_or_refused(raw: bytes) -> None:
    try:
        read_key_set(raw)
    except AuthnetError:
        return


@FEW
@given(altered(RECEIPT.text) | st.text() | st.lists(st.text(max_size=70), max_size=10).map(SEPARATOR.join))
def test_a_receipt_reads_back_to_itself_or_is_refused(text: str) -> None:
    try:
        receipt = parse(text)
    except DecodeError:
        return
    assert receipt.text == text


@FEW
@given(json_values | st.fixed_dictionaries({"data": json_values, "signature": json_values}))
def test_a_receipt_off_the_wire_is_read_or_refused(item: Any) -> None:
    try:
        SignedReceipt.from_wire(item)
    except DecodeError:
        return


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_the_service_answers_with_a_code_whatever_it_is_asked(choose: st.DataObject) -> None:
    async def ask_many() -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with running(Path(folder)) as world:
                for _ in range(20):
                    await _ask(world, choose)

    trio.run(ask_many)


async def _ask(world: World, choose: st.DataObject) -> None:
    session = Session()
    token = choose.draw(
        st.sampled_from([world.token(), world.bound_token(session)]).flatmap(lambda t: st.just(t) | altered(t))
        | st.dictionaries(st.sampled_from(["sub", "aud", "iss", "exp", "iat", "nonce", "nbf"]), json_values).map(
            lambda changes: _sign(provider.claims(world.now) | changes)
        )
    )
    receipts = choose.draw(
        st.lists(
            json_values | st.fixed_dictionaries({"data": altered(RECEIPT.text), "signature": st.just("00" * 65)}),
            max_size=4,
        )
    )
    wrong = choose.draw(
        st.dictionaries(
            st.sampled_from(["verifier", "verifier_id", "extension", "session_s", "nonce_enc", "curve", "temp_pub"]),
            json_values,
            max_size=2,
        )
    )
    for call in (
        world.keepers[0].share(token, receipts, **wrong),
        world.keepers[0].service.handlers()["commit"](
            {"token_hash": keccak256(b"x").hex(), "temp_pub": session.pub.hex(), "verifier": "google"} | wrong, None
        ),
    ):
        code = await _outcome(call)
        assert code != "INTERNAL"


async def _outcome(call: Awaitable[Any]) -> str:
    try:
        await call
    except AuthnetError as refusal:
        return refusal.code.value
    return "ok"


def _sign(body: dict[str, Any]) -> str:
    try:
        return provider.sign(body)
    except UnicodeEncodeError:
        return provider.sign(b"{}")
