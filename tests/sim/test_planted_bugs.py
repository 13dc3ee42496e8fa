"""The test of the tests: each defence is taken out, and the simulator must notice within a few seeds.

The same plans pass with the defence in place: without that a failure would prove nothing.
"""

import re

import pytest

from tests.sim.defence import Defence
from tests.sim.defences import DEFENCES
from tests.sim.mutation import apply_edit
from tests.sim.run import run_plan

IDS = [defence.name for defence in DEFENCES]


def noticed(defence: Defence) -> str | None:
    """How the first of the plans fails that fails as it should."""
    other = ""
    for seed in range(defence.seeds):
        try:
            run_plan(defence.plan(seed))
        except Exception as error:
            text = f"{type(error).__name__}: {error}"
            if re.search(defence.says, text):
                return text
            other = text
    assert not other, f"noticed otherwise: {other}"
    return None


@pytest.mark.parametrize("defence", DEFENCES, ids=IDS)
def test_the_simulator_notices(defence: Defence, monkeypatch: pytest.MonkeyPatch) -> None:
    for edit in defence.edits:
        apply_edit(edit, monkeypatch)
    assert noticed(defence), f"{defence.name} can go without anybody noticing"


@pytest.mark.parametrize("defence", DEFENCES, ids=IDS)
def test_the_plan_passes_with_its_defence(defence: Defence) -> None:
    run_plan(defence.plan(0))
