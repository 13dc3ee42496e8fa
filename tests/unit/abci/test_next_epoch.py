"""OBSERVE of later epochs: what may be announced, and what is refused with which words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from authnet_core.errors import Code
from authnet_core.wire import authnet_pb2 as wire
from tests.unit.abci.handover_world import (
    FIRST,
    NEW,
    announce,
    finish,
    hand_over,
    hash_of,
    join,
    next_record,
    observe,
    phase,
    raw_of,
    reject_tx,
)
from tests.unit.abci.world import World, consensus_key, epoch_record, pub, secret, verifier_record


def one(world: World, record: wire.Record, node: int = 1) -> Any:
    return world.send_one(world.tx(node, observe=wire.Observe(record=raw_of(record))))


def _member(place: int, **changes: Any) -> wire.Record:
    record = next_record()
    for name, value in changes.items():
        setattr(record.epoch.members[place], name, value)
    return record


def test_n_minus_t_equal_observations_announce_the_next_committee(world: World) -> None:
    record = next_record(notice_s=60)
    assert observe(world, record, [1, 2, 3]) == [None] * 3
    assert phase(world) == ""
    finalized = world.block(world.tx(4, observe=wire.Observe(record=raw_of(record))))
    assert [(e.type, dict(e.attributes)) for e in finalized.all_events] == [
        ("epoch_phase", {"epoch": "2", "phase": "announced"})
    ]
    view = world.query("/handover")
    assert (view.phase, view.from_epoch, view.record_hash) == ("announced", 1, hash_of(record).hex())
    assert view.announced_height == world.height
    assert view.notice_ends_ms == world.time_ms + 60_000
    assert view.committee == world.query("/epoch/2") == world.query("/epoch/next")
    assert (view.committee.status, view.committee.previous, view.committee.n) == ("next", 1, 5)
    assert world.query("/epoch/current").epoch == 1


@pytest.mark.parametrize(
    ("record", "code", "says"),
    [
        (next_record(k=4), Code.RECORD_REFUSED, "5, 4, 1 break n >= k + 2t"),
        (next_record(t=2), Code.RECORD_REFUSED, "5, 3, 2 break n >= k + 2t"),
        (next_record(t=0), Code.RECORD_REFUSED, "k is 3 and t is 1"),
        (next_record(n=0, k=1, t=0), Code.RECORD_REFUSED, "break n >= k + 2t"),
        (next_record(n=2**32 - 1), Code.RECORD_REFUSED, "at most 64"),
        (next_record(n=7, k=4, t=1), Code.RECORD_REFUSED, "5 members, but n is 7"),
        (next_record(nodes=range(6, 13)), Code.RECORD_REFUSED, "5, 6 or 9"),
        (next_record(nodes=range(6, 10)), Code.RECORD_REFUSED, "5, 6 or 9"),
        (next_record(members=next_record().epoch.members[:4]), Code.RECORD_REFUSED, "4 members"),
        (_member(1, index=3), Code.RECORD_REFUSED, "member 2 has index 3"),
        (_member(1, identity=bytes(33)), Code.RECORD_REFUSED, "member 2: the identity"),
        (_member(1, identity=pub(secret("id", 6))), Code.RECORD_REFUSED, "1 and 2 have the same identity"),
        (_member(1, consensus=b"short"), Code.RECORD_REFUSED, "member 2: the consensus"),
        (_member(1, consensus=consensus_key(6)), Code.RECORD_REFUSED, "same consensus"),
        (_member(1, peer_id="peer6"), Code.RECORD_REFUSED, "same peer_id"),
        (_member(1, comet_addr="id6@10.0.0.1:1"), Code.RECORD_REFUSED, "same CometBFT id"),
        (_member(1, endpoint=""), Code.RECORD_REFUSED, "member 2: endpoint"),
        (_member(4, endpoint="http://a b"), Code.RECORD_REFUSED, "member 5: endpoint"),
        (_member(4, p2p_addr=""), Code.RECORD_REFUSED, "member 5: p2p_addr"),
        (next_record(epoch=2, previous=2), Code.RECORD_REFUSED, "can not follow epoch 2"),
        (next_record(epoch=2, previous=0), Code.RECORD_STALE, "follows epoch 0"),
        (next_record(epoch=3, previous=2), Code.WRONG_PHASE, "waits until epoch 2"),
        (next_record(epoch=2**63), Code.RECORD_REFUSED, "numbered up to"),
        (next_record(notice_s=2**63), Code.RECORD_REFUSED, "notice must be"),
        (next_record(epoch=1, previous=0), Code.RECORD_STALE, "lacks member 1"),
        (next_record(epoch=0, previous=0), Code.RECORD_STALE, "epoch 1 is in charge"),
        (next_record(aborted=True), Code.NO_HANDOVER, "nothing to call off"),
    ],
)
def test_a_record_that_can_not_follow_is_refused_by_name(
    world: World, record: wire.Record, code: Code, says: str
) -> None:
    outcome = one(world, record)
    assert outcome.code == code
    assert says in outcome.log
    assert world.refusal("/epoch/2") == Code.NOT_FOUND


def test_a_first_epoch_has_no_other_before_it_and_is_never_called_off(fresh: World) -> None:
    for record in (epoch_record(5, previous=1), epoch_record(5, aborted=True)):
        assert one(fresh, record).code == Code.RECORD_REFUSED


def test_a_public_chain_gives_a_day_of_notice(tmp_path: Path) -> None:
    class Public(World):
        def init(self) -> bytes:
            from abci_app.abci.application import InitialState
            from abci_app.rules.genesis import parse
            from abci_app.state import records as r
            from tests.unit.abci.world import CHAIN, START_MS, app_state_json

            validators = tuple(sorted((consensus_key(j), 1) for j in range(1, 6)))
            app_state = parse(app_state_json(5).replace(b'"dev":true', b'"dev":false'))
            return self.app.init_chain(InitialState(CHAIN, START_MS, app_state, r.ValidatorSet(validators)))

    public = Public(tmp_path / "app")
    public.block()
    public.begin_epoch()
    assert "notice must be 86400" in one(public, next_record(notice_s=86_399)).log
    assert one(public, next_record(notice_s=86_400)).code is None
    public.app.close()


def test_a_rewritten_registry_changes_nothing_once_it_is_announced(world: World) -> None:
    """After a re-organisation the same number may carry other members."""
    announce(world, next_record(notice_s=60))
    rewritten = next_record(nodes=[11, 12, 13, 14, 15], notice_s=60)
    for node in FIRST:
        outcome = one(world, rewritten, node)
        assert outcome.code == Code.RECORD_REFUSED
        assert "registry was rewritten" in outcome.log
    assert world.query("/handover").record_hash == hash_of(next_record(notice_s=60)).hex()
    again = one(world, next_record(notice_s=60), 5)
    assert (again.code, "announced already" in again.log) == (Code.RECORD_STALE, True)


def test_a_rewritten_registry_before_that_only_moves_votes(world: World) -> None:
    first, second = next_record(), next_record(nodes=[11, 12, 13, 14, 15])
    assert observe(world, first, [1, 2, 3]) == [None] * 3
    assert observe(world, second, [1, 2, 3]) == [None] * 3
    assert observe(world, first, [4]) == [None]
    assert phase(world) == ""
    assert observe(world, second, [4]) == [None]
    assert world.query("/handover").record_hash == hash_of(second).hex()


def test_one_hand_over_at_a_time(world: World) -> None:
    other = next_record(epoch=3, nodes=[11, 12, 13, 14, 15])
    assert observe(world, other, [1, 2, 3]) == [None] * 3
    announce(world, next_record(notice_s=60))
    refused = one(world, other, 4)
    assert (refused.code, "epoch 2 is taking over" in refused.log) == (Code.WRONG_PHASE, True)
    for node in (1, 2):
        assert world.send(reject_tx(world, node, next_record(notice_s=60))) == [None]
    assert observe(world, other, [4]) == [None]
    assert world.query("/handover").committee.epoch == 3


def test_what_ended_is_never_announced_again(world: World) -> None:
    announce(world, next_record())
    assert world.send(reject_tx(world, 1, next_record()), reject_tx(world, 2, next_record())) == [None] * 2
    again = one(world, next_record())
    assert (again.code, "epoch 2 was rejected" in again.log) == (Code.EPOCH_REJECTED, True)
    assert one(world, next_record(aborted=True)).code == Code.EPOCH_REJECTED
    assert one(world, next_record(nodes=[11, 12, 13, 14, 15])).code == Code.EPOCH_REJECTED
    assert one(world, next_record(epoch=3)).code is None


def test_what_follows_an_epoch_that_was_given_up_follows_the_one_in_charge(world: World) -> None:
    """The registry may hold a line of epochs already; it can call off the newest one only."""
    third = next_record(epoch=3, nodes=[11, 12, 13, 14, 15], previous=2)
    announce(world, next_record(notice_s=60))
    assert one(world, third).code == Code.WRONG_PHASE
    for node in (1, 2):
        assert world.send(reject_tx(world, node, next_record(notice_s=60))) == [None]
    fourth = one(world, next_record(epoch=4, previous=3))
    assert (fourth.code, "until epoch 3 is in charge" in fourth.log) == (Code.WRONG_PHASE, True)
    hand_over(world, third)
    assert world.query("/epoch/3").previous == 1
    assert world.query("/epoch/serving").epoch == 1


def test_an_epoch_called_off_too_late_does_not_block_the_registry(world: World) -> None:
    """The switch came first. The chain stays with epoch 2, the registry goes on after epoch 1."""
    hand_over(world)
    off, third = next_record(aborted=True), next_record(epoch=3, nodes=FIRST, previous=1)
    assert one(world, third, 6).code == Code.RECORD_STALE
    assert observe(world, off, [6, 7, 8]) == [None] * 3
    assert not world.query("/epoch/2").called_off
    assert observe(world, off, [9]) == [None]
    epoch = world.query("/epoch/current")
    assert (epoch.epoch, epoch.status, epoch.called_off) == (2, "serving", True)
    assert one(world, off, 10).code == Code.RECORD_STALE
    assert one(world, next_record(epoch=3, nodes=FIRST, previous=0), 6).code == Code.RECORD_STALE
    hand_over(world, third, [6, 7, 8, 9])
    assert (world.query("/epoch/3").previous, world.query("/epoch/current").called_off) == (2, False)
    assert one(world, next_record(epoch=4, previous=1), 1).code == Code.RECORD_STALE
    assert one(world, next_record(epoch=4, previous=3), 1).code is None


def test_a_registry_that_called_off_a_whole_line_too_late_is_not_blocked(world: World) -> None:
    """Epochs 2 and 3 were in charge; the registry has taken back both and goes on after epoch 1."""
    hand_over(world)
    hand_over(world, next_record(epoch=3, nodes=FIRST, previous=2), [6, 7, 8, 9])
    fourth = next_record(epoch=4, previous=1)
    assert one(world, next_record(aborted=True), 1).code == Code.RECORD_STALE
    assert one(world, fourth, 1).code == Code.RECORD_STALE
    observe(world, next_record(epoch=3, nodes=FIRST, previous=2, aborted=True), [1, 2, 3, 4])
    assert one(world, next_record(epoch=4, previous=0), 1).code == Code.RECORD_STALE
    hand_over(world, fourth, [1, 2, 3, 4])
    assert world.query("/epoch/4").previous == 3


def test_the_first_epoch_is_never_called_off(world: World) -> None:
    assert one(world, epoch_record(5, aborted=True)).code == Code.RECORD_STALE


@pytest.mark.parametrize("when", ["announced", "joining"])
def test_the_owner_calls_it_off(world: World, when: str) -> None:
    record, off = next_record(notice_s=60), next_record(notice_s=60, aborted=True)
    announce(world, record)
    while phase(world) != when:
        world.block(step_ms=20_000)
    assert phase(world) == when
    assert observe(world, off, [1, 2, 3]) == [None] * 3
    assert phase(world) == when
    assert observe(world, off, [5]) == [None]
    assert phase(world) == ""
    assert world.query("/epoch/2").status == "aborted"
    (ended,) = world.query("/handovers")
    assert (ended.epoch, ended.outcome, ended.height) == (2, "aborted", world.height)
    assert ended.reason == f"called off by the registry's owner, while {when}"


def test_votes_of_a_committee_end_with_it(world: World) -> None:
    """A bit of party 1 of epoch 1 must not count as one of party 1 of epoch 2."""
    verifier = verifier_record()
    assert world.observe(verifier, [1, 2, 3]) == [None] * 3
    hand_over(world)
    assert one(world, verifier, 9).code is None
    assert world.refusal("/verifier/mock-google") == Code.VERIFIER_UNKNOWN
    assert observe(world, verifier, [6, 7, 8]) == [None] * 3
    assert world.query("/verifier/mock-google").version == 1


def test_members_of_both_committees_and_other_sizes(world: World) -> None:
    hand_over(world, next_record(nodes=[3, 4, 5, 6, 7, 8, 9, 10, 11]))
    assert world.query("/epoch/current").n == 9
    hand_over(world, next_record(epoch=3, nodes=[11, 3, 20, 21, 22, 23], previous=2), [3, 4, 5, 6, 7, 8, 9])
    assert [m.index for m in world.query("/epoch/3").members] == [1, 2, 3, 4, 5, 6]
    assert one(world, next_record(epoch=4, previous=1), 11).code == Code.RECORD_STALE


def test_the_same_members_again(world: World) -> None:
    finalized = []
    announce(world, next_record(nodes=FIRST))
    join(world, FIRST)
    while phase(world):
        finalized.append(world.block(step_ms=1_000))
    assert world.query("/epoch/current").epoch == 2
    assert finalized[-1].validator_updates == (), "nobody comes or goes"


def test_only_a_member_in_charge_observes(world: World) -> None:
    raw = raw_of(next_record())
    assert world.send(world.tx(6, observe=wire.Observe(record=raw))) == [Code.NOT_A_MEMBER]
    hand_over(world)
    later = raw_of(next_record(epoch=3, nodes=FIRST, previous=2))
    assert world.send(world.tx(1, observe=wire.Observe(record=later))) == [Code.NOT_A_MEMBER]
    assert world.send(world.tx(1, observe=wire.Observe(record=later), epoch=1)) == [Code.WRONG_EPOCH]
    assert world.send(world.tx(NEW[0], observe=wire.Observe(record=later))) == [None]
    finish(world)
