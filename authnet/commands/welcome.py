"""What `up` shows: one line per stage while it works, one block of URLs and things to try at the end."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from authnet.commands.options import DEFAULT_DIR
from authnet.output import Output

if TYPE_CHECKING:
    from rich.progress import Progress

    from localnet.lifecycle import Step

TRY = (
    ("look an address up before its owner ever logged in", "resolve mock-google bob@example.com"),
    ("log in as bob and see that it is his", "login mock-google bob@example.com"),
    ("lose a node", "localnet kill {}"),
    ("what is left", "localnet status"),
    ("bring it back", "localnet start {}"),
    ("let other nodes take over", "localnet rotate"),
    ("stop everything", "localnet down"),
)


class Board:
    """Live progress on a terminal, plain lines when piped, nothing with --json."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._live: Progress | None = None
        self._tasks: dict[str, Any] = {}

    def __enter__(self) -> Board:
        if not self._quiet and sys.stderr.isatty():
            from rich.progress import Progress, SpinnerColumn, TextColumn

            # stderr, as all progress: stdout belongs to the result.
            self._live = Progress(
                SpinnerColumn(finished_text="[green]✓"),
                TextColumn("{task.description}"),
                TextColumn("[dim]{task.fields[at]}"),
                console=Output.console(stderr=True),
            )
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, step: Step) -> None:
        if self._quiet:
            return
        done = step.state == "done"
        if self._live is None:
            if done:
                sys.stderr.write(f"{step.ms / 1000:6.1f} s  {step.text}\n")
            return
        if step.stage not in self._tasks:
            self._tasks[step.stage] = self._live.add_task(step.text, total=1, at="")
        self._live.update(
            self._tasks[step.stage],
            description=step.text,
            completed=int(done),
            at=f"{step.ms / 1000:.1f} s" if done else "",
        )


def welcome(out: Output, status: dict[str, Any]) -> None:
    """The block at the end of `up`, or the status as JSON."""
    if out.json:
        out.emit(status)
        return
    nodes = [node for node in status["nodes"] if node["party"]] or status["nodes"]
    first = nodes[0]
    urls = {
        "front": status["front"],
        "node list": f"{status['front']}/fnd/node-details",
        "trust root": f"{status['front']}/network.json",
        f"node {first['index']}": f"{first['api']}/sss/jrpc  (others: {', '.join(node['api'] for node in nodes[1:])})",
        "Ethereum": f"{status['eth']['rpc']}, registry {status['eth']['registry']}",
        "logs": f"{status['dir']}/node*/logs",
        "keys ready": _keys(status["pool"]),
        "can lose": f"{status['can_lose']['two_round']} node(s) for two-round logins, "
        f"{status['can_lose']['one_round']} for one-round logins",
    }
    out.fields(f"\nA network of {status['n']} nodes is up ({status['network_id']})", urls)
    where = _dir_option(status["dir"])
    out.table(
        "\nThings to try",
        ("", ""),
        [(f"{text}:", f"{_program()} {words.format(first['index'])}{where}") for text, words in TRY],
    )
    out.note("All processes run as one user here; a real node gives each its own. For development only.")


def _keys(pool: dict[str, int]) -> str:
    more = f", more are being made up to {pool['high']}" if pool["free"] < pool["high"] else ""
    return f"{pool['free']} free{more}"


def _program() -> str:
    """How the reader can call this command from here."""
    if shutil.which("authnet"):
        return "authnet"
    return os.path.relpath(Path(sys.executable).parent / "authnet")


def _dir_option(folder: str) -> str:
    path = Path(folder)
    if path == DEFAULT_DIR.resolve():
        return ""
    return f" --dir {os.path.relpath(path) if path.is_relative_to(Path.cwd()) else path}"
