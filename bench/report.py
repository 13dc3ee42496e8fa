"""The figures as a table beside the floors of the project, for people."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

Figures = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """One line: how to read the figure, and the floor it must hold (at n = 5)."""

    title: str
    read: Callable[[Figures], float]
    unit: str = ""
    at_least: float | None = None
    at_most: float | None = None

    def verdict(self, value: float) -> str:
        if self.at_least is not None:
            return "[green]held[/]" if value >= self.at_least else f"[red]below {self.at_least:g}[/]"
        if self.at_most is not None:
            return "[green]held[/]" if value <= self.at_most else f"[red]above {self.at_most:g}[/]"
        return ""

    @property
    def floor(self) -> str:
        if self.at_least is not None:
            return f">= {self.at_least:g} {self.unit}"
        return f"<= {self.at_most:g} {self.unit}" if self.at_most is not None else ""


def growth(figures: Figures) -> float:
    """A block with one ASSIGN at 100,000 accounts as a multiple of the one at 100."""
    found = figures["state_update_ms"]
    return float(found["100000"]["one_ms"] / found["100"]["one_ms"])


ROWS = (
    Row("keys made", lambda f: f["keygen"]["keys_s"], "keys/s", at_least=500),
    Row("CPU per key and node, keeper", lambda f: f["keygen"]["cpu_us_key_node"], "us"),
    Row("CPU per key and node, all processes", lambda f: f["keygen"]["all_cpu_us_key_node"], "us"),
    Row("look-up of a known account, p50", lambda f: f["resolve"]["p50"], "ms"),
    Row("look-up of a known account, p95", lambda f: f["resolve"]["p95"], "ms"),
    Row("look-ups of known accounts", lambda f: f["resolve"]["per_s"], "/s"),
    Row("new account, p50", lambda f: f["assign"]["p50"], "ms"),
    Row("new account, p95", lambda f: f["assign"]["p95"], "ms", at_most=1000),
    Row("new accounts", lambda f: f["assign"]["per_s"], "/s"),
    Row("login in two rounds, p50", lambda f: f["login_two"]["p50"], "ms", at_most=150),
    Row("login in two rounds, p95", lambda f: f["login_two"]["p95"], "ms"),
    Row("login in two rounds, p99", lambda f: f["login_two"]["p99"], "ms"),
    Row("logins in two rounds", lambda f: f["login_two"]["per_s"], "/s", at_least=40),
    Row("  of it the client's CPU", lambda f: f["login_two"]["client_cores"], "cores"),
    Row("login in one round, p50", lambda f: f["login_one"]["p50"], "ms"),
    Row("login in one round, p95", lambda f: f["login_one"]["p95"], "ms"),
    Row("logins in one round", lambda f: f["login_one"]["per_s"], "/s"),
    Row("  of it the client's CPU", lambda f: f["login_one"]["client_cores"], "cores"),
    Row("keys made, t liars convicted : all honest", lambda f: f["liars"]["ratio"], "x", at_least=0.6),
    Row("login in two rounds, p50, t nodes lie", lambda f: f["liars"]["login_two"]["p50"], "ms"),
    Row("  the same when all are honest", lambda f: f["liars"]["honest_login_two"]["p50"], "ms"),
    Row("ASSIGN in abci_app", lambda f: f["app"]["tx_s"], "tx/s"),
    Row("CometBFT's kvstore, same load", lambda f: f["baseline"]["kvstore_tx_s"], "tx/s"),
    Row("ratio of the two", lambda f: f["app"]["ratio"], "", at_least=0.4),
    Row("block with one ASSIGN, 100,000 : 100 accounts", growth, "x", at_most=2),
    Row("start-up", lambda f: f["startup_s"], "s", at_most=30),
    Row("idle network", lambda f: f["idle_cores"], "cores", at_most=0.5),
    Row("largest process", lambda f: max(f["rss_mb"].values()), "MB", at_most=150),
)


def show(results: list[Figures], console: Console) -> None:
    """One column per n."""
    table = Table(title="authnet bench", title_justify="left", header_style="bold")
    table.add_column("figure")
    for figures in results:
        table.add_column(f"n = {figures['n']}", justify="right")
    table.add_column("floor (n = 5)")
    table.add_column("")
    for row in ROWS:
        cells, verdict = [], ""
        for figures in results:
            try:
                value = row.read(figures)
            except (KeyError, ZeroDivisionError, ValueError):
                cells.append("-")
                continue
            cells.append(f"{value:,.3g} {row.unit}" if value < 100 else f"{value:,.0f} {row.unit}")
            if figures["n"] == 5 or not verdict:
                verdict = row.verdict(value)
        table.add_row(row.title, *cells, row.floor, verdict)
    console.print(table)
    _state_table(results[0], console)


def _state_table(figures: Figures, console: Console) -> None:
    found = figures.get("state_update_ms", {})
    if not found:
        return
    table = Table(title="FinalizeBlock and Commit by accounts in the state", title_justify="left", header_style="bold")
    columns = ("one ASSIGN", "its CPU", "a hundred", "their CPU")
    for column in ("accounts", *columns):
        table.add_column(column, justify="right")
    for accounts, row in found.items():
        names = ("one_ms", "one_cpu_ms", "hundred_ms", "hundred_cpu_ms")
        table.add_row(f"{int(accounts):,}", *(f"{row[name]:.2f} ms" for name in names))
    console.print(table)
