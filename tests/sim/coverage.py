"""Which pairs of t-subset and strategy a range of seeds has run, as a table."""

from collections import Counter
from collections.abc import Iterable

from rich.table import Table

from authnet_core.protocol.committee import SUPPORTED_SIZES
from tests.sim.plan import Pair, Plan, all_pairs, plan_of
from tests.sim.strategies import STRATEGIES


def pairs_of(plan: Plan) -> set[Pair]:
    """The pairs of a plan: its faulty set is a t-subset of liars, and one of them at least follows the strategy."""
    if plan.absences or len(plan.liars) != plan.committee.t:
        return set()
    return {(plan.n, plan.liars, lie.strategy) for lie in plan.lies}


def count_pairs(seeds: Iterable[int]) -> Counter[Pair]:
    """How many of the seeds have each pair; pairs that none has count 0."""
    counts: Counter[Pair] = Counter(dict.fromkeys(all_pairs(), 0))
    for seed in seeds:
        counts.update(pairs_of(plan_of(seed)))
    return counts


def uncovered(counts: Counter[Pair]) -> list[Pair]:
    return [pair for pair, count in counts.items() if count == 0]


def coverage_table(counts: Counter[Pair]) -> Table:
    """Strategy by size: seeds, least seeds of a subset, and how many subsets have none."""
    table = Table(title="seeds a strategy (least of any t-subset; subsets without one)", title_justify="left")
    table.add_column("strategy")
    for n in SUPPORTED_SIZES:
        table.add_column(f"n = {n}", justify="right")
    for strategy in STRATEGIES:
        cells = []
        for n in SUPPORTED_SIZES:
            subsets = [count for pair, count in counts.items() if pair[0] == n and pair[2] == strategy]
            missing = sum(count == 0 for count in subsets)
            cells.append(
                f"{sum(subsets)} ({min(subsets)}{f'; {missing} of {len(subsets)} missing' if missing else ''})"
            )
        table.add_row(strategy, *cells)
    return table
