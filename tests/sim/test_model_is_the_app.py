"""The simulator's chain and the application must not drift: the same blocks give the same session, block by block."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.sim.plan import Lie, Plan, Slow, plan_of
from tests.sim.real_chain import RealChain, comparable
from tests.sim.world import World

DIRECTED = (
    Plan(1, 5),
    Plan(2, 5, lies=(Lie(2, "one bad share"),)),
    Plan(3, 5, lies=(Lie(2, "bad share, no list, no FINAL"),), slow=(Slow(3, 0, 5_000),)),
    Plan(4, 5, lies=(Lie(2, "false complaint"),)),
    Plan(5, 5, lies=(Lie(2, "complains about itself"),)),
    Plan(6, 6, lies=(Lie(6, "hurried fallback"),)),
    Plan(7, 5, lies=(Lie(1, "bits of nobody"),)),
    Plan(8, 5, lies=(Lie(1, "early votes"),)),
    Plan(9, 9, lies=(Lie(1, "shared E"), Lie(2, "shared E"))),
    Plan(10, 9, lies=(Lie(1, "one bad share"), Lie(2, "one bad share"), Lie(3, "one bad share"))),
    Plan(11, 5, lies=(Lie(1, "silent from its list"), Lie(2, "silent from its list"))),
    Plan(12, 5, lies=(Lie(4, "complaint with altered D"),), without_ek=(5,)),
)
SLICE = [replace(plan_of(seed), left_out=()) for seed in range(1, 32, 2) if plan_of(seed).n < 9]


@pytest.mark.parametrize("plan", [*DIRECTED, *SLICE], ids=lambda plan: f"seed {plan.seed}")
def test_the_application_does_what_the_model_does(plan: Plan, tmp_path: Path) -> None:
    real = RealChain(tmp_path / "app", plan)
    world = World(plan, real.params, {party: real.secret(party) for party in real.params.parties})
    model_start = world.chain.height
    chain, ran = world.chain, world.chain.block
    try:

        def both(now_ms: int, txs: list[tuple[int, object]]) -> None:
            ran(now_ms, txs)  # type: ignore[arg-type]
            real.block(now_ms, txs)  # type: ignore[arg-type]
            mine, theirs = comparable(chain.view(), model_start), comparable(real.view(), real.start_height)
            assert mine == theirs, f"block {chain.height - model_start} of seed {plan.seed}"

        chain.block = both  # type: ignore[method-assign, assignment]
        world.run()
    finally:
        real.close()
    assert world.chain.phase in ("final", "abandoned")
