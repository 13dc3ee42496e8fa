"""`authnet localnet chaos`: break a local network on purpose and watch what must hold."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from authnet.commands.options import DEFAULT_DIR, Dir, Json, ask_daemon, local_network
from authnet.output import OK, REFUSED, Output, reporting
from authnet_core.errors import ConfigError

if TYPE_CHECKING:
    from localnet.chaos.run import Order, Outcome
    from localnet.chaos.schedule import Faulty, Kind
    from localnet.places import Places


def register(parent: typer.Typer) -> None:
    parent.command()(chaos)


def chaos(
    seed: Annotated[int, typer.Option(help="Draws the schedule.")] = 1,
    minutes: Annotated[float, typer.Option(min=0.1, help="About how long.")] = 5.0,
    faulty: Annotated[str, typer.Option(help="t, or beyond: t+1 to k-1 nodes at once.")] = "t",
    nodes: Annotated[int | None, typer.Option(help="Start a network of its own with so many nodes.")] = None,
    base_port: Annotated[int | None, typer.Option(help="First port of a network of its own.")] = None,
    liar: Annotated[Path | None, typer.Option(help="A program that lies in a keeper's place.")] = None,
    kind: Annotated[list[str] | None, typer.Option(help="Only faults of this kind; may be given again.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write the report there.")] = None,
    dir: Dir = DEFAULT_DIR,
    json: Json = False,
) -> None:
    """Break nodes by a schedule, with users beside it; ends with 1 if anything that must hold did not."""
    from localnet.chaos import own_network
    from localnet.chaos.run import Order
    from localnet.chaos.schedule import Wish

    with reporting(Output(json)) as out:
        folder = dir.resolve()
        mode, kinds, strategies = _mode(faulty), _kinds(kind), _strategies(liar)
        with own_network.running(folder, nodes, base_port):
            places = _first_committee(folder)
            ask_daemon(folder, "status")
            wish = Wish(seed, minutes, places.nodes, mode, places.proxied, strategies, kinds)
            outcome = _run(out, Order(places, wish, liar and liar.resolve()))
        _report(out, outcome, html)
    raise SystemExit(OK if outcome.ok else REFUSED)


def _first_committee(folder: Path) -> Places:
    """The network in `folder`, whose node J must be party J. Raises ConfigError when other nodes run."""
    places = local_network(folder)
    if places.indexes != list(places.committee(1)):
        raise ConfigError(f"--dir: the network in {folder} was rotated to other nodes: chaos needs the first ones")
    return places


def _mode(text: str) -> Faulty:
    from localnet.chaos.schedule import Faulty

    try:
        return Faulty(text)
    except ValueError:
        raise ConfigError(f"--faulty: {' or '.join(Faulty)}") from None


def _kinds(names: list[str] | None) -> tuple[Kind, ...]:
    from localnet.chaos.schedule import Kind

    try:
        return tuple(Kind(name) for name in names) if names else tuple(Kind)
    except ValueError:
        raise ConfigError(f"--kind: one of {', '.join(Kind)}") from None


def _strategies(liar: Path | None) -> tuple[str, ...]:
    """What the liar's program can do, by its own word."""
    if liar is None:
        return ()
    asked = subprocess.run([sys.executable, str(liar), "--list"], capture_output=True, text=True, check=False)
    if asked.returncode != 0 or not asked.stdout.split():
        raise ConfigError(f"--liar: {liar} --list names no strategies")
    return tuple(asked.stdout.split())


def _run(out: Output, order: Order) -> Outcome:
    """Show the schedule, then the run."""
    import anyio

    from authnet.commands.chaos_view import follow
    from localnet.chaos.run import Run

    # Progress goes to stderr, as everywhere: stdout belongs to the result.
    live = not out.json and sys.stderr.isatty()
    try:
        run = Run(order, _say)
    except ValueError as error:
        raise ConfigError(f"--kind: {error}") from None
    _say(f"seed {order.wish.seed}, {order.wish.nodes} nodes, {len(run.schedule)} steps:")
    for step in run.schedule:
        _say(str(step))
    return anyio.run(follow, run, live)


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _report(out: Output, outcome: Outcome, html: Path | None) -> None:
    from localnet.chaos import page, report

    if html is not None:
        html.write_text(page.render(outcome))
    if out.json:
        out.emit(report.as_object(outcome))
    else:
        found = report.as_object(outcome)
        rows = [("ok" if light["green"] else "BROKEN", light["text"], light["checks"]) for light in found["lights"]]
        out.table("Lights", ("", "", "checks"), rows)
        out.fields("", dict(report.figures(outcome)))
        if outcome.record.lights.violations:
            out.table(
                "What broke",
                ("at", "step", "what"),
                [(f"{v.at_s:.1f} s", v.step, f"{v.light.value}: {v.text}") for v in outcome.record.lights.violations],
            )
    if failure := report.first_failure(outcome):
        _say(failure)
    if html is not None:
        _say(f"report: {html}")
