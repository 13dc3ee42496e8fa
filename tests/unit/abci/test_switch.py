"""The block in which the next committee takes charge, and what the former one may still do."""

from __future__ import annotations

import itertools
from pathlib import Path

from msgspec.structs import replace

from abci_app.abci.dispatch import Dispatcher
from abci_app.handlers import HANDLERS
from abci_app.handover.switch import perform
from abci_app.pb.tendermint.abci import types_pb2 as pb
from abci_app.rules.members import STANDINGS
from abci_app.state import records as r
from abci_app.state import tables
from abci_app.state.state import Block, State
from authnet_core.errors import Code
from authnet_core.wire import authnet_pb2 as wire
from tests.unit.abci.handover_world import (
    FIRST,
    NEW,
    announce,
    events_of,
    finish,
    hand_over,
    join,
    next_record,
    phase,
    raw_of,
    ready_tx,
)
from tests.unit.abci.test_wronged import Shaky
from tests.unit.abci.world import World, account, consensus_key, verifier_record

A_E = 60_000
GRACE = 180_000


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
    from abci_app.queries import queries
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
