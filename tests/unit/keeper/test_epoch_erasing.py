"""The end of an epoch on disk: what was sealed for it opens no more, for whoever has a copy, and never comes back."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from authnet_core.errors import AuthnetError
from p2p_dkg.keystore.sessions import BRIEF, RETAINED
from p2p_dkg.keystore.store import Keystore, open_keystore

BATCH, OTHER = b"b" * 32, b"o" * 32
ROWS = bytes(range(64)) * 3
EK = b"\x07" * 32


class PowerCut(Exception):
    """The process is gone at this very call."""


def reopen(folder: Path) -> Keystore:
    passphrase = folder / "passphrase"
    if not passphrase.exists():
        passphrase.write_text("x")
        passphrase.chmod(0o600)
    store = open_keystore(folder / "keeper", "test", passphrase, 2)
    store.bind_chain("test-1", 1)
    return store


def fill(store: Keystore, epoch: int = 1) -> bytes:
    """Something of each kind; returns the service key."""
    files = store.epoch(epoch)
    files.put_batch(BATCH, ROWS)
    files.put_batch(OTHER, ROWS[::-1])
    files.waiting.put({1: EK, 2: bytes(32)})
    service = files.service(create=True)
    assert service is not None
    return service.pub


def is_empty(store: Keystore, epoch: int = 1) -> bool:
    """Whether nothing of an epoch is served."""
    files = store.epoch(epoch)
    batches = [files.share(BATCH, 0), files.batch(OTHER)]
    return not any([*batches, files.held, files.waiting.secrets, files.service(), files.reveal()])


def test_an_erased_epoch_has_nothing_left(tmp_path: Path) -> None:
    store = reopen(tmp_path)
    fill(store)
    store.epoch(1).erase()
    for again in (store, reopen(tmp_path)):
        assert again.epoch(1).is_erased
        assert is_empty(again)
    left = {entry.name for entry in (tmp_path / "keeper" / "epochs" / "1").rglob("*")}
    assert left == {"batches", "erased"}


def test_the_other_epoch_keeps_its_shares(tmp_path: Path) -> None:
    """A node in both committees has both sets until the grace is over, and the new one after it."""
    store = reopen(tmp_path)
    fill(store, 1)
    service = fill(store, 2)
    store.epoch(1).erase()
    for again in (store, reopen(tmp_path)):
        assert is_empty(again, 1)
        assert again.epoch(2).batch(BATCH) == ROWS
        assert again.epoch(2).waiting.secrets == {1: EK, 2: bytes(32)}
        found = again.epoch(2).service()
        assert found is not None
        assert found.pub == service


@pytest.mark.parametrize("kind", ["batches", "service", "waiting"])
def test_a_copy_made_before_does_not_open_with_all_that_is_left(tmp_path: Path, kind: str) -> None:
    store = reopen(tmp_path)
    fill(store)
    folder, copy = tmp_path / "keeper" / "epochs" / "1", tmp_path / "copy"
    shutil.copytree(folder, copy)
    store.epoch(1).erase()
    (folder / "erased").unlink()  # the thief's, not the node's
    if kind == "batches":
        for entry in (copy / "batches").iterdir():
            shutil.copy(entry, folder / "batches" / entry.name)
    else:
        for entry in copy.glob("service" if kind == "service" else "waiting-*.box"):
            shutil.copy(entry, folder / entry.name)
    files = reopen(tmp_path).epoch(1)
    assert files.share(BATCH, 0) is files.batch(OTHER) is files.service() is None
    assert files.waiting.secrets == {}
    assert files.reveal() == []


def test_what_is_erased_is_never_stored_again(tmp_path: Path) -> None:
    """A machine that ends late must not bring shares back, in this life or the next one."""
    store = reopen(tmp_path)
    fill(store)
    store.epoch(1).erase()
    for again in (store, reopen(tmp_path)):
        files = again.epoch(1)
        with pytest.raises(RuntimeError):
            files.put_batch(BATCH, ROWS)
        with pytest.raises(RuntimeError):
            files.service(create=True)
        with pytest.raises(RuntimeError):
            files.waiting.put({3: EK})
        files.waiting.discard({1})
        files.drop_batch(BATCH)
        files.erase()
        assert is_empty(again)
    assert not list((tmp_path / "keeper" / "epochs" / "1").rglob("*.key"))


def test_an_epoch_that_was_never_filled_can_be_erased(tmp_path: Path) -> None:
    store = reopen(tmp_path)
    store.epoch(3).erase()
    assert is_empty(store, 3)
    assert is_empty(reopen(tmp_path), 3)


@contextmanager
def cut_at(step: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Die before the `step`-th call that changes the disk; how many there were is in the list."""
    passed = [0]

    def dying(call: Any) -> Any:
        def die(*args: Any, **kwargs: Any) -> Any:
            passed[0] += 1
            if passed[0] == step:
                raise PowerCut
            return call(*args, **kwargs)

        return die

    with monkeypatch.context() as patch:
        for name in ("rename", "unlink"):
            patch.setattr(Path, name, dying(getattr(Path, name)))
        for name in ("pwrite", "write", "fsync"):
            patch.setattr(os, name, dying(getattr(os, name)))
        yield passed


