"""OBSERVE: the first epoch and verifiers, each refusal by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from authnet_core.errors import Code
from authnet_core.wire import authnet_pb2 as wire
from tests.unit.abci.world import World, account, consensus_key, epoch_record, pub, secret, verifier_record


def one(world: World, record: wire.Record, member: int = 1) -> Any:
    raw = record.SerializeToString(deterministic=True)
    return world.send_one(world.tx(member, observe=wire.Observe(record=raw)))


def test_n_minus_t_equal_observations_make_the_epoch(fresh: World) -> None:
    record = epoch_record(5)
    assert fresh.observe(record, [1, 2, 3]) == [None] * 3
    assert fresh.refusal("/epoch/current") == Code.NOT_FOUND
    assert fresh.observe(record, [4]) == [None]
    epoch = fresh.query("/epoch/current")
    assert (epoch.n, epoch.k, epoch.t, len(epoch.members)) == (5, 3, 1, 5)
    assert fresh.query("/status").epoch == 1


def test_one_vote_per_member_and_record(fresh: World) -> None:
    record = epoch_record(5)
    assert fresh.observe(record, [1]) == [None]
    raw = record.SerializeToString(deterministic=True)
    again = fresh.tx(1, observe=wire.Observe(record=raw), expiry=fresh.height + 7)
    assert fresh.send(again) == [Code.ALREADY_VOTED]


def test_a_vote_moves_with_what_the_member_sees(fresh: World) -> None:
    old, new = epoch_record(5), epoch_record(5)
    new.epoch.members[2].endpoint = "http://127.0.0.1:7777"
    assert fresh.observe(old, [1, 2, 3]) == [None] * 3
    assert fresh.observe(new, [1, 2, 3]) == [None] * 3
    assert fresh.observe(old, [4]) == [None]
    assert fresh.refusal("/epoch/current") == Code.NOT_FOUND
    assert fresh.observe(new, [4]) == [None]
    assert fresh.query("/epoch/1").members[2].endpoint == "http://127.0.0.1:7777"


def _member(place: int, **changes: Any) -> wire.Record:
    record = epoch_record(5)
    for name, value in changes.items():
        setattr(record.epoch.members[place], name, value)
    return record


@pytest.mark.parametrize(
    ("record", "code", "says"),
    [
        (epoch_record(5, epoch=2), Code.RECORD_REFUSED, "first epoch is 1"),
        (epoch_record(5, k=4), Code.RECORD_REFUSED, "n, k, t"),
        (epoch_record(5, t=0), Code.RECORD_REFUSED, "n, k, t"),
        (epoch_record(5, n=0, k=1, t=0), Code.RECORD_REFUSED, "n, k, t"),
        (epoch_record(5, members=epoch_record(5).epoch.members[:4]), Code.RECORD_REFUSED, "4 members"),
        (epoch_record(7), Code.RECORD_REFUSED, "5, 6 or 9"),
        (epoch_record(6), Code.GENESIS_MISMATCH, "genesis has 5 members"),
        (_member(1, index=3), Code.RECORD_REFUSED, "member 2 has index 3"),
        (_member(1, identity=bytes(33)), Code.RECORD_REFUSED, "member 2: the identity"),
        (_member(1, identity=pub(secret("id", 1))), Code.RECORD_REFUSED, "1 and 2 have the same identity"),
        (_member(1, consensus=b"short"), Code.RECORD_REFUSED, "member 2: the consensus"),
        (_member(1, consensus=consensus_key(1)), Code.RECORD_REFUSED, "same consensus"),
        (_member(1, peer_id="peer1"), Code.RECORD_REFUSED, "same peer_id"),
        (_member(1, endpoint=""), Code.RECORD_REFUSED, "member 2: endpoint"),
        (_member(1, endpoint="http://a b"), Code.RECORD_REFUSED, "member 2: endpoint"),
        (_member(3, identity=pub(secret("id", 77))), Code.GENESIS_MISMATCH, "member 4: not the identity"),
        (_member(3, consensus=consensus_key(77)), Code.GENESIS_MISMATCH, "member 4: not a validator"),
    ],
)
def test_a_first_epoch_that_is_not_genesis_is_refused_by_name(
    fresh: World, record: wire.Record, code: Code, says: str
) -> None:
    outcome = one(fresh, record)
    assert outcome.code == code
    assert says in outcome.log


def test_swapped_members_are_refused(fresh: World) -> None:
    record = epoch_record(5)
    first, second = record.epoch.members[0], record.epoch.members[1]
    first.identity, second.identity = second.identity, first.identity
    assert one(fresh, record).code == Code.GENESIS_MISMATCH


def test_other_sizes_start_only_when_genesis_allows_it(tmp_path: Path) -> None:
    world = World(tmp_path / "seven", n=7, params={"allow_forkable": 1})
    world.block()
    world.begin_epoch()
    assert world.query("/epoch/1").n == 7
    world.app.close()


def test_after_the_first_epoch_the_committee_stays(world: World) -> None:
    assert one(world, epoch_record(5), 5).code == Code.RECORD_STALE
    changed = one(world, _member(3, identity=pub(secret("id", 77))), 5)
    assert (changed.code, "member 4" in changed.log) == (Code.RECORD_STALE, True)
    later = one(world, epoch_record(5, epoch=2))
    assert later.code == Code.RECORD_STALE
    assert "follows epoch 0" in later.log


@pytest.mark.parametrize("record", [b"", b"\xff", b"\x0a\x02\x08\x01\x0a\x00", b"\x1a\x00"])
def test_bytes_that_are_no_record(fresh: World, record: bytes) -> None:
    assert fresh.send(fresh.tx(1, observe=wire.Observe(record=record))) == [Code.MALFORMED]


def test_a_record_has_a_limit(world: World) -> None:
    record = verifier_record(issuer="x" * 70_000).SerializeToString(deterministic=True)
    assert world.send(world.tx(1, observe=wire.Observe(record=record))) == [Code.TOO_LARGE]


def test_verifiers_come_after_the_first_epoch(fresh: World) -> None:
    assert one(fresh, verifier_record()).code == Code.WRONG_PHASE


def test_a_verifier_comes_into_force_and_is_updated(world: World) -> None:
    assert world.observe(verifier_record(), [1, 2, 3]) == [None] * 3
    assert world.refusal("/verifier/mock-google") == Code.VERIFIER_UNKNOWN
    assert world.observe(verifier_record(), [5]) == [None]
    assert world.query("/verifier/mock-google").version == 1
    newer = verifier_record(version=3, jwks_url="https://other.example/jwks", iat_limit_s=60)
    world.observe(newer)
    assert world.query("/verifier/mock-google").iat_limit_s == 60
    assert [v.name for v in world.query("/verifiers")] == ["mock-google"]
    assert one(world, newer, 5).code == Code.RECORD_STALE
    assert one(world, verifier_record(version=2)).code == Code.RECORD_STALE


@pytest.mark.parametrize(
    "changes",
    [
        {"name": ""},
        {"name": "Upper"},
        {"name": "a" * 65},
        {"issuer": ""},
        {"issuer": "with space"},
        {"jwks_url": "ftp://x/y"},
        {"jwks_url": "http://issuer.example/jwks"},
        {"jwks_url": "http://127.0.0.1.example.com/jwks"},
        {"jwks_url": "http://127.0.0.1@example.com/jwks"},
        {"jwks_url": "https://issuer.example/jwks\n"},
        {"id_claim": ""},
        {"session_claim": "a b"},
        {"case_rule": "upper"},
        {"algorithms": []},
        {"algorithms": ["none"]},
        {"algorithms": ["HS256"]},
        {"iat_limit_s": 0},
        {"iat_limit_s": 10**9},
        {"owner": "a b"},
        {"audiences": []},
        {"audiences": [wire.Audience(aud="a", mode="both")]},
        {"audiences": [wire.Audience(aud="", mode="bound")]},
        {"audiences": [wire.Audience(aud="a", mode="bound"), wire.Audience(aud="a", mode="two-round")]},
    ],
    ids=str,
)
def test_a_verifier_that_is_refused(world: World, changes: dict[str, Any]) -> None:
    assert one(world, verifier_record(**changes)).code == Code.RECORD_REFUSED


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080/jwks", "http://localhost/jwks", "http://[::1]:1/x"])
def test_http_on_loopback_is_for_development_chains(world: World, url: str) -> None:
    assert one(world, verifier_record(jwks_url=url)).code is None


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": "https://other.example"},
        {"id_claim": "email"},
        {"case_rule": "ascii-lower"},
        {"audiences": [wire.Audience(aud="torus", mode="bound")]},
    ],
    ids=str,
)
def test_what_decides_whose_account_it_is_never_changes(world: World, changes: dict[str, Any]) -> None:
    world.observe(verifier_record())
    assert one(world, verifier_record(version=2, **changes)).code == Code.RECORD_REFUSED


def test_an_audience_belongs_to_one_verifier_for_good(world: World) -> None:
    world.observe(verifier_record())
    world.observe(verifier_record(version=2, audiences=[wire.Audience(aud="authnet", mode="bound")]))
    thief = verifier_record(name="thief", audiences=[wire.Audience(aud="torus", mode="two-round")])
    assert one(world, thief).code == Code.RECORD_REFUSED
    back = verifier_record(version=3, audiences=[wire.Audience(aud="torus", mode="bound")])
    assert one(world, back).code == Code.RECORD_REFUSED


def test_a_removed_verifier_assigns_nothing_and_stays_removed(pooled: World) -> None:
    pooled.observe(verifier_record(version=2, removed=True))
    assert pooled.send(pooled.assign(1, account(1))) == [Code.VERIFIER_UNKNOWN]
    assert one(pooled, verifier_record(version=3)).code == Code.RECORD_REFUSED


def test_one_member_can_not_fill_blocks_with_changes_of_mind(tmp_path: Path) -> None:
    world = World(tmp_path / "app", params={"observe_quota": 3})
    world.block()
    world.begin_epoch()
    for version in (1, 2, 3):
        assert one(world, verifier_record(version=version)).code is None
    assert one(world, verifier_record(version=4)).code == Code.QUOTA_EXCEEDED
    assert one(world, verifier_record(version=3)).code == Code.ALREADY_VOTED
    world.block(step_ms=60_000)
    assert one(world, verifier_record(version=4)).code is None
    world.app.close()


def test_open_votes_are_bounded_and_freed(world: World) -> None:
    def named(number: int) -> wire.Record:
        audience = wire.Audience(aud=f"aud{number}", mode="bound")
        return verifier_record(name=f"v{number}", audiences=[audience])

    for number in range(64):
        assert one(world, named(number)).code is None
    assert one(world, named(64)).code == Code.QUOTA_EXCEEDED
    assert world.observe(named(0), [2, 3, 4]) == [None] * 3
    assert one(world, named(64)).code is None
