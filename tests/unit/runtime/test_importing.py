"""The garbage collector rests while a process imports, and only then."""

import gc

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
