"""Who is killed when: drawn once from a seed, so that a failing run can be run again."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from random import Random

from tests.e2e.net import PROCESSES

STEPS = ("deal", "certified", "opened")
"""Phases of a session in which a kill may be asked for."""
IN_SESSION = 24 / 50
"""Share of the kills that wait for a session; the acceptance asks for 20 of 50. Each kind has a fifth of all."""


@dataclass(frozen=True)
class Kill:
    """One kill -9."""

    number: int
    node: int
    process: str
    step: str
    """The session phase to wait for, empty for any time."""
    pause_s: float


def draw(kills: int, seed: int, nodes: int) -> list[Kill]:
    """`kills` kills of a network of `nodes`."""
    random = Random(seed)
    kinds = [*PROCESSES] * (kills // len(PROCESSES))
    kinds += random.sample(PROCESSES, kills - len(kinds))
    timed = int(kills * IN_SESSION + 0.999)
    steps = [STEPS[i % len(STEPS)] for i in range(timed)] + [""] * (kills - timed)
    random.shuffle(kinds)
    random.shuffle(steps)
    return [
        Kill(number, random.randint(1, nodes), kind, step, random.uniform(0, 0.6))
        for number, (kind, step) in enumerate(zip(kinds, steps, strict=True), start=1)
    ]


def counted(kills: list[Kill]) -> Counter[str]:
    """Kills by process."""
    return Counter(kill.process for kill in kills)
