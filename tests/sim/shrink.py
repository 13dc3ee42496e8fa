"""Makes a failing plan as small as it goes, and tells it as a short trace."""

from collections.abc import Iterator

import msgspec
from msgspec.structs import replace
from rich.console import Console
from rich.table import Table

from tests.sim.invariants import check_all
from tests.sim.plan import Plan, Weather
from tests.sim.world import World

MAX_RUNS = 150
MAX_LINES = 80


def failure(plan: Plan) -> str | None:
    """How the plan fails, if it does: kind and text without the seed."""
    try:
        check_all(World(plan).run())
    except Exception as error:
        return f"{type(error).__name__}: {str(error).split(', seed')[0]}"
    return None


def smaller(plan: Plan) -> Iterator[Plan]:
    """The plan with one thing less, the largest steps first."""
    for name in ("lies", "absences", "crashes", "slow", "without_ek", "left_out"):
        items = getattr(plan, name)
        if len(items) > 1:
            yield replace(plan, **{name: ()})
        for at in range(len(items)):
            yield replace(plan, **{name: items[:at] + items[at + 1 :]})
    weather = plan.weather
    for calm in (
        Weather(),
        replace(weather, loss=0.0),
        replace(weather, double=0.0),
        replace(weather, delay_ms=(1, 5)),
    ):
        if calm != weather:
            yield replace(plan, weather=calm)
    if plan.rows > 1:
        yield replace(plan, rows=1)
    if plan.n > 5 and max((*plan.faulty, *(s.party for s in plan.slow), *(c.party for c in plan.crashes), 0)) <= 5:
        yield replace(plan, n=5)
    for at, lie in enumerate(plan.lies):
        if lie.since_ms:
            yield replace(plan, lies=(*plan.lies[:at], replace(lie, since_ms=0), *plan.lies[at + 1 :]))


def shrink(plan: Plan) -> tuple[Plan, str]:
    """The smallest plan found that still fails, and how it fails. Raises ValueError for one that does not."""
    reason = failure(plan)
    if reason is None:
        raise ValueError("this plan does not fail")
    runs, found = 0, True
    while found and runs < MAX_RUNS:
        found = False
        for candidate in smaller(plan):
            runs += 1
            if candidate.is_within_t == plan.is_within_t and (again := failure(candidate)):
                plan, reason, found = candidate, again, True
                break
            if runs >= MAX_RUNS:
                break
    return plan, reason


def encode_plan(plan: Plan) -> str:
    """One line for `--plan`."""
    return msgspec.json.encode(plan).decode()


def decode_plan(text: str) -> Plan:
    return msgspec.json.decode(text, type=Plan)


def tell(plan: Plan, reason: str, console: Console) -> None:
    """What is left of the plan, what happened, and the commands that do it again."""
    world = World(plan)
    world.notes = []
    try:
        check_all(world.run())
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
    facts = Table("what", "who and how", title=f"seed {plan.seed}: {reason}", title_justify="left")
    facts.add_row("committee", f"n = {plan.n}, k = {plan.committee.k}, t = {plan.committee.t}, {plan.rows} rows")
    for name in ("lies", "absences", "crashes", "slow", "without_ek", "left_out", "weather"):
        if value := getattr(plan, name):
            facts.add_row(name, str(value))
    console.print(facts)
    trace = Table("ms", "event", title="trace", title_justify="left")
    for time_ms, text in world.notes[:MAX_LINES]:
        trace.add_row(str(time_ms), text)
    console.print(trace)
    console.print(f"again: make sim SEED={plan.seed}", markup=False)
    console.print(
        f"this one: .venv/bin/python -m tests.sim.sweep --plan '{encode_plan(plan)}'", markup=False, soft_wrap=True
    )
