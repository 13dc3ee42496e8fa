"""ASSIGN: one key per account, lowest first, quota and reserve."""

from __future__ import annotations

from pathlib import Path

import pytest

from authnet_core.crypto import merkle
from authnet_core.errors import Code
from authnet_core.wire import authnet_pb2 as wire
from tests.unit.abci.world import MASKS, World, account

LOOKUP = wire.PURPOSE_LOOKUP


def test_the_next_key_is_bound_to_the_account(pooled: World) -> None:
    outcome = pooled.send_one(pooled.assign(1, account(1)))
    assert (outcome.code, outcome.data) == (None, bytes(8))
    assert dict(outcome.events[0].attributes)["account_id"] == account(1).hex()
    (key,) = pooled.query(f"/account/{account(1).hex()}").keys
    assert (key.index, key.free, key.assigned_ms) == (0, False, pooled.time_ms)
    assert pooled.query("/key/0").account_id == account(1).hex()
    assert pooled.query(f"/key/by-pub/{key.Y}") == key
    assert pooled.query("/pool").free == 191 - MASKS


def test_two_nodes_that_ask_at_once_get_one_key(pooled: World) -> None:
    codes = pooled.send(*(pooled.assign(member, account(1)) for member in range(1, 6)))
    assert codes == [None] + [Code.ACCOUNT_HAS_KEY] * 4
    assert pooled.query("/pool").assigned == 1


def test_an_account_may_have_several_keys(pooled: World) -> None:
    assert pooled.send(pooled.assign(1, account(1), number=1)) == [Code.BAD_COUNTER]
    assert pooled.send(pooled.assign(1, account(1)), pooled.assign(1, account(1), number=1)) == [None, None]
    assert pooled.send(pooled.assign(1, account(1), number=1)) == [Code.ACCOUNT_HAS_KEY]
    assert [key.index for key in pooled.query(f"/account/{account(1).hex()}").keys] == [0, 1]


def test_one_member_can_not_make_an_account_too_big_to_read(pooled: World) -> None:
    codes = pooled.send(*(pooled.assign(1, account(1), number=number) for number in range(18)))
    assert codes == [None] * 16 + [Code.ACCOUNT_HAS_KEY, Code.BAD_COUNTER]
    assert len(pooled.query(f"/account/{account(1).hex()}").keys) == 16


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"verifier": "nobody"}, Code.VERIFIER_UNKNOWN),
        ({"verifier": ""}, Code.VERIFIER_UNKNOWN),
        ({"curve": wire.CURVE_UNSPECIFIED}, Code.UNSUPPORTED_CURVE),
        ({"curve": 7}, Code.UNSUPPORTED_CURVE),
        ({"purpose": wire.PURPOSE_UNSPECIFIED}, Code.MALFORMED),
        ({"purpose": 9}, Code.MALFORMED),
    ],
    ids=str,
)
def test_malformed(pooled: World, changes: dict[str, object], code: Code) -> None:
    assert pooled.send(pooled.assign(1, account(1), **changes)) == [code]


@pytest.mark.parametrize("account_id", [b"", b"x" * 31, b"x" * 33])
def test_an_account_id_has_32_bytes(pooled: World, account_id: bytes) -> None:
    assert pooled.send(pooled.assign(1, account_id)) == [Code.MALFORMED]


def test_before_keys_are_on_chain_the_pool_is_empty(world: World) -> None:
    from tests.unit.abci.world import verifier_record

    world.observe(verifier_record())
    assert world.send(world.assign(1, account(1))) == [Code.POOL_EMPTY]