def test_a_power_cut_at_any_point_is_made_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step = 0
    while True:
        step += 1
        folder = tmp_path / str(step)
        folder.mkdir()
        store = reopen(folder)
        fill(store)
        try:
            with cut_at(step, monkeypatch):
                store.epoch(1).erase()
        except PowerCut:
            again = reopen(folder)
            if not again.epoch(1).is_erased:  # not begun: all of it is there
                assert again.epoch(1).batch(BATCH) == ROWS
                assert again.epoch(1).waiting.secrets == {1: EK, 2: bytes(32)}
                again.epoch(1).erase()
            assert is_empty(again)
            left = {entry.name for entry in (folder / "keeper" / "epochs" / "1").rglob("*")}
            assert left == {"batches", "erased"}
            continue
        break
    assert step > 20


def test_so_is_one_while_an_erasure_is_being_made_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for step in range(1, 30, 4):
        folder = tmp_path / str(step)
        folder.mkdir()
        store = reopen(folder)
        fill(store)
        with pytest.raises(PowerCut), cut_at(8, monkeypatch):
            store.epoch(1).erase()
        again = reopen(folder)
        try:
            with cut_at(step, monkeypatch):
                again.epoch(1)
        except PowerCut:
            assert is_empty(reopen(folder))


def test_a_power_cut_while_a_session_is_forgotten_leaves_nothing_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = 0
    while True:
        step += 1
        folder = tmp_path / str(step)
        folder.mkdir()
        store = reopen(folder)
        for group in (BRIEF, RETAINED):
            store.session(BATCH).put(group, "seed", b"s" * 32)
        try:
            with cut_at(step, monkeypatch):
                store.forget_session(BATCH)
        except PowerCut:
            again = reopen(folder)
            assert set(again.session(BATCH).load().values()) <= {b"s" * 32}
            again.forget_session(BATCH)
            assert not again.has_session(BATCH)
            continue
        break
    assert step > 5


def test_readers_and_writers_at_the_same_time_bring_nothing_back(tmp_path: Path) -> None:
    store = reopen(tmp_path)
    fill(store)
    files, stop = store.epoch(1), threading.Event()
    odd: list[BaseException] = []

    def read() -> None:
        while not stop.is_set():
            try:
                rows = files.batch(BATCH)
                files.service()
                files.waiting.secrets  # noqa: B018
                assert rows in (None, ROWS)
            except (AssertionError, OSError, AuthnetError) as error:
                odd.append(error)

    def write() -> None:
        while not stop.is_set():
            try:
                files.put_batch(OTHER, ROWS)
                files.waiting.put({9: EK})
            except RuntimeError:
                return

    threads = [threading.Thread(target=call) for call in (read, read, write)]
    for thread in threads:
        thread.start()
    files.erase()
    stop.set()
    for thread in threads:
        thread.join()
    assert not odd
    assert is_empty(store)
    assert is_empty(reopen(tmp_path))
