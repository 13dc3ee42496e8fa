"""The live picture of a run of chaos: lights, nodes, the newest figures. Lines alone when nobody watches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from authnet.output import Output
from localnet.chaos.lights import Light
from localnet.chaos.record import LOGINS, Record
from localnet.chaos.run import Outcome, Run

if TYPE_CHECKING:
    from rich.console import RenderableType

EVERY_S = 0.5
RECENT_S = 10.0


async def follow(run: Run, live: bool) -> Outcome:
    """Run it; redraw twice a second if `live`."""
    if not live:
        return await run.run()
    from rich.live import Live

    with Live(console=Output.console(stderr=True), auto_refresh=False, transient=True) as picture:
        async with anyio.create_task_group() as group:

            async def redraw() -> None:
                while True:
                    picture.update(draw(run), refresh=True)
                    await anyio.sleep(EVERY_S)

            group.start_soon(redraw)
            outcome = await run.run()
            group.cancel_scope.cancel()
    return outcome


def draw(run: Run) -> RenderableType:
    """One picture."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    lights = Table.grid(padding=(0, 2))
    for light in Light:
        broken, checks = run.record.lights.broken[light], run.record.lights.checks[light]
        colour = "red" if broken else "green" if checks else "dim"
        lights.add_row(Text("●", colour), light.value, f"{checks} checks", f"{broken} broken" if broken else "")
    return Group(
        Text(f"{run.record.now():6.1f} s  {run.now_doing}", "bold"), lights, Text(_pace(run.record)), _nodes(run)
    )


def _nodes(run: Run) -> RenderableType:
    from rich.text import Text

    heights = run.watch.heights
    shown = (f"node {index}: {heights.get(index, '-')}" for index in run.order.places.indexes)
    return Text("heights   " + "   ".join(shown), "dim")


def _pace(record: Record) -> str:
    since = record.now() - RECENT_S
    recent = [sample for sample in record.samples[-400:] if sample.end_s > since and sample.what in LOGINS]
    good = sum(not sample.code for sample in recent)
    return (
        f"logins in the last {RECENT_S:g} s: {good} good, {len(recent) - good} refused; {len(record.accounts)} accounts"
    )
