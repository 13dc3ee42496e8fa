"""What anybody may send to the chain: transactions into CheckTx and FinalizeBlock, records, query paths, frames."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import DecodeError as ProtobufError

from abci_app.abci.framing import Frames, pack
from abci_app.queries import queries
from abci_app.rules.genesis import parse
from abci_app.state.state import Block
from authnet_core.crypto.secp256k1 import pub
from authnet_core.errors import AuthnetError, Code, DecodeError
from authnet_core.wire import authnet_pb2 as wire
from authnet_core.wire.tx import decode_record, decode_signed, sign_tx
from tests.fuzz.target import Target
from tests.unit.abci.world import World, account, app_state_json, epoch_record, secret, verifier_record


class _Recording(World):
    """Keeps every transaction that the story sends."""

    def __post_init__(self) -> None:
        self.sent: list[bytes] = []
        super().__post_init__()

    def tx(self, member: int, **kind: Any) -> bytes:
        raw = super().tx(member, **kind)
        self.sent.append(raw)
        return raw


@cache
def chain() -> _Recording:
    """A pool, one account, and a second session in its DEAL phase."""
    folder = Path(tempfile.mkdtemp(prefix="fuzz-chain-"))
    world = _Recording(folder / "app", params={"pool_low": 1_000, "pool_high": 4_000})
    world.block()
    world.fill_pool()
    world.send(world.assign(1, account(1)))
    world.block()
    return world


@cache
def transactions() -> tuple[bytes, ...]:
    """One of each kind that the story sends, and kinds that it does not."""
    world, kinds = chain(), dict[str, bytes]()
    for raw in world.sent:
        kinds.setdefault(str(decode_signed(raw)[1].WhichOneof("kind")), raw)
    sid = world.query("/sessions").open[0].sid if world.query("/sessions").open else "00" * 32
    for kind in (field.name for field in wire.TxBody.DESCRIPTOR.oneofs_by_name["kind"].fields):
        if kind not in kinds:
            message = wire.TxBody.DESCRIPTOR.fields_by_name[kind].message_type._concrete_class()
            if "sid" in message.DESCRIPTOR.fields_by_name:
                message.sid = bytes.fromhex(sid)
            kinds[kind] = world.tx(1, **{kind: message})
    return tuple(kinds.values())


@cache
def bodies() -> tuple[bytes, ...]:
    return tuple(decode_signed(raw)[0].body for raw in transactions())


def check_decoding(raw: bytes) -> None:
    try:
        signed, body = decode_signed(raw)
    except DecodeError:
        return
    assert signed.SerializeToString(deterministic=True) == raw
    assert body.SerializeToString(deterministic=True) == signed.body


def run(raw: bytes) -> None:
    """CheckTx and FinalizeBlock say the same, and neither raises. Nothing is committed."""
    world = chain()
    before = world.app.meta.app_hash
    checked = world.app.check_tx(raw).code
    assert checked is None or isinstance(checked, Code)
    finalized = world.app.finalize_block([raw], Block(world.height + 1, world.time_ms + 100))
    world.app.drop_uncommitted()
    assert finalized.outcomes[0].code == checked
    assert world.app.meta.app_hash == before
    assert world.app.process_proposal([raw]) in (True, False)
    world.app.prepare_proposal([raw], Block(world.height + 1, world.time_ms + 100), 1 << 20)


def check_handler(raw: bytes) -> None:
    """A spoilt body in a good envelope of a member: only the rules of its kind stand in its way."""
    body = wire.TxBody()
    try:
        body.ParseFromString(raw)
    except ProtobufError:
        return
    body.DiscardUnknownFields()
    world = chain()
    body.chain_id, body.version, body.epoch = "testnet-1", 1, 1
    body.expiry_height = world.height + 20
    key = secret("id", 1)
    run(sign_tx(key, pub(key), body))


def check_record(raw: bytes) -> None:
    try:
        record = decode_record(raw)
    except DecodeError:
        record = None
    if record is not None:
        assert record.SerializeToString(deterministic=True) == raw
    key = secret("id", 2)
    body = wire.TxBody(chain_id="testnet-1", version=1, epoch=1, expiry_height=chain().height + 20)
    body.observe.record = raw[:100_000]
    run(sign_tx(key, pub(key), body))


def check_query(raw: bytes) -> None:
    try:
        found = queries.answer(chain().app.store, raw.decode("utf-8", "surrogatepass"), prove=True)
    except AuthnetError:
        return
    assert (found.view is None) == (found.refusal is not None)


def check_genesis(raw: bytes) -> None:
    try:
        parse(raw)
    except AuthnetError:
        return


def check_frames(raw: bytes) -> None:
    """However the bytes are cut, the frames are the same."""

    def cut(size: int) -> list[bytes] | str:
        frames, found = Frames(), []
        try:
            for at in range(0, len(raw), size):
                found += frames.feed(raw[at : at + size])
        except (DecodeError, ValueError) as error:
            return type(error).__name__
        return found

    assert cut(max(len(raw), 1)) == cut(7)


def _records() -> tuple[bytes, ...]:
    return tuple(r.SerializeToString(deterministic=True) for r in (epoch_record(5, epoch=2), verifier_record()))


def _paths() -> tuple[bytes, ...]:
    texts = ["/status", "/sessions", "/epoch/current", "/epoch/1", "/pool", "/verifiers", "/verifier/mock-google"]
    texts += ["/params", "/enckeys", "/keys/0/10", "/key/1", f"/key/by-pub/{'02' + '11' * 32}", "/blame"]
    texts += [f"/account/{account(1).hex()}?curve=secp256k1", f"/session/{'00' * 32}", "/sessions/retained"]
    return tuple(text.encode() for text in texts)


def _text_only(check: Callable[[bytes], None]) -> Callable[[bytes], None]:
    """A query path is text before it comes here."""

    def checked(raw: bytes) -> None:
        try:
            raw.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            return
        check(raw)

    return checked


TARGETS = (
    Target("transactions", "protobuf", transactions, check_decoding, 100),
    Target("blocks", "protobuf", transactions, run, 40),
    Target("handlers", "protobuf", bodies, check_handler, 100),
    Target("records", "protobuf", _records, check_record, 60),
    Target("queries", "text", _paths, _text_only(check_query), 60),
    Target("app_genesis", "json", lambda: (app_state_json(5),), check_genesis, 60),
    Target("abci_frames", "bytes", lambda: (pack(b"abc") + pack(b"") + pack(bytes(300)),), check_frames, 60),
)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_what_comes_to_the_chain(target: Target) -> None:
    target.slice()