def test_lookups_leave_a_fifth_to_logins(tmp_path: Path) -> None:
    world = World(tmp_path / "app", params={"quota": 1_000})
    world.block()
    world.fill_pool()
    reserve = world.query("/pool").reserved
    assert reserve == 192 * 20 // 100
    count = 192 - MASKS - reserve
    codes = world.send(*(world.assign(1 + i % 5, account(i), purpose=LOOKUP) for i in range(count + 3)))
    assert codes == [None] * count + [Code.POOL_RESERVED] * 3
    codes = world.send(*(world.assign(1 + i % 5, account(1000 + i)) for i in range(reserve + 1)))
    assert codes == [None] * reserve + [Code.POOL_EMPTY]
    assert world.query("/pool").free == 0
    world.app.close()


def test_a_members_quota_is_charged_on_success_and_comes_back(tmp_path: Path) -> None:
    world = World(tmp_path / "app", params={"quota": 4})
    world.block()
    world.fill_pool()
    assert world.send(world.assign(1, account(0), purpose=LOOKUP)) == [None]
    assert world.send(world.assign(1, account(0), purpose=LOOKUP)) == [Code.ACCOUNT_HAS_KEY]
    assert world.send(world.assign(1, account(1), purpose=LOOKUP)) == [None]
    outcome = world.send_one(world.assign(1, account(2), purpose=LOOKUP))
    assert outcome.code == Code.QUOTA_EXCEEDED
    assert "come back in" in outcome.log
    assert outcome.data == b""
    codes = world.send(*(world.assign(1, account(10 + i)) for i in range(3)))
    assert codes == [None, None, Code.QUOTA_EXCEEDED]
    assert world.send(world.assign(2, account(2), purpose=LOOKUP)) == [None]
    world.block(step_ms=60_000)
    assert world.send(world.assign(1, account(3), purpose=LOOKUP)) == [None]
    world.app.close()


def test_keys_that_all_hold_go_first(pooled: World) -> None:
    """The second session is held by four; the third by all: its keys go before the second's."""
    for number in range(190 - MASKS):
        assert pooled.send(pooled.assign(1 + number % 5, account(number))) == [None]
    second, third = (bytes.fromhex(s.sid) for s in pooled.query("/sessions").open)
    pooled.run_session(second, [1, 2, 3, 4])
    pairs = pooled.run_session(third)
    pool = pooled.query("/pool")
    assert pool.short == 341 * 2 - 16
    codes = pooled.send(*(pooled.assign(1 + i % 5, account(500 + i)) for i in range(3)))
    assert codes == [None] * 3
    taken = [pooled.query(f"/account/{account(500 + i).hex()}").keys[0].index for i in range(3)]
    first_of_third = 192 + 341 * 2
    assert taken == [190 - MASKS, 191 - MASKS, first_of_third]
    assert pooled.send(pooled.tx(5, have=wire.Have(sid=second))) == [None]
    assert pooled.query("/pool").short == 0
    pooled.send(pooled.assign(1, account(600)))
    assert pooled.query(f"/account/{account(600).hex()}").keys[0].index == 192
    assert merkle.root(pairs).hex() == pooled.query(f"/session/{third.hex()}").root


def test_a_key_is_assignable_when_its_chunk_is_on_chain(tmp_path: Path) -> None:
    world = World(tmp_path / "app", params={"first_rows": 400})
    world.block()
    world.begin_epoch()
    from tests.unit.abci.world import verifier_record

    world.observe(verifier_record())
    world.announce()
    sid = world.open_sid()
    world.deals(sid)
    world.acks(sid, 31)
    world.opens(sid, 31)
    pairs = world.key_pairs(sid, 1200)
    world.finals(sid, merkle.root(pairs))
    assert world.send(world.assign(1, account(1))) == [Code.POOL_EMPTY]
    assert world.send(world.keys(sid, pairs, 1)) == [None]
    assert world.send(world.assign(1, account(1))) == [None]
    assert world.query(f"/account/{account(1).hex()}").keys[0].index == 1024
    assert world.send(world.keys(sid, pairs, 0, member=3)) == [None]
    assert world.send(world.assign(1, account(2))) == [None]
    assert world.query(f"/account/{account(2).hex()}").keys[0].index == 0
    world.app.close()
