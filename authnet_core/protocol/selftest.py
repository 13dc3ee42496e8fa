"""What a self-test of a committee's shares found: as the keeper answers it and others show it.

Apart from `opening.py`, which finds it: that brings numpy along.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from authnet_core.errors import AuthnetError, Code

MAX_SAMPLE = 16
SAMPLE = 12


@dataclass(frozen=True, slots=True)
class SelfTest:
    """How `keys` sampled keys opened, each under one of `subsets`, k parties.

    `wrong`: keys that no k of the points open. `off`: members whose points do not fit. `silent`: members that did not
    answer. `lacking`: members that hold no share of some key. `untested`: keys with too few points to say.
    """

    epoch: int
    keys: int
    subsets: list[list[int]]
    wrong: list[int]
    off: list[int]
    silent: list[int]
    lacking: list[int]
    untested: list[int]

    @property
    def is_good(self) -> bool:
        """Whether every key that could be tried opened, and every point fits."""
        return not self.wrong and not self.off

    @property
    def is_whole(self) -> bool:
        """Whether another one would not say more."""
        return not self.silent and not self.untested

    @property
    def refusal(self) -> AuthnetError | None:
        """What ends a command: SELF_TEST_FAILED for keys that are wrong, TOO_FEW_NODES for keys that are untested."""
        if self.wrong:
            return AuthnetError(Code.SELF_TEST_FAILED, f"epoch {self.epoch}: {self}", nodes=self.off)
        return AuthnetError(Code.TOO_FEW_NODES, f"epoch {self.epoch}: {self}") if self.untested else None

    def __str__(self) -> str:
        opened = self.keys - len(self.wrong) - len(self.untested)
        size = len(self.subsets[0]) if self.subsets else 0
        parts = [f"{opened} sampled keys open under random {size}-subsets" if opened else ""]
        parts.append(f"keys {_listed(self.wrong)} DO NOT OPEN" if self.wrong else "")
        parts.append(f"too few points to try keys {_listed(self.untested)}" if self.untested else "")
        parts.append(f"points that do not fit: party {_listed(self.off)}" if self.off else "")
        parts.append(f"no answer: party {_listed(self.silent)}" if self.silent else "")
        parts.append(f"without shares of some: party {_listed(self.lacking)}" if self.lacking else "")
        return "; ".join(filter(None, parts)) or "no keys yet"


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))
