"""Questions to several members at once: who was asked, what they said, and when to wait no longer."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import trio

from p2p_dkg.network.frames import Frame

T = TypeVar("T")
MAX_OPEN = 512


class Line(Protocol):
    """The part of a link that is used here."""

    def send(self, frame: Frame) -> None:
        """Queue a frame."""


@dataclass(slots=True)
class _Question(Generic[T]):
    """One that is on its way. `waiting` holds peer ids."""

    waiting: set[str]
    fits: Callable[[T], bool]
    answers: dict[str, T]
    done: trio.Event


class Questions(Generic[T]):
    """Those of one kind that wait for answers, at most `MAX_OPEN`; each waits `wait_s` at most."""

    def __init__(self, wait_s: float) -> None:
        self._wait_s = wait_s
        self._open: dict[int, _Question[T]] = {}

    async def ask(
        self, lines: Mapping[str, Line], frame: Callable[[int], Frame], fits: Callable[[T], bool] = lambda _: True
    ) -> dict[str, T]:
        """Send `frame(number)` to peers by id; each one's first answer that `fits`, by peer id."""
        if not lines or len(self._open) >= MAX_OPEN:
            return {}
        # Drawn, not counted: what answers a question of this process's former life answers none of now.
        number = secrets.randbits(63)
        question = self._open[number] = _Question(set(lines), fits, {}, trio.Event())
        try:
            for line in lines.values():
                line.send(frame(number))
            with trio.move_on_after(self._wait_s):
                await question.done.wait()
        finally:
            del self._open[number]
        return question.answers

    def take(self, sender: str, number: int, answer: T) -> None:
        """A peer's answer; dropped if it was not asked, has answered, or says what is none."""
        question = self._open.get(number)
        if question is None or sender not in question.waiting or not question.fits(answer):
            return
        question.waiting.discard(sender)
        question.answers[sender] = answer
        if not question.waiting:
            question.done.set()
