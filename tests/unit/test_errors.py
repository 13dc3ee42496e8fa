"""Every code has its row in docs/errors.md, and numbers never move."""

from __future__ import annotations

import re
from pathlib import Path

from authnet_core.cures import cure
from authnet_core.errors import AuthnetError, Code, number

DOCS = Path(__file__).parents[2] / "docs" / "errors.md"


def test_every_code_has_one_row_with_cause_and_cure() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \| (.+?) \| (.+?) \|$", DOCS.read_text(), re.MULTILINE)
    assert [name for name, _, _ in rows] == [code.value for code in Code]
    assert [text for _, _, text in rows] == [cure(code) for code in Code]


def test_numbers_that_are_in_blocks_stay() -> None:
    assert (number(Code.DECODE), number(Code.BAD_SIGNATURE), number(Code.ACCOUNT_HAS_KEY)) == (1, 3, 21)


def test_a_refusal_without_text_still_says_its_code() -> None:
    assert str(AuthnetError(Code.POOL_EMPTY)) == "POOL_EMPTY"
