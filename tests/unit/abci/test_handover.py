"""The phases of a hand-over on a chain without keys: who lets it go on, what it waits for, how it ends."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from abci_app import records as r
from abci_app import tables
from abci_app.dispatch import Dispatcher
from abci_app.handlers import HANDLERS
from abci_app.members import STANDINGS
from abci_app.pb.tendermint.abci import types_pb2 as pb
from abci_app.state import Block, State
from abci_app.switch import perform
from authnet_core.errors import Code
from authnet_core.wire import authnet_pb2 as wire
from tests.unit.abci.handover_world import (
    FIRST,
    NEW,
    announce,
    enckey_tx,
    finish,
    hand_over,
    join,
    next_record,
    observe,
    phase,
    raw_of,
    ready_tx,
    reject_tx,
)
from tests.unit.abci.test_wronged import Shaky
from tests.unit.abci.world import World, account, consensus_key, pub, secret, verifier_record

A_E = 60_000
GRACE = 180_000


@pytest.fixture
def joining(world: World) -> World:
    """Epoch 2 is announced and its notice over."""
    announce(world, next_record())
    world.block()
    assert phase(world) == "joining"
    return world


def events_of(finalized: Any) -> list[tuple[str, str]]:
    found = [dict(e.attributes) for e in finalized.all_events if e.type == "epoch_phase"]
    return [(attributes["epoch"], attributes["phase"]) for attributes in found]


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


# the switch


def test_one_block_puts_the_next_committee_in_charge(joining: World) -> None:
    join(joining)
    blocks = [joining.block(step_ms=1_000) for _ in range(3)]
    phases = list(itertools.chain.from_iterable(events_of(block) for block in blocks))
    assert phases == [("2", "switching"), ("2", "serving"), ("1", "retired")]
    (last,) = [block for block in blocks if block.validator_updates]
    expected = {consensus_key(node): 0 for node in FIRST} | {consensus_key(node): 1 for node in NEW}
    assert last.validator_updates == tuple(sorted(expected.items()))
    validators = joining.app.store.get(tables.VALIDATORS)
    assert validators is not None
    assert validators.members == tuple(sorted((consensus_key(node), 1) for node in NEW))
    assert joining.query("/status").epoch == 2
    (ended,) = joining.query("/handovers")
    assert (ended.epoch, ended.outcome, ended.reason) == (2, "switched", "")
    epoch, former = joining.query("/epoch/current"), joining.query("/epoch/1")
    assert (epoch.epoch, epoch.status, epoch.serving_from_ms) == (2, "serving", ended.time_ms + A_E)
    assert (former.status, former.serving_until_ms) == ("retired", epoch.serving_from_ms)
    assert former.grace_ends_ms == epoch.serving_from_ms + GRACE
    assert joining.query("/enckeys").next_counter >= 0


def test_cometbft_is_told(joining: World) -> None:
    join(joining)
    while phase(joining) != "switching":
        joining.block()
    request = pb.RequestFinalizeBlock(height=joining.height + 1)
    request.time.FromMilliseconds(joining.time_ms + 1_000)
    answer = Dispatcher(joining.app).answer(pb.Request(finalize_block=request)).finalize_block
    told = {update.pub_key.ed25519: update.power for update in answer.validator_updates}
    assert told == {consensus_key(node): int(node in NEW) for node in (*FIRST, *NEW)}


def test_only_those_who_come_and_go_change_the_validators(world: World) -> None:
    announce(world, next_record(nodes=[3, 4, 5, 6, 7]))
    join(world, [3, 4, 5, 6, 7])
    updates = [block.validator_updates for block in (world.block(step_ms=1_000) for _ in range(3))]
    (found,) = [update for update in updates if update]
    assert dict(found) == {consensus_key(1): 0, consensus_key(2): 0, consensus_key(6): 1, consensus_key(7): 1}


def test_missing_members_get_their_power_too(joining: World) -> None:
    """With fewer than n' validators k' - 1 of them could fork the chain."""
    join(joining, members=[1, 2, 3, 5])
    finish(joining)
    validators = joining.app.store.get(tables.VALIDATORS)
    assert validators is not None
    assert len(validators.members) == 5


def test_the_last_t_are_waited_for_again_before_the_switch(joining: World) -> None:
    join(joining, members=[1, 2, 3, 4])
    while phase(joining) != "switching":
        joining.block(step_ms=10_000)
    joining.block(step_ms=5_000)
    joining.block(step_ms=20_000)
    assert phase(joining) == "switching"
    assert joining.send(ready_tx(joining, 10)) == [None]
    joining.block()
    assert joining.query("/status").epoch == 2


def test_key_generation_begins_anew_behind_the_counters_of_the_resharings(joining: World) -> None:
    state = State(joining.app.store, Block(joining.height + 1, joining.time_ms))
    state.put(tables.KEYGEN, r.Keygen(7, suspects=(2,), penalties=(r.Penalty(2, 1, 1),), waiting_height=3))
    perform(state, replace(state.need(tables.HANDOVER), next_counter=3))
    assert state.need(tables.KEYGEN) == r.Keygen(3)


def test_keys_of_a_verifier_with_old_tokens_are_kept_longer(world: World) -> None:
    assert set(world.observe(verifier_record(iat_limit_s=600))) == {None}
    hand_over(world)
    former = world.query("/epoch/1")
    assert former.grace_ends_ms == former.serving_until_ms + 600_000 + GRACE


def test_the_serving_committee_is_that_of_the_time(world: World) -> None:
    hand_over(world)
    starts = world.query("/epoch/current").serving_from_ms
    assert world.query("/epoch/serving").epoch == 1
    world.time_ms = starts - 1
    world.block(step_ms=0)
    assert world.query("/epoch/serving").epoch == 1
    world.block(step_ms=1)
    assert world.query("/epoch/serving").epoch == 2


def test_what_is_proven_of_the_serving_committee(world: World) -> None:
    from abci_app import queries
    from authnet_core.crypto import smt

    hand_over(world)
    world.block()
    answer = queries.answer(world.app.store, "/epoch/serving", prove=True)
    keys = [tables.CURRENT_EPOCH.key, tables.epoch(2).key, tables.epoch(1).key]
    for key, proof in zip(keys, answer.proofs, strict=True):
        assert isinstance(proof, smt.Presence)
        assert proof.key == key


# after it


def test_former_members_assign_until_the_others_serve(world: World) -> None:
    """What comes through to the pool was let in; there is no key in it."""
    assert set(world.observe(verifier_record())) == {None}
    hand_over(world)
    message = wire.Assign(
        verifier="mock-google",
        account_id=account(1),
        curve=wire.CURVE_SECP256K1,
        number=0,
        purpose=wire.PURPOSE_LOGIN,
    )

    def assign(node: int, epoch: int) -> Code | None:
        return world.block(world.tx(node, assign=message, epoch=epoch), step_ms=0).outcomes[0].code

    ends = world.query("/epoch/1").serving_until_ms + 10_000
    world.time_ms = ends - 1
    assert assign(1, 1) == Code.POOL_EMPTY
    assert assign(6, 2) == Code.POOL_EMPTY
    assert assign(6, 1) == Code.NOT_A_MEMBER
    assert assign(1, 2) == Code.NOT_A_MEMBER
    world.time_ms = ends
    assert assign(1, 1) == Code.WRONG_EPOCH
    assert assign(6, 2) == Code.POOL_EMPTY


def test_two_hand_overs_in_quick_succession_leave_the_serving_committee_its_say(tmp_path: Path) -> None:
    """Epoch 3 is in charge before epoch 2 serves: epoch 1 still does."""
    world = World(tmp_path / "app", params={"pool_low": 0, "pool_high": 0, "serve_delay_ms": 120_000})
    world.begin_epoch()
    hand_over(world)
    hand_over(world, next_record(epoch=3, nodes=[11, 12, 13, 14, 15], previous=2), NEW[:4])
    message = wire.Assign(verifier="x", account_id=account(1), curve=wire.CURVE_SECP256K1)
    first, second = world.query("/epoch/2").serving_from_ms, world.query("/epoch/3").serving_from_ms
    assert world.time_ms < first < second
    assert world.query("/epoch/serving").epoch == 1
    for node, epoch in ((1, 1), (6, 2), (11, 3)):
        assert world.send(world.tx(node, assign=message, epoch=epoch)) == [Code.MALFORMED], "let in"
    world.time_ms = first + 10_000
    world.block(step_ms=0)
    assert world.query("/epoch/serving").epoch == 2
    assert world.send(world.tx(1, assign=message, epoch=1)) == [Code.WRONG_EPOCH]
    assert world.send(world.tx(6, assign=message, epoch=2)) == [Code.MALFORMED]
    world.app.close()


def test_erased_after_the_grace_and_once(world: World) -> None:
    assert world.send(world.tx(1, erased=wire.Erased(epoch=1))) == [Code.WRONG_EPOCH]
    hand_over(world)
    grace_ends = world.query("/epoch/1").grace_ends_ms

    def erased(node: int, epoch: int = 1, body_epoch: int = 1) -> list[Code | None]:
        return world.send(world.tx(node, erased=wire.Erased(epoch=epoch), epoch=body_epoch))

    world.time_ms = grace_ends - 2
    early = world.tx(1, erased=wire.Erased(epoch=1), epoch=1, expiry=world.height + 9)
    assert world.block(early, step_ms=1).outcomes[0].code == Code.WRONG_PHASE
    world.block(step_ms=1)
    assert world.send(early) == [None]
    assert erased(1) == [Code.ALREADY_DONE]
    assert erased(6) == [Code.NOT_A_MEMBER]
    assert erased(1, epoch=2) == [Code.MALFORMED]
    assert erased(6, 2, 2) == [Code.WRONG_EPOCH]
    assert erased(1, 7, 7) == [Code.WRONG_EPOCH]
    assert erased(3) == [None]
    assert world.query("/epoch/1").erased == (1, 3)


def test_former_members_write_nothing_else(world: World) -> None:
    hand_over(world)
    raw = raw_of(next_record(epoch=3, previous=2))
    assert world.send(world.tx(1, observe=wire.Observe(record=raw), epoch=1)) == [Code.WRONG_EPOCH]
    assert world.send(world.tx(1, enckey=world.enckey(1), epoch=1)) == [Code.WRONG_EPOCH]
    assert world.send(world.tx(1, have=wire.Have(sid=bytes(32)), epoch=1)) == [Code.WRONG_EPOCH]


def test_crashes_change_nothing(tmp_path: Path) -> None:
    """Each block is computed, lost and computed again: the same hashes, the same validators."""
    stories = []
    for kind in (World, Shaky):
        world = kind(tmp_path / kind.__name__, params={"pool_low": 0, "pool_high": 0})
        world.begin_epoch()
        updates = []
        announce(world, next_record())
        join(world)
        while phase(world):
            updates.append(world.block(step_ms=1_000).validator_updates)
        world.block()
        stories.append((world.hashes, updates))
        world.app.close()
    assert stories[0] == stories[1]
    assert len(stories[0][1][-1]) == 10


def test_every_kind_has_a_rule_and_a_place_in_the_table() -> None:
    kinds = {field.name for field in wire.TxBody.DESCRIPTOR.oneofs_by_name["kind"].fields}
    assert set(STANDINGS) == kinds
    assert set(HANDLERS) == kinds
