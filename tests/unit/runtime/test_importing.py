"""Importing large libraries: the garbage collector rests meanwhile, and what they change for all is put back."""

import gc
import subprocess
import sys

import pytest

from authnet_runtime.importing import quick_imports


def test_the_collector_rests_inside_and_what_is_there_afterwards_is_frozen() -> None:
    before = gc.get_freeze_count()
    try:
        with quick_imports():
            assert not gc.isenabled()
        assert gc.isenabled()
        assert gc.get_freeze_count() > before
    finally:
        gc.unfreeze()


def test_it_works_again_after_an_import_that_failed() -> None:
    try:
        with pytest.raises(ModuleNotFoundError), quick_imports():
            raise ModuleNotFoundError
        assert gc.isenabled()
    finally:
        gc.unfreeze()


def test_ethereum_libraries_leave_the_recursion_limit_as_it_was() -> None:
    """With theirs a nested answer of an Ethereum node ends the process instead of being refused."""
    code = """
import authnet_runtime.registry, msgspec
from authnet_core.json_text import NOT_JSON
try:
    msgspec.json.decode(b"[" * 100_000)
except NOT_JSON:
    print("refused")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "refused\n")
