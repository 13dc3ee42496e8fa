"""k-1 nodes that put all they ever saw on one table open no key and learn nothing about any; one node more opens all.

Whole simulated sessions, honest and not: members absent or crashing, a dealer that does not open its list (fallback),
bad shares with complaints and late recovery, false complaints. Liars are always in the coalition.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from random import Random

import pytest

from authnet_core.crypto.secp256k1 import Q, mul_secret, pub
from authnet_core.protocol.committee import Committee
from authnet_core.protocol.dkg import strings
from authnet_core.protocol.dkg.keys import leaves_of
from authnet_core.protocol.dkg.messages import Complain, Parts, Recovery
from tests.sim import coalition
from tests.sim.coalition import Span, Table, table_of
from tests.sim.plan import NEVER, Absence, Crash, Lie, Plan, Slow, plan_of
from tests.sim.world import World

SIZES = [5, 6, 9]


def keys_of(world: World) -> dict[int, bytes]:
    """position -> Y, as far as the chain has them."""
    pairs = leaves_of(b"".join(world.chain.chunks[c] for c in sorted(world.chain.chunks)))
    return {position: pair[:33] for position, pair in enumerate(pairs)}


def check_opens_nothing(world: World, members: tuple[int, ...]) -> None:
    table = table_of(world, members).open_all()
    where = f"members {members}, seed {world.seed}"
    assert len(members) < world.committee.k
    for dealer in set(table.picture.deals) - set(members):
        assert table.receivers_opened(dealer) <= set(members), f"shares of others of dealer {dealer}, {where}"
    if table.picture.q:
        assert table.determined() == ([], 0), where
    if keys := keys_of(world):
        assert table.opened_keys(keys) == {}, where


def coalitions(world: World, count: int) -> list[tuple[int, ...]]:
    """Some sets of k-1 members that have all liars among them; all of them if there are few."""
    liars = set(world.plan.liars)
    found = [c for c in combinations(world.params.parties, world.committee.k - 1) if liars <= set(c)]
    return Random(world.seed).sample(found, min(count, len(found)))


def check_some(world: World, count: int = 4) -> None:
    for members in coalitions(world, count):
        check_opens_nothing(world, members)


@pytest.mark.parametrize("n", SIZES)
def test_k_minus_one_open_nothing_and_k_open_every_key(n: int) -> None:
    world = World(Plan(1, n)).run()
    keys = keys_of(world)
    assert len(keys) == world.params.keys_of(world.chain.q)
    check_some(world, 10)
    for members in combinations(world.params.parties, world.committee.k):
        table = table_of(world, members).open_all()
        assert table.determined() == (list(keys), 0)
        opened = table.opened_keys(keys)
        assert {position: pub(secret.to_bytes(32, "big")) for position, secret in opened.items()} == keys
        if n == 9:
            break  # one of the 126 says it


@pytest.mark.parametrize("n", SIZES)
def test_absent_and_crashing_members_tell_no_more(n: int) -> None:
    t = Committee.of(n).t
    away = tuple(Absence(party, 0, 9_000) for party in range(1, t + 1))
    crashes = tuple(Crash(party, store, party % 2 == 0) for party in (t + 1, n) for store in (2, 7, 11))
    world = World(Plan(2, n, absences=away, crashes=crashes)).run()
    assert world.chain.phase == "final"
    assert sum(node.life for node in world.nodes.values()) > n
    check_some(world)


@pytest.mark.parametrize("n", SIZES)
def test_the_fallback_of_a_dealer_that_is_silent_tells_nothing_of_its_sharing(n: int) -> None:
    """The dealer dealt well and lies only by silence: its sharing must stay hidden from those at the table too."""
    silent = n
    world = World(Plan(3, n, lies=(Lie(silent, "keeps its list"),))).run()
    assert silent in world.chain.fallbacks
    assert world.chain.fallbacks[silent].scalars
    assert any(isinstance(sent.message, Parts) for sent in world.wire)
    others = [c for c in combinations(world.params.parties, world.committee.k - 1) if silent not in c]
    for members in others[:4]:
        check_opens_nothing(world, members)
    table = table_of(world, others[0]).open_all()
    assert table.picture.fallbacks[silent].seed, "the answers are part of what is known"


@pytest.mark.parametrize("n", SIZES)
def test_a_dealer_that_is_gone_when_its_list_is_wanted_is_not_betrayed(n: int) -> None:
    gone = next(
        world
        for start in range(250, 2_000, 125)
        if (world := World(Plan(4, n, absences=(Absence(n, start, NEVER),))).run()).chain.fallbacks
    )
    check_some(gone)


@pytest.mark.parametrize("n", SIZES)
def test_complaints_and_recovery_open_the_convicts_sharing_only(n: int) -> None:
    liar, victim = 1, 2
    slow = (Slow(victim, 3_000, 4_000),)
    world = World(Plan(5, n, lies=(Lie(liar, "one bad share"),), slow=slow)).run()
    assert any(isinstance(said, Complain) for _, _, said in world.submitted)
    assert any(isinstance(sent.message, Recovery) for sent in world.wire)
    with_victim = [c for c in coalitions(world, 99) if victim in c]
    for members in with_victim[:4]:
        check_opens_nothing(world, members)
        table = table_of(world, members).open_all()
        assert len(table.receivers_opened(liar)) >= world.committee.k, "the recoveries are on the table"


@pytest.mark.parametrize("strategy", ["false complaint", "complaint with another's ciphertext", "unasked recovery"])
@pytest.mark.parametrize("n", SIZES)
def test_liars_who_complain_without_cause_learn_nothing(n: int, strategy: str) -> None:
    liars = tuple(range(1, Committee.of(n).k))
    world = World(Plan(6, n, lies=tuple(Lie(party, strategy) for party in liars))).run()
    check_opens_nothing(world, liars)


@pytest.mark.parametrize("start", range(0, 60, 20))
def test_schedules_of_the_sweep(start: int) -> None:
    """Any plan: strategies of up to k-1 liars, crashes, losses. One coalition of each."""
    for seed in range(start, start + 20):
        check_some(World(plan_of(seed)).run(), 1)


# -- the test of the test: what a broken protocol would put on the table is noticed


def whole_table() -> tuple[World, Table]:
    """A quiet session and the table of k-1 dealers of it."""
    world = World(Plan(7, 5)).run()
    return world, table_of(world, (1, 2))


def test_one_more_share_of_every_honest_dealer_opens_all() -> None:
    """The classic answer to a complaint, "the dealer reveals", hands k-1 colluders the k-th share."""
    world, table = whole_table()
    keys = keys_of(world)
    for dealer in (3, 4, 5):
        shared = mul_secret(world.nodes[4].secret, table.picture.deals[dealer].e)
        table.shared.append((dealer, 4, shared))
    table.open_all()
    assert table.determined() == (list(keys), 0)
    assert table.receivers_opened(3) == {1, 2, 4}


def test_one_more_share_of_one_honest_dealer_is_noticed() -> None:
    world, table = whole_table()
    table.shared.append((3, 4, mul_secret(world.nodes[4].secret, table.picture.deals[3].e)))
    alone, further = table.open_all().determined()
    assert len(alone) + further == world.params.rows


def test_a_mask_used_under_two_challenges_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(Plan(3, 5, lies=(Lie(5, "keeps its list"),))).run()
    table = table_of(world, (1, 2)).open_all()
    first = table.picture.fallbacks[5]
    once = table._known_of(5)
    other = replace(first, seed=strings.fallback_seed(world.params.sid, 5, [(1, bytes(32))]))
    again = replace(table, picture=replace(table.picture, fallbacks={5: other}))

    def both(dealer: int) -> Span:
        span = again_known(dealer)
        if dealer == 5:
            for vector in once._pivots.values():
                span.add(vector)
        return span

    again_known = again._known_of
    assert again.determined() == ([], 0), "either challenge alone tells nothing"
    monkeypatch.setattr(again, "_known_of", both)
    alone, further = again.determined()
    assert len(alone) + further == 1


def test_more_keys_than_honest_dealers_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """m = |Q| - t instead of |Q| - (k-1): the keys of a session would depend on each other."""
    world, table = whole_table()
    table.open_all()
    assert table.determined() == ([], 0)
    monkeypatch.setattr(coalition, "outputs", lambda params, q: len(q) - params.committee.t)
    alone, further = table.determined()
    assert (alone, further) == ([], world.params.rows)


def test_a_seed_off_a_disk_opens_that_dealers_ciphertexts_and_no_others() -> None:
    _, table = whole_table()
    table.ek_secrets.clear()
    table.open_all()
    assert table.receivers_opened(1) == table.receivers_opened(2) == {1, 2, 3, 4, 5}
    assert table.receivers_opened(3) <= {1, 2}, "what members stored of it"


def test_the_span_knows_what_follows() -> None:
    span = Span()
    assert span.add([1, 2, 3])
    assert span.add([0, 1, Q - 1])
    assert not span.add([2, 5, 5])
    assert any(span.reduced([0, 0, 1]))
