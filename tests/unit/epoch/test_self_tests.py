"""When the epoch manager asks its keeper to test the shares, and what its status says of it."""

from __future__ import annotations

from typing import Any

import trio
import trio.testing

from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.views import EpochView
from epoch_manager.selftest import AGAIN_S, EMPTY_S, LOOK_S, SETTLE_S, TRIES, SelfTests
from epoch_manager.status import OFF_MEMBERS, WRONG_KEYS, Status

HOUR = 3600.0
GOOD = {
    "epoch": 2, "keys": 12, "subsets": [[1, 2, 3]] * 12, "wrong": [], "off": [], "silent": [], "lacking": [],
    "untested": [],
}  # fmt: skip


class Node:
    """A chain and a keeper that answers with what is set, and notes when it was asked about which epoch."""

    def __init__(self, **answer: Any) -> None:
        self.epoch, self.is_away = 2, False
        self.answer: dict[str, Any] | Code = GOOD | answer
        self.asked: list[tuple[float, int]] = []
        self.status = Status("0x", 1, "0x")

    async def query(self, path: str, _: type) -> Any:
        assert path == "/epoch/current"
        await trio.lowlevel.checkpoint()
        if self.is_away:
            raise AuthnetError(Code.UNAVAILABLE, "away")
        return EpochView(epoch=self.epoch, n=5, k=3, t=1, status="serving", members=(), committee_hash="")

    async def call(self, method: str, params: dict[str, Any], timeout: float) -> Any:
        assert method == "self_test"
        self.asked.append((trio.current_time(), params["epoch"]))
        if isinstance(self.answer, Code):
            raise AuthnetError(self.answer, "no")
        return self.answer | {"epoch": params["epoch"]}

    def live(self, *steps: tuple[float, dict[str, Any]]) -> dict[str, Any]:
        """For so many seconds, with these things set before, step after step. The status at the end."""

        async def run() -> None:
            anything: Any = self
            async with trio.open_nursery() as nursery:
                nursery.start_soon(SelfTests(anything, anything, self.status).run)
                for seconds, changes in steps:
                    for name, value in changes.items():
                        setattr(self, name, value)
                    await trio.sleep(seconds)
                nursery.cancel_scope.cancel()

        trio.run(run, clock=trio.testing.MockClock(autojump_threshold=0))
        return self.status.as_json()


def test_an_epoch_is_tested_once_soon_after_it_took_over() -> None:
    node = Node()
    shown = node.live((10 * HOUR, {}))
    ((at, epoch),) = node.asked
    assert epoch == 2
    assert SETTLE_S <= at <= SETTLE_S + LOOK_S
    assert shown["self_test"] == GOOD
    assert shown["problems"] == []


def test_the_next_epoch_is_tested_too_and_the_former_s_result_goes() -> None:
    node = Node(wrong=[7])
    shown = node.live((30, {}), (30, {"epoch": 3, "answer": GOOD}))
    assert [epoch for _, epoch in node.asked] == [2, 3]
    assert (shown["self_test"]["epoch"], shown["self_test"]["wrong"], shown["problems"]) == (3, [], [])


def test_another_epoch_s_result_is_not_shown_as_this_one_s() -> None:
    node = Node(off=[2])
    shown = node.live((60, {}), (60, {"epoch": 3, "answer": Code.NOT_A_MEMBER}))
    assert (shown["self_test"], shown["problems"]) == (None, [])
    assert OFF_MEMBERS._value.get() == 0


def test_wrong_keys_and_members_that_are_off_are_a_problem_and_in_the_metrics() -> None:
    node = Node(wrong=[7, 9], off=[4])
    (problem,) = node.live((60, {}))["problems"]
    assert (problem["where"], problem["code"]) == ("self-test", "SELF_TEST_FAILED")
    assert "keys 7, 9 DO NOT OPEN" in problem["message"]
    assert "party 4" in problem["message"]
    assert (WRONG_KEYS._value.get(), OFF_MEMBERS._value.get()) == (2, 1)
    shown = node.live((60, {"answer": GOOD}))
    assert (shown["problems"], WRONG_KEYS._value.get(), OFF_MEMBERS._value.get()) == ([], 0, 0)


def test_silent_members_are_asked_again_but_not_for_ever() -> None:
    node = Node(silent=[5])
    shown = node.live((10 * HOUR, {}))
    assert len(node.asked) == TRIES
    pauses = [after - before for (before, _), (after, _) in zip(node.asked, node.asked[1:], strict=False)]
    assert all(AGAIN_S * 2**at <= pause <= AGAIN_S * 2**at + 2 * LOOK_S for at, pause in enumerate(pauses))
    assert shown["self_test"]["silent"] == [5]
    assert shown["problems"] == []  # who is down is shown elsewhere; the keys open


def test_a_member_that_comes_back_ends_it() -> None:
    node = Node(silent=[5])
    shown = node.live((30, {}), (10 * HOUR, {"answer": GOOD}))
    assert len(node.asked) == 2
    assert shown["self_test"]["silent"] == []


def test_too_few_points_are_asked_for_again() -> None:
    node = Node(untested=[1], silent=[3, 4, 5])
    node.live((AGAIN_S + 3 * LOOK_S, {}))
    assert len(node.asked) == 2


def test_without_keys_it_waits_until_there_are_some() -> None:
    node = Node(keys=0, subsets=[])
    shown = node.live((HOUR, {}))
    assert shown["self_test"] is None
    assert HOUR / (EMPTY_S + 2 * LOOK_S) <= len(node.asked) <= HOUR / EMPTY_S + 1
    node.asked.clear()
    assert node.live((HOUR, {"answer": GOOD}))["self_test"] == GOOD
    assert len(node.asked) == 1


def test_a_keeper_that_refuses_or_a_chain_that_is_away_is_no_problem_of_the_self_test() -> None:
    node = Node()
    shown = node.live((HOUR, {"answer": Code.NOT_A_MEMBER}), (HOUR, {"is_away": True}))
    assert (shown["self_test"], shown["problems"]) == (None, [])
    assert len(node.asked) <= HOUR / EMPTY_S + 1
    assert node.live((HOUR, {"answer": GOOD, "is_away": False}))["self_test"] == GOOD


def test_before_the_first_committee_nothing_is_asked() -> None:
    node = Node()
    node.live((HOUR, {"epoch": 0}))
    assert node.asked == []
