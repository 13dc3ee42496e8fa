"""A slice of the sweep, and schedules made by hand. `make sim` runs more; a failing seed is in the assertion."""

import pytest
from msgspec.structs import replace

from authnet_core.protocol.dkg.effects import Outcome
from authnet_core.protocol.dkg.messages import Parts, Recovery
from tests.sim.plan import NEVER, Absence, Crash, Lie, Plan, Slow, Weather, all_pairs, plan_of
from tests.sim.run import run_one, run_plan
from tests.sim.strategies import RECOVERED, STRATEGIES


@pytest.mark.parametrize("start", range(0, 120, 10))
def test_sessions_end_as_they_must(start: int) -> None:
    for seed in range(start, start + 10):
        run_one(seed)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_each_strategy_is_followed_and_does_no_harm(strategy: str) -> None:
    """In a storm, so that much is relayed, and with a victim that complains late, so that there is a recovery."""
    plan = Plan(1, 5, 1, (Lie(1, strategy),), slow=(Slow(2, 0, 5_000),), weather=Weather(0.3, 0.0, (1, 300)))
    deviated = run_plan(plan).liars[1].deviated
    assert deviated - {"deal"} if strategy in RECOVERED else deviated


@pytest.mark.parametrize("n", [5, 6, 9])
def test_without_faults_everybody_deals_and_holds_and_nothing_is_left_to_erase(n: int) -> None:
    world = run_plan(Plan(0, n))
    assert world.chain.q == tuple(range(1, n + 1))
    assert all(node.session is not None and node.session.closed for node in world.nodes.values())
    assert {name for node in world.nodes.values() for name in node.disk} == {"shares"}
    assert not world.chain.fallbacks
    assert not world.chain.complaints


@pytest.mark.parametrize(("n", "step"), [*((5, step) for step in range(1, 19)), (6, 9), (9, 2), (9, 30)])
def test_a_crash_at_any_store_leaves_the_session_final_with_the_same_deal(n: int, step: int) -> None:
    for after in (False, True):
        world = run_plan(Plan(0, n, crashes=(Crash(2, step, after),)))
        assert world.nodes[2].life == 2


@pytest.mark.parametrize("step", range(1, 25, 2))
@pytest.mark.parametrize("after", [False, True])
def test_a_crash_in_the_fallback_and_in_a_recovery_uses_no_mask_twice(step: int, after: bool) -> None:
    lies = (Lie(3, "bad share, no list, no FINAL"),)
    world = run_plan(Plan(step, 5, lies=lies, slow=(Slow(4, 0, 5_000),), crashes=(Crash(4, step, after),)))
    assert world.chain.fallbacks[3].seed
    assert world.nodes[4].outcome is Outcome.HELD


@pytest.mark.parametrize("n", [5, 9])
def test_t_nodes_absent_from_the_start_make_fewer_keys_and_catch_up(n: int) -> None:
    t = Plan(0, n).committee.t
    world = run_plan(Plan(0, n, absences=tuple(Absence(party, 0, 15_000) for party in range(1, t + 1))))
    assert world.chain.q == tuple(range(t + 1, n + 1))
    assert {world.nodes[party].outcome for party in range(1, t + 1)} == {Outcome.HELD}


@pytest.mark.parametrize("lost_ms", range(0, 2_000, 250))
def test_t_nodes_lost_in_the_middle_do_not_spoil_a_session(lost_ms: int) -> None:
    run_plan(Plan(0, 5, absences=(Absence(3, lost_ms, NEVER),)))


@pytest.mark.parametrize("away_ms", [0, 150])
@pytest.mark.parametrize("strategies", [("keeps its list",), ("one bad share", "keeps its list")])
def test_who_was_away_gets_its_keys_from_the_fallback_and_a_recovery(strategies: tuple[str, ...], away_ms: int) -> None:
    """Party 2 is also the one that the liar cheats."""
    lies = tuple(Lie(1, strategy) for strategy in strategies)
    world = run_plan(Plan(away_ms, 9, 1, lies, (Absence(2, away_ms, 15_000),)))
    assert world.chain.fallbacks[1].seed
    assert world.nodes[2].outcome is Outcome.HELD
    complaints = set(world.chain.complaints)
    assert complaints == ({(1, 2)} if len(strategies) == 2 else set())


def test_a_dealer_that_keeps_its_list_costs_no_key() -> None:
    world = run_plan(Plan(0, 5, lies=(Lie(2, "keeps its list"),)))
    assert world.chain.q == (1, 2, 3, 4, 5)
    assert set(world.chain.fallbacks) == {2}
    assert any(isinstance(sent.message, Parts) for sent in world.wire)


def test_a_receiver_that_was_cheated_and_complained_late_gets_its_share() -> None:
    world = run_plan(Plan(0, 5, lies=(Lie(2, "one bad share"),), slow=(Slow(3, 0, 4_000),)))
    verdict = world.chain.complaints[2, 3]
    assert verdict.upheld
    assert verdict.height > world.chain.q_height
    assert 2 in world.chain.q
    assert {sent.to for sent in world.wire if isinstance(sent.message, Recovery)} == {3}


def test_a_complaint_in_time_keeps_the_dealer_out_and_nobody_waits_for_it() -> None:
    world = run_plan(Plan(0, 5, lies=(Lie(2, "one bad share"),)))
    assert world.chain.q == (1, 3, 4, 5)
    assert world.blocks[world.chain.q_height - 2][0] < 2_000


def test_more_than_t_silent_nodes_abandon_and_reveal_nothing() -> None:
    world = run_plan(Plan(0, 5, lies=(Lie(1, "silent from its bundle"), Lie(2, "silent from its bundle"))))
    assert world.chain.phase == "abandoned"
    assert {node.outcome for node in world.honest} == {Outcome.ABANDONED}


def test_a_relay_that_spoils_what_it_serves_is_found_out_and_harms_nobody() -> None:
    lies = (Lie(1, "spoils what it sends on"),)
    world = run_plan(Plan(3, 9, lies=lies, absences=(Absence(9, 0, 8_000),)))
    assert world.nodes[9].outcome is Outcome.HELD


def test_dealers_that_are_left_out_are_not_waited_for() -> None:
    world = run_plan(Plan(0, 5, lies=(Lie(4, "acks everything"),), left_out=(4,)))
    assert world.chain.q == (1, 2, 3, 5)
    assert world.blocks[world.chain.q_height - 2][0] < 2_000


def test_the_same_plan_is_the_same_run() -> None:
    plan = replace(plan_of(7), n=5)
    first, second = run_plan(plan), run_plan(plan)
    assert first.wire == second.wire
    assert first.chain.root == second.chain.root


def test_any_ten_thousand_seeds_have_every_pair_of_subset_and_strategy() -> None:
    pairs = set(all_pairs())
    assert len(pairs) == (5 + 6 + 36) * len(STRATEGIES)
    assert len(pairs) <= 5_000
    assert len(STRATEGIES) >= 60
