"""A slice of the sweep, and schedules made by hand. `make sim` runs more; a failing seed is in the assertion."""

import pytest

from authnet_core.protocol.dkg.effects import Outcome
from authnet_core.protocol.dkg.messages import Message
from tests.sim.evil import spoilt
from tests.sim.invariants import check_all, check_keys, check_nonce_rule
from tests.sim.sweep import run_one
from tests.sim.world import NEVER, Fault, Weather, World


def quiet(seed: int, n: int) -> World:
    """A world without faults and with a good network."""
    world = World(seed, n)
    world.evil, world.faults = {}, []
    world.weather = Weather(0.0, 0.0, (1, 5))
    for node in world.nodes.values():
        node.crash_at_stores = frozenset()
    return world


def quiet_seed(n: int) -> int:
    """A seed whose committee has an encryption key everywhere."""
    return next(seed for seed in range(100) if all(World(seed, n).params.eks))


@pytest.mark.parametrize("start", range(0, 80, 16))
def test_sessions_end_as_they_must(start: int) -> None:
    for seed in range(start, start + 16):
        run_one(seed)


@pytest.mark.parametrize("n", [5, 6, 9])
def test_without_faults_everybody_deals_and_holds_and_nothing_is_left_to_erase(n: int) -> None:
    world = quiet(quiet_seed(n), n).run()
    check_all(world)
    assert world.chain.q == tuple(range(1, n + 1))
    assert all(node.session is not None and node.session.closed for node in world.nodes.values())
    assert {name for node in world.nodes.values() for name in node.disk} == {"shares"}


@pytest.mark.parametrize(("n", "step"), [*((5, step) for step in range(1, 19)), (6, 9), (9, 2), (9, 30)])
def test_a_crash_at_any_store_leaves_the_session_final_with_the_same_deal(n: int, step: int) -> None:
    for after in (False, True):
        world = quiet(quiet_seed(n), n)
        world.nodes[2].crash_at_stores, world.nodes[2].crash_after = frozenset({step}), after
        world.run()
        assert world.nodes[2].life == 2
        check_all(world)


@pytest.mark.parametrize("n", [5, 9])
def test_t_nodes_absent_from_the_start_make_fewer_keys_and_catch_up(n: int) -> None:
    world = quiet(quiet_seed(n), n)
    absent = list(world.params.parties)[: world.committee.t]
    world.faults = [Fault(party, 0, 15_000) for party in absent]
    world.run()
    check_all(world)
    assert world.chain.q == tuple(range(world.committee.t + 1, n + 1))
    assert {world.nodes[party].outcome for party in absent} == {Outcome.HELD}


@pytest.mark.parametrize("lost_ms", range(0, 2_000, 250))
def test_t_nodes_lost_in_the_middle_do_not_spoil_a_session_unless_a_list_is_missing(lost_ms: int) -> None:
    world = quiet(quiet_seed(5), 5)
    world.faults = [Fault(3, lost_ms, NEVER)]
    check_all(world.run())


def test_the_nonces_follow_the_rule() -> None:
    world = quiet(quiet_seed(5), 5)
    world.faults = [Fault(4, 0, NEVER)]
    world.run()
    check_keys(world)
    check_nonce_rule(world)


def test_a_relay_that_spoils_what_it_serves_is_found_out_and_harms_nobody() -> None:
    world = quiet(quiet_seed(5), 5)
    world.faults = [Fault(5, 0, 8_000)]

    def spoil(sender: int, _to: int, message: Message) -> Message:
        return spoilt(message) if sender == 1 and message.dealer != 1 else message

    world.tamper = spoil
    world.run()
    assert {blame.party for node in world.nodes.values() for blame in node.blamed} <= {1}
    assert world.nodes[5].outcome is Outcome.HELD


def test_the_same_seed_is_the_same_run() -> None:
    first, second = World(7, 5).run(), World(7, 5).run()
    assert [entry[:3] for entry in first.wire] == [entry[:3] for entry in second.wire]
    assert first.chain.root == second.chain.root
