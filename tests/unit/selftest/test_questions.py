"""Questions to several members: only who was asked answers, once, and what is an answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import trio
import trio.testing

from p2p_dkg.network import questions as module
from p2p_dkg.network.frames import Frame, PointAsk
from p2p_dkg.network.questions import Questions

WAIT_S = 5.0


class Peer:
    def __init__(self) -> None:
        self.asked: list[int] = []

    def send(self, frame: Frame) -> None:
        assert isinstance(frame, PointAsk)
        self.asked.append(frame.id)


def asking(check: Callable[[Questions[str], dict[str, Peer], dict[str, str]], Awaitable[None]]) -> dict[str, str]:
    """Ask a and b; `check` runs while the question waits. What came of it, within the time that it may take."""
    questions, peers, found = Questions[str](WAIT_S), {"a": Peer(), "b": Peer()}, dict[str, str]()

    async def ask() -> None:
        found.update(await questions.ask(peers, lambda number: PointAsk(number, 1, (1,)), lambda said: said != "junk"))

    async def run() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await trio.testing.wait_all_tasks_blocked()
            await check(questions, peers, found)
        assert trio.current_time() <= WAIT_S

    trio.run(run, clock=trio.testing.MockClock(rate=0, autojump_threshold=0.05))
    return found


def test_all_answers_end_the_wait_and_a_late_one_changes_nothing() -> None:
    async def check(questions: Questions[str], peers: dict[str, Peer], found: dict[str, str]) -> None:
        (number,) = peers["a"].asked
        assert peers["b"].asked == [number]
        questions.take("a", number, "of a")
        questions.take("a", number, "another")
        questions.take("stranger", number, "of nobody")
        questions.take("b", number + 1, "to another question")
        questions.take("b", number, "of b")
        await trio.testing.wait_all_tasks_blocked()
        assert found == {"a": "of a", "b": "of b"}
        questions.take("b", number, "too late")

    assert asking(check) == {"a": "of a", "b": "of b"}


def test_who_says_nothing_or_junk_is_not_in_the_answer() -> None:
    async def check(questions: Questions[str], peers: dict[str, Peer], _: dict[str, str]) -> None:
        questions.take("b", peers["b"].asked[0], "junk")
        questions.take("a", peers["a"].asked[0], "of a")

    assert asking(check) == {"a": "of a"}


def test_numbers_are_no_count() -> None:
    """A restarted keeper must not take what was meant for a question of its former life."""
    seen = set()

    async def check(_: Questions[str], peers: dict[str, Peer], __: dict[str, str]) -> None:
        seen.add(peers["a"].asked[0])

    for _ in range(3):
        asking(check)
    assert len(seen) == 3


def test_only_so_many_questions_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_OPEN", 1)

    async def check(questions: Questions[str], _: dict[str, Peer], __: dict[str, str]) -> None:
        third = Peer()
        assert await questions.ask({"c": third}, lambda number: PointAsk(number, 1, (1,))) == {}
        assert third.asked == []

    assert asking(check) == {}
