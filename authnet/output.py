"""What every command prints: JSON or tables on stdout, progress and errors on stderr, and the exit code.

With --json stdout carries one object and nothing else. Tables and colour appear on a terminal; when
stdout is piped, notes are left out and rows are plain tab-separated text. rich is imported on first use.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from authnet_core.cures import cure
from authnet_core.errors import AuthnetError, Code

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

SCHEMA = 1
OK, REFUSED, USAGE, NETWORK_DOWN = 0, 1, 2, 3

_DOWN = frozenset({Code.NETWORK_DOWN, Code.TOO_FEW_NODES, Code.UNAVAILABLE, Code.TIMEOUT})
_USAGE = frozenset({Code.CONFIG, Code.FILE_MODE, Code.BAD_PARAMS})


def exit_code(code: Code) -> int:
    """1 refused, 2 the caller's or operator's mistake, 3 the network can not answer."""
    if code in _DOWN:
        return NETWORK_DOWN
    return USAGE if code in _USAGE else REFUSED


def error_object(error: AuthnetError) -> dict[str, Any]:
    """The `{"error": ...}` of interfaces.md section 4; nodes come from the error's `nodes` detail."""
    nodes = error.detail.get("nodes", ())
    return {
        "error": {
            "code": error.code.value,
            "message": error.message,
            "cure": cure(error.code),
            "nodes": [_node_entry(node) for node in nodes],
        }
    }


def _node_entry(node: Any) -> dict[str, Any]:
    if isinstance(node, Mapping):
        entry = {"index": node.get("index"), "code": str(node.get("code", ""))}
        return entry | ({"message": str(node["message"])} if node.get("message") else {})
    return {"index": getattr(node, "index", node), "code": str(getattr(node, "code", ""))}


@dataclass(frozen=True, slots=True)
class Output:
    """Where one command's results go. Made once per command from its --json flag."""

    json: bool = False

    @property
    def is_rich(self) -> bool:
        """People are looking: colour, tables and notes."""
        return not self.json and sys.stdout.isatty()

    @staticmethod
    def console(*, stderr: bool = False) -> Console:
        from rich.console import Console

        return Console(stderr=stderr, highlight=False, soft_wrap=True)

    def emit(self, value: Any) -> None:
        """One JSON object on one line of stdout."""
        import msgspec

        sys.stdout.write(msgspec.json.encode(value).decode() + "\n")
        sys.stdout.flush()

    def fields(self, title: str, fields: Mapping[str, Any]) -> None:
        """Name and value, one pair a line."""
        if not self.is_rich:
            for name, value in fields.items():
                sys.stdout.write(f"{name}\t{value}\n")
            return
        from rich.table import Table

        table = Table(title=title or None, title_justify="left", show_header=False, box=None, pad_edge=False)
        table.add_column(style="bold")
        table.add_column(overflow="fold")
        for name, value in fields.items():
            table.add_row(name, str(value))
        self.console().print(table)

    def result(self, fields: Mapping[str, Any]) -> None:
        """What a command found, as one object or one pair a line."""
        if self.json:
            self.emit(fields)
        else:
            self.fields("", fields)

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Rows under headings; tab-separated without headings when piped."""
        if not self.is_rich:
            for row in rows:
                sys.stdout.write("\t".join(str(cell) for cell in row) + "\n")
            return
        from rich.table import Table

        table = Table(title=title or None, title_justify="left", header_style="bold")
        for column in columns:
            table.add_column(column)
        for row in rows:
            table.add_row(*(str(cell) for cell in row))
        self.console().print(table)

    def note(self, text: str) -> None:
        """A remark for people, on stderr; nothing when piped or with --json."""
        if self.is_rich:
            self.console(stderr=True).print(text, style="dim", markup=False)

    def fail(self, error: AuthnetError, found: Mapping[str, Any] | None = None) -> NoReturn:
        """Print `error` as JSON on stdout or as text on stderr, and end with its exit code.

        `found`: what is known nevertheless; stdout has one object, so it goes into the same.
        """
        if self.json:
            self.emit({**(found or {}), **error_object(error)})
        else:
            self._print_error(error)
        raise SystemExit(exit_code(error.code))

    @staticmethod
    def _print_error(error: AuthnetError) -> None:
        # Texts may come from a node, so they never reach rich's markup.
        red, dim, plain = ("\x1b[31m", "\x1b[2m", "\x1b[0m") if sys.stderr.isatty() else ("", "", "")
        sys.stderr.write(f"{red}{error.code.value}{plain}: {printable(error.message)}\n")
        for node in error_object(error)["error"]["nodes"]:
            sentence = printable(node.get("message", ""))
            sys.stderr.write(f"  node {node['index']}: {node['code']} {sentence}".rstrip() + "\n")
        sys.stderr.write(f"{dim}{cure(error.code)}{plain}\n")


def printable(text: str, limit: int = 400) -> str:
    """`text` without control characters: a node must not drive the reader's terminal."""
    return "".join(c if c.isprintable() else "?" for c in text[:limit])


@contextmanager
def reporting(out: Output) -> Iterator[Output]:
    """Turn refusals inside the block into printed errors and exit codes."""
    try:
        yield out
    except AuthnetError as error:
        out.fail(error)
    except BrokenPipeError:
        sys.stderr.close()
        raise SystemExit(OK) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
