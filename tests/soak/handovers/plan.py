"""Which process of which member dies at which boundary of a hand-over: all pairs, in an order drawn from one seed.

A member of both committees is an old one and a new one: its death counts for both, and is told apart in the table.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.e2e.net import PROCESSES

BOUNDARIES = (
    "announced",
    "joining",
    "deal",
    "test",
    "ack",
    "ready",
    "frozen",
    "switching",
    "before A",
    "grace",
    "erasure",
)
"""In the order of a hand-over: its phases, with the steps of each resharing in the place of `resharing`."""
NODE = "node"
KINDS = (*PROCESSES, NODE)
OLD, NEW = "old", "new"
SIDES = (OLD, NEW)
Roles = Mapping[int, frozenset[str]]
"""Node -> committees of the hand-over that it is in."""


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    """One thing to be seen: `kind` of a member of the `side` committee dies at `boundary`."""

    boundary: str
    kind: str
    side: str


@dataclass
class Plan:
    """Cells still to do, and what was done."""

    seed: int
    boundaries: Sequence[str] = BOUNDARIES
    left: list[Cell] = field(default_factory=list)
    done: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """(boundary, kind, old|new|both) -> kills."""

    def __post_init__(self) -> None:
        self.random = Random(self.seed)
        self.left = [Cell(b, kind, side) for b in self.boundaries for kind in KINDS for side in SIDES]
        self.random.shuffle(self.left)

    def wants(self, boundary: str) -> int:
        """How many cells of a boundary are left."""
        return sum(cell.boundary == boundary for cell in self.left)

    def draw(self, boundary: str, roles: Roles) -> tuple[str, int] | None:
        """(kind, victim) of the next cell of `boundary` that these nodes can serve, None if there is none."""
        for cell in self.left:
            fit = sorted(node for node, sides in roles.items() if cell.side in sides)
            if cell.boundary == boundary and fit:
                return cell.kind, self.random.choice(fit)
        return None

    def count(self, boundary: str, kind: str, sides: frozenset[str]) -> None:
        """A kill was carried out."""
        self.left = [c for c in self.left if not (c.boundary == boundary and c.kind == kind and c.side in sides)]
        self.done[boundary, kind, side_name(sides)] += 1

    def put_off(self, boundary: str, kind: str, sides: frozenset[str]) -> None:
        """A kill that could not be carried out now, since the process is not there: others go first."""
        late = [c for c in self.left if (c.boundary, c.kind) == (boundary, kind) and c.side in sides]
        self.left = [c for c in self.left if c not in late] + late

    def table(self) -> str:
        """Kills by boundary and process: of old / new / members of both."""
        width = max(map(len, KINDS)) + 1
        lines = ["kills: old/new/both".ljust(20) + "".join(kind.rjust(width) for kind in KINDS)]
        for boundary in self.boundaries:
            counts = [[self.done[boundary, kind, side] for side in (*SIDES, "both")] for kind in KINDS]
            lines.append(boundary.ljust(20) + "".join("/".join(map(str, c)).rjust(width) for c in counts))
        return "\n".join(lines)

    def save(self, path: Path) -> None:
        """Write what was done, for a later run to go on from."""
        path.write_text(json.dumps([[*cell, count] for cell, count in sorted(self.done.items())]) + "\n")

    def resume(self, path: Path) -> None:
        """Take over what earlier runs did, if there is such a file."""
        if not path.exists():
            return
        for boundary, kind, side, count in json.loads(path.read_text()):
            self.count(boundary, kind, frozenset(SIDES if side == "both" else (side,)))
            self.done[boundary, kind, side] += int(count) - 1


def side_name(sides: frozenset[str]) -> str:
    """old, new or both."""
    return "both" if len(sides) > 1 else next(iter(sides))


def roles_of(old: Sequence[int], new: Sequence[int]) -> dict[int, frozenset[str]]:
    """Who is in which committee of a hand-over."""
    return {node: frozenset(side for side, nodes in ((OLD, old), (NEW, new)) if node in nodes) for node in {*old, *new}}
