"""What holds for every kind of transaction, and replay protection."""

from __future__ import annotations

import pytest

from authnet_core.crypto import ecdsa
from authnet_core.crypto.secp256k1 import Q
from authnet_core.errors import Code
from authnet_core.wire import authnet_pb2 as wire
from authnet_core.wire.tx import MAX_TX_BYTES, body_digest, sign_tx
from tests.unit.abci.world import World, account, pub, secret


def ack(world: World, **envelope: object) -> bytes:
    return world.tx(1, ack=wire.Ack(sid=bytes(32), dealers=1), **envelope)


@pytest.mark.parametrize(
    ("envelope", "code"),
    [
        ({"chain_id": "testnet-2"}, Code.WRONG_CHAIN),
        ({"version": 2}, Code.WRONG_VERSION),
        ({"epoch": 0}, Code.WRONG_EPOCH),
        ({"epoch": 2}, Code.WRONG_EPOCH),
        ({"expiry": 1}, Code.EXPIRED),
        ({"expiry": 2 + 102}, Code.EXPIRY_TOO_FAR),
        ({"expiry": 2**64 - 1}, Code.EXPIRY_TOO_FAR),
    ],
)
def test_refused_by_its_envelope(world: World, envelope: dict[str, object], code: Code) -> None:
    assert world.height == 2
    assert world.send(ack(world, **envelope)) == [code]


def test_expiry_limits_are_inclusive(world: World) -> None:
    assert world.send(ack(world, expiry=world.height + 1)) == [Code.UNKNOWN_SESSION]
    assert world.send(ack(world, expiry=world.height + 101)) == [Code.UNKNOWN_SESSION]


def test_only_members_write(world: World) -> None:
    assert world.send(world.tx(99, ack=wire.Ack(sid=bytes(32), dealers=1))) == [Code.NOT_A_MEMBER]


@pytest.mark.parametrize("raw", [b"", b"junk", b"\xff" * 100, b"\x0a\x00", bytes(MAX_TX_BYTES + 1)])
def test_bytes_that_are_no_transaction(world: World, raw: bytes) -> None:
    expected = Code.TOO_LARGE if len(raw) > MAX_TX_BYTES else Code.DECODE
    before = world.app.meta.app_hash
    assert world.send(raw) == [expected]
    assert world.app.meta.app_hash == before
    assert not world.app.process_proposal([raw])


def test_another_members_signature_is_none(world: World) -> None:
    body = wire.TxBody(chain_id="testnet-1", version=1, epoch=1, expiry_height=10, ack=wire.Ack(sid=bytes(32)))
    raw = sign_tx(secret("id", 2), pub(secret("id", 1)), body)
    assert world.send(raw) == [Code.BAD_SIGNATURE]
    assert not world.app.process_proposal([raw])


def test_the_twin_signature_is_refused(pooled: World) -> None:
    raw = pooled.assign(1, account(1))
    signed = wire.SignedTx.FromString(raw)
    s = int.from_bytes(signed.signature[32:], "big")
    signed.signature = signed.signature[:32] + (Q - s).to_bytes(32, "big")
    twin = signed.SerializeToString(deterministic=True)
    assert pooled.send(twin) == [Code.BAD_SIGNATURE]
    assert pooled.send(raw) == [None]
    assert pooled.send(twin) == [Code.SEEN_BEFORE]


def test_unknown_and_doubled_fields_are_another_encoding(world: World) -> None:
    raw = ack(world)
    assert world.send(raw + b"\xa0\x06\x01") == [Code.DECODE]
    assert world.send(raw + raw) == [Code.DECODE]


def test_an_unknown_field_in_a_signed_body_is_refused(world: World) -> None:
    body = wire.TxBody(chain_id="testnet-1", version=1, epoch=1, expiry_height=10, ack=wire.Ack(sid=bytes(32)))
    padded = body.SerializeToString(deterministic=True) + b"\xa0\x06\x01"
    key = secret("id", 1)
    signed = wire.SignedTx(body=padded, signer=pub(key), signature=ecdsa.sign(key, body_digest(padded)))
    assert world.send(signed.SerializeToString(deterministic=True)) == [Code.DECODE]


def test_a_transaction_is_executed_once(pooled: World) -> None:
    raw = pooled.assign(1, account(1))
    assert pooled.send(raw) == [None]
    assert pooled.send(raw) == [Code.SEEN_BEFORE]
    again = pooled.assign(1, account(2))
    assert pooled.send(again, again) == [None, Code.SEEN_BEFORE]


def test_a_refused_transaction_may_come_again(pooled: World) -> None:
    raw = pooled.assign(1, account(1), number=1)
    assert pooled.send(raw) == [Code.BAD_COUNTER]
    assert pooled.send(pooled.assign(2, account(1))) == [None]
    assert pooled.send(raw) == [None]


def test_memory_survives_a_restart_and_ends_with_expiry(pooled: World) -> None:
    raw = pooled.assign(1, account(1), expiry=pooled.height + 3)
    assert pooled.send(raw) == [None]
    pooled.reopen()
    assert pooled.send(raw) == [Code.SEEN_BEFORE]
    pooled.block()
    assert pooled.send(raw) == [Code.EXPIRED]
    kept = pooled.app.store.seen_expiries()
    assert min(kept) < pooled.height, "an idle block drops nothing"
    assert pooled.send(pooled.assign(1, account(2))) == [None]
    assert min(pooled.app.store.seen_expiries()) >= pooled.height


def test_a_damaged_replay_list_is_noticed(pooled: World) -> None:
    assert pooled.send(pooled.assign(1, account(1))) == [None]
    store = pooled.app.store
    key, _ = next(iter(store._db.iterator(prefix=b"r")))
    store._db.put(key, bytes(32))
    with pytest.raises(RuntimeError, match="damaged"):
        pooled.reopen()
