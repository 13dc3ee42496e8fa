"""How the demo speaks: chapters and results as they come, a table at the end; plain text when piped."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from authnet_core.errors import AuthnetError, Code

PIPED_WIDTH = 120


@dataclass(frozen=True, slots=True)
class Row:
    what: str
    result: str
    seconds: float


class Narrator:
    """Writes to stdout and remembers the rows."""

    def __init__(self) -> None:
        self._out = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else PIPED_WIDTH)
        self._rows: list[Row] = []
        self._chapters = 0
        self._ticked = False

    def chapter(self, text: str) -> None:
        self._clear()
        self._chapters += 1
        self._out.print(f"\n[bold]{self._chapters}. {text}[/bold]")

    def ticking(self, text: str) -> None:
        """A line that is written over, on a terminal only."""
        if sys.stdout.isatty():
            sys.stdout.write(f"\r\x1b[K   {text}")
            sys.stdout.flush()
            self._ticked = True

    def row(self, what: str, result: str, begun: float) -> None:
        """Something came true; `begun` is a time.monotonic()."""
        self._clear()
        row = Row(what, result, time.monotonic() - begun)
        self._rows.append(row)
        self._out.print(f"   {what}: {result}", end="", markup=False)
        self._out.print(f"  [dim]{_time(row.seconds)}[/dim]")

    def check(self, came_true: bool, claim: str) -> None:
        """Raises AuthnetError if what the story says is not so."""
        self._clear()
        if not came_true:
            raise AuthnetError(Code.INTERNAL, f"this did not come true: {claim}")
        self._out.print(f"   [green]✓[/green] {claim}")

    def failed(self, text: str) -> None:
        self._clear()
        self._out.print(f"   [red]✗[/red] {text}")

    def table(self, seconds: float) -> None:
        table = Table(title=f"\nAll of it, in {seconds:.0f} s", title_justify="left", header_style="bold")
        table.add_column("what")
        table.add_column("what happened", overflow="fold")
        table.add_column("time", justify="right")
        for row in self._rows:
            table.add_row(row.what, row.result, _time(row.seconds))
        self._out.print(table)

    def epilogue(self, leaving: str) -> None:
        """`leaving`: about nodes that will soon be gone, empty if there are none."""
        self._out.print("\nThe network stays up. End it: make down")
        if leaving:
            self._out.print(leaving, markup=False)

    def _clear(self) -> None:
        if self._ticked:
            sys.stdout.write("\r\x1b[K")
            self._ticked = False


def _time(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
