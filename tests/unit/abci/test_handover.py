"""The phases of a hand-over on a chain without keys: who lets it go on, what it waits for, how it ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from abci_app.state import tables
from authnet_core.errors import Code
from authnet_core.wire import authnet_pb2 as wire
from tests.unit.abci.handover_world import (
    NEW,
    announce,
    enckey_tx,
    events_of,
    join,
    next_record,
    observe,
    phase,
    raw_of,
    ready_tx,
    reject_tx,
)
from tests.unit.abci.world import World, pub, secret, verifier_record

# notice


def test_the_notice_is_waited_for(world: World) -> None:
    announce(world, next_record(notice_s=3_600))
    world.block(step_ms=5_000)
    began = world.time_ms
    world.block(step_ms=3_599_999)
    for _ in range(3):
        world.block(step_ms=0)
        assert phase(world) == "announced"
    world.time_ms = began + 3_600_000
    assert events_of(world.block(step_ms=0)) == [("2", "joining")]
    assert world.query("/handover").notice_ends_ms == began + 3_600_000


def test_nobody_joins_before_the_notice_is_over(world: World) -> None:
    announce(world, next_record(notice_s=60))
    assert world.send(ready_tx(world, 6)) == [Code.NO_HANDOVER]
    assert world.send(enckey_tx(world, 6, 1)) == [Code.NO_HANDOVER]


def test_without_notice_it_begins_with_the_next_block(world: World) -> None:
    announce(world, next_record())
    assert events_of(world.block()) == [("2", "joining")]


# rejection


def test_t_members_reject_in_vain_and_one_more_ends_it(world: World) -> None:
    record = next_record(notice_s=60)
    announce(world, record)
    assert world.send(reject_tx(world, 5, record)) == [None]
    assert world.query("/handover").rejected == (5,)
    assert world.send(world.tx(5, reject=wire.Reject(epoch=2, record_hash=bytes(32)))) == [Code.NO_HANDOVER]
    again = world.tx(5, expiry=world.height + 9, reject=wire.Reject(epoch=2, record_hash=_hash(record)))
    assert world.send(again) == [Code.ALREADY_DONE]
    finalized = world.block(reject_tx(world, 2, record))
    assert events_of(finalized) == [("2", "aborted")]
    assert phase(world) == ""
    (ended,) = world.query("/handovers")
    assert (ended.outcome, ended.time_ms) == ("rejected", world.time_ms)
    assert ended.reason == "rejected by members 2, 5 of the committee in charge, while announced"
    assert world.send(reject_tx(world, 3, record)) == [Code.EPOCH_REJECTED]


def _hash(record: wire.Record) -> bytes:
    from authnet_core.wire.tx import record_hash

    return record_hash(raw_of(record))


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"epoch": 3}, Code.NO_HANDOVER),
        ({"epoch": 1}, Code.NO_HANDOVER),
        ({"record_hash": bytes(31)}, Code.NO_HANDOVER),
        ({"epoch": 2**64 - 1}, Code.NO_HANDOVER),
    ],
)
def test_a_rejection_of_something_else(world: World, fields: dict[str, Any], code: Code) -> None:
    announce(world, next_record(notice_s=60))
    message = wire.Reject(**{"epoch": 2, "record_hash": _hash(next_record(notice_s=60)), **fields})
    assert world.send(world.tx(1, reject=message)) == [code]


def test_only_members_in_charge_reject(joining: World) -> None:
    message = wire.Reject(epoch=2, record_hash=_hash(next_record()))
    assert joining.send(joining.tx(6, reject=message)) == [Code.NOT_A_MEMBER]
    assert joining.send(joining.tx(6, reject=message, epoch=2)) == [Code.WRONG_EPOCH]


def test_rejected_while_joining(joining: World) -> None:
    assert joining.send(ready_tx(joining, 6)) == [None]
    assert joining.send(*(reject_tx(joining, node, next_record()) for node in (1, 2))) == [None] * 2
    assert phase(joining) == ""
    assert joining.send(ready_tx(joining, 7)) == [Code.NO_HANDOVER]


# joining


def test_all_next_members_are_ready(joining: World) -> None:
    for member, node in enumerate(NEW, start=1):
        assert phase(joining) == "joining"
        assert joining.send(ready_tx(joining, node)) == [None]
        assert joining.send(enckey_tx(joining, node, member)) == [None]
    assert phase(joining) == "resharing"
    view = joining.query("/handover")
    assert [node.index for node in view.ready_nodes] == [1, 2, 3, 4, 5]
    assert view.ready_nodes[0].service_key == pub(secret("service", 6)).hex()
    assert view.deadline_ms > joining.time_ms


def test_an_encryption_key_alone_or_a_chain_alone_is_not_ready(joining: World) -> None:
    for member, node in enumerate(NEW, start=1):
        assert joining.send(enckey_tx(joining, node, member)) == [None]
    for node in NEW[:4]:
        assert joining.send(ready_tx(joining, node)) == [None]
    assert phase(joining) == "joining"
    assert joining.send(ready_tx(joining, NEW[4])) == [None]
    assert phase(joining) == "resharing"


def test_the_last_t_are_waited_for(joining: World) -> None:
    join(joining, members=[1, 2, 3, 4])
    for _ in range(4):
        joining.block(step_ms=7_000)
        assert phase(joining) == "joining"
    joining.block(step_ms=10_000)
    assert phase(joining) == "resharing"


def test_too_few_never_begin_and_time_ends_it(tmp_path: Path) -> None:
    world = World(tmp_path / "app", params={"handover_max_ms": 600_000})
    world.block()
    world.begin_epoch()
    announce(world, next_record())
    world.block()
    join(world, members=[1, 2, 3])
    deadline = world.query("/handover").deadline_ms
    for _ in range(5):
        world.block(step_ms=100_000)
        assert phase(world) == "joining"
    world.time_ms = deadline
    assert events_of(world.block(step_ms=0)) == [("2", "aborted")]
    (ended,) = world.query("/handovers")
    assert ended.outcome == "timed-out"
    assert ended.reason == "not done in time, while joining; not ready: next members 4, 5"
    assert observe(world, next_record(), [1]) == [Code.EPOCH_REJECTED]
    world.app.close()


def values_of(world: World) -> dict[bytes, bytes]:
    """The whole state, but for what members in charge leave in it by speaking at all, and epochs."""
    found = {key[1:]: raw for key, raw in world.app.store.newest().between(tables.VALUES, b"t")}
    others = (b"replay/", b"voted/", b"quota/" + (1).to_bytes(8, "big"), b"epoch/", b"handovers")
    return {key: raw for key, raw in found.items() if not key.startswith(others)}


def test_nothing_of_a_hand_over_stays_but_how_it_ended(world: World) -> None:
    before = values_of(world)
    announce(world, next_record())
    join(world, members=[1, 2, 3])
    assert set(observe(world, next_record(aborted=True), [3])) == {None}
    assert world.send(*(reject_tx(world, node, next_record()) for node in (1, 2))) == [None] * 2
    assert values_of(world) == before
    assert world.query("/epoch/current").epoch == 1


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"app_hash": bytes(32)}, Code.APP_HASH_UNKNOWN),
        ({"app_hash": b""}, Code.APP_HASH_UNKNOWN),
        ({"height": 10**6}, Code.APP_HASH_UNKNOWN),
        ({"height": 2**64 - 1}, Code.APP_HASH_UNKNOWN),
        ({"height": 1}, Code.APP_HASH_UNKNOWN),
        ({"service_key": b""}, Code.MALFORMED),
        ({"service_key": bytes(33)}, Code.MALFORMED),
        ({"epoch": 1, "body_epoch": 2}, Code.MALFORMED),
        ({"body_epoch": 1}, Code.WRONG_EPOCH),
        ({"body_epoch": 3}, Code.WRONG_EPOCH),
        ({"epoch": 1, "body_epoch": 1}, Code.WRONG_EPOCH),
    ],
)
def test_a_forged_ready_node(joining: World, fields: dict[str, Any], code: Code) -> None:
    assert joining.send(ready_tx(joining, 6, **fields)) == [code]
    assert joining.query("/handover").ready_nodes == ()


def test_a_ready_node_is_a_members_and_said_once(joining: World) -> None:
    assert joining.send(ready_tx(joining, 1)) == [Code.NOT_A_MEMBER]
    assert joining.send(ready_tx(joining, 11)) == [Code.NOT_A_MEMBER]
    assert joining.send(ready_tx(joining, 6)) == [None]
    assert joining.send(ready_tx(joining, 6)) == [Code.ALREADY_DONE]


def test_one_service_key_whoever_brings_it(joining: World) -> None:
    other = pub(secret("other"))
    assert joining.send(ready_tx(joining, 6)) == [None]
    entry = wire.EncKey.FromString(b"")
    assert joining.send(joining.tx(6, enckey=entry, epoch=2)) == [Code.MALFORMED]
    forged = wire.EncKey(first_counter=0, keys=_keys(6, 1), service_key=other)
    assert joining.send(joining.tx(6, enckey=forged, epoch=2)) == [Code.ALREADY_DONE]
    assert joining.send(enckey_tx(joining, 6, 1)) == [None]
    assert joining.send(enckey_tx(joining, 7, 2)) == [None]
    assert joining.send(ready_tx(joining, 7, service_key=other)) == [Code.ALREADY_DONE]
    assert joining.send(ready_tx(joining, 7)) == [None]


def _keys(node: int, member: int) -> list[wire.EncKeyEntry]:
    from authnet_core.crypto import pok
    from authnet_core.protocol.dkg.strings import enckey_context
    from tests.unit.abci.world import CHAIN, SEED

    key = secret("ek", node)
    return [wire.EncKeyEntry(key=pub(key), pok=pok.prove(key, enckey_context(CHAIN, 2, 0, member), SEED))]


def test_a_key_proven_for_another_epoch_or_member_is_refused(joining: World) -> None:
    message = joining.enckey(6, 0, 2)
    assert joining.send(joining.tx(6, enckey=message, epoch=2)) == [Code.BAD_PROOF]
    assert joining.send(enckey_tx(joining, 6, 2)) == [Code.BAD_PROOF]
    assert joining.send(enckey_tx(joining, 1, 1)) == [Code.NOT_A_MEMBER]


def test_next_members_counters_start_at_nothing(pooled: World) -> None:
    """The committee in charge is at counter 1 and more; the next one's are its own."""
    announce(pooled, next_record())
    pooled.block()
    assert pooled.query("/enckeys/2").next_counter == 0
    assert pooled.query("/enckeys").next_counter > 0
    assert pooled.send(enckey_tx(pooled, 6, 1)) == [None]
    six, *others = pooled.query("/enckeys/2").members
    assert (six.first, six.last) == (0, 3)
    assert {(other.first, other.last) for other in others} == {(0, -1)}


def test_a_recent_hash_of_any_height_is_taken(joining: World) -> None:
    seen: list[tuple[int, bytes]] = []
    for number in range(70):
        seen.append((joining.app.meta.height, joining.app.meta.app_hash))
        message = verifier_record(version=number + 1)
        assert joining.send(joining.tx(1, observe=wire.Observe(record=raw_of(message)))) == [None]
    for height, app_hash in (seen[0], seen[3]):
        assert joining.send(ready_tx(joining, 6, height=height, app_hash=app_hash)) == [Code.APP_HASH_UNKNOWN]
    height, app_hash = seen[-60]
    assert joining.send(ready_tx(joining, 6, height=height + 1, app_hash=app_hash)) == [Code.APP_HASH_UNKNOWN]
    assert joining.send(ready_tx(joining, 6, height=height, app_hash=app_hash)) == [None]


def test_an_idle_chain_rests_during_a_hand_over(joining: World) -> None:
    for _ in range(3):
        joining.block(step_ms=5_000)
    settled = joining.app.meta
    for _ in range(5):
        joining.block(step_ms=5_000)
    assert joining.app.meta.app_hash == settled.app_hash
    assert joining.send(ready_tx(joining, 6, height=settled.height)) == [None]
