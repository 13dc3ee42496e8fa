"""docs/threat-model.md can not rot: every test it names exists, every row names one or says that there is none."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "threat-model.md").read_text()
NAMED = re.compile(r"`([\w/]+\.py)::(test_\w+)`")
NO_TEST = "**no test**"
ATTACKERS = {f"A{number}" for number in range(1, 10)}


def rows() -> list[list[str]]:
    """Cells of every row of every table, without heads and rules."""
    lines = [line for line in TEXT.splitlines() if line.startswith("| ")]
    found = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return [row for row in found if row[0] not in ("", "attacker")]


@cache
def names_in(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / "tests" / path).read_text())
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, kinds))


@pytest.mark.parametrize(("path", "test"), sorted(set(NAMED.findall(TEXT))))
def test_every_test_that_is_named_exists(path: str, test: str) -> None:
    assert (ROOT / "tests" / path).exists(), path
    assert test in names_in(path), f"{path} has no {test}"


def test_every_row_names_an_attacker_a_defence_and_a_test() -> None:
    assert len(rows()) > 90
    for row in rows():
        assert len(row) == 4, row
        assert row[0] in ATTACKERS | {"fault"}, row
        assert all(row), row
        assert NAMED.search(row[3]) or row[3] == NO_TEST, row


def test_every_attacker_has_its_row() -> None:
    assert {row[0] for row in rows()} >= ATTACKERS


def test_rows_without_a_test_are_few_and_say_so() -> None:
    without = [row for row in rows() if row[3] == NO_TEST]
    assert len(without) == 3, "write the test, or say here that there is one row more without"


def test_readers_find_the_page() -> None:
    for page in ("README.md", "ARCHITECTURE.md"):
        assert "docs/threat-model.md" in (ROOT / page).read_text(), page
