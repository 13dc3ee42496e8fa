"""The plan of a soak of hand-overs: every pair once, in an order that the seed decides, none forgotten."""

from __future__ import annotations

from pathlib import Path

from tests.soak.handovers.plan import BOUNDARIES, KINDS, NEW, NODE, OLD, Plan, roles_of

BOTH = frozenset((OLD, NEW))
DISJOINT = roles_of((1, 2, 3), (4, 5, 6))
OVERLAP = roles_of((1, 2, 3), (4, 2, 3))


def carry_out(plan: Plan, boundary: str, roles: dict[int, frozenset[str]]) -> list[tuple[str, int]]:
    """All that the plan has for these nodes at a boundary."""
    done = []
    while (drawn := plan.draw(boundary, roles)) is not None:
        done.append(drawn)
        plan.count(boundary, drawn[0], roles[drawn[1]])
    return done


def test_every_process_and_whole_nodes_of_either_committee_at_every_boundary() -> None:
    plan = Plan(1)
    for boundary in BOUNDARIES:
        done = carry_out(plan, boundary, DISJOINT)
        assert sorted(kind for kind, _ in done) == sorted(2 * KINDS)
        assert {kind for kind, victim in done if victim <= 3} == set(KINDS)
    assert not plan.left
    assert all(plan.done[b, kind, side] == 1 for b in BOUNDARIES for kind in KINDS for side in (OLD, NEW))


def test_a_member_of_both_is_an_old_and_a_new_one() -> None:
    plan = Plan(1, ["deal"])
    same = roles_of((1, 2), (1, 2))
    assert len(carry_out(plan, "deal", same)) == len(KINDS)
    assert not plan.left
    assert all(plan.done["deal", kind, "both"] == 1 for kind in KINDS)
    assert dict(OVERLAP) == {1: frozenset((OLD,)), 2: BOTH, 3: BOTH, 4: frozenset((NEW,))}


def test_the_seed_decides_who_dies_when() -> None:
    def order(seed: int) -> list[tuple[str, int]]:
        return carry_out(Plan(seed), "grace", DISJOINT)

    assert order(7) == order(7)
    assert order(7) != order(8)


def test_what_can_not_be_done_now_comes_last_and_stays_to_do() -> None:
    plan = Plan(3, ["ack"])
    drawn = plan.draw("ack", DISJOINT)
    assert drawn is not None
    plan.put_off("ack", drawn[0], DISJOINT[drawn[1]])
    assert plan.wants("ack") == 2 * len(KINDS)
    assert (plan.left[-1].kind, plan.left[-1].side in DISJOINT[drawn[1]]) == (drawn[0], True)
    assert plan.draw("deal", DISJOINT) is None


def test_a_later_run_goes_on_where_one_ended(tmp_path: Path) -> None:
    record = tmp_path / "record.json"
    first, second = Plan(1), Plan(2)
    second.resume(record)  # there is none yet
    assert len(second.left) == 2 * len(BOUNDARIES) * len(KINDS)
    for _ in range(2):
        first.count("deal", NODE, BOTH)
    first.count("ready", "cometbft", frozenset((OLD,)))
    first.save(record)
    second.resume(record)
    assert second.done == first.done
    assert sorted(second.left) == sorted(first.left)
    row = next(line for line in second.table().splitlines() if line.startswith("deal"))
    assert row.split()[-1] == "0/0/2"
