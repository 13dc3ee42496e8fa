"""What is burnt leaves the disk and is served no more; threads that share the keystore do not break its files."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from authnet_core.protocol.dkg.effects import Shelf, Store
from authnet_core.protocol.dkg.records import KEYS, SHARES
from p2p_dkg.keystore.store import Keystore, open_keystore
from p2p_dkg.runner.records import SessionShelves

SID, OTHER = bytes(range(32)), bytes(32)


@pytest.fixture
def keystore(tmp_path: Path) -> Keystore:
    passphrase = tmp_path / "passphrase"
    passphrase.write_text("x")
    passphrase.chmod(0o600)
    return reopen(tmp_path)


def reopen(tmp_path: Path) -> Keystore:
    store = open_keystore(tmp_path / "keeper", "test", tmp_path / "passphrase", 2)
    store.bind_chain("test-1", 1)
    return store


def shelves(keystore: Keystore, sid: bytes = SID) -> SessionShelves:
    return SessionShelves(keystore.session(sid), keystore.epoch(1))


def test_the_batch_of_a_burnt_session_leaves_the_disk(tmp_path: Path, keystore: Keystore) -> None:
    for sid in (SID, OTHER):
        shelves(keystore, sid).store([Store(SHARES, os.urandom(64), Shelf.KEPT)])
    assert keystore.epoch(1).share(SID, 0) is not None
    for _ in range(2):
        shelves(keystore).erase(Shelf.KEPT)
    for store in (keystore, reopen(tmp_path)):
        assert store.epoch(1).held == {OTHER}
        assert not store.epoch(1).holds(SID)
        assert store.epoch(1).share(SID, 0) is None
        assert store.epoch(1).share(OTHER, 0) is not None
        assert SHARES not in shelves(store).load()
    assert not list((tmp_path / "keeper").rglob(SID.hex()))


def test_other_shelves_leave_the_batch_alone(keystore: Keystore) -> None:
    mine = shelves(keystore)
    mine.store([Store(SHARES, bytes(64), Shelf.KEPT), Store(KEYS, b"keys", Shelf.RETAINED)])
    mine.erase(Shelf.BRIEF)
    mine.erase(Shelf.RETAINED)
    assert keystore.epoch(1).holds(SID)
    assert mine.load() == {SHARES: bytes(64)}


def test_threads_that_change_the_waiting_keys_at_once_lose_none_and_break_nothing(
    tmp_path: Path, keystore: Keystore
) -> None:
    waiting = keystore.epoch(1).waiting
    waiting.put({counter: bytes([counter]) * 32 for counter in range(20)})

    def change(counter: int) -> None:
        if counter < 20:
            waiting.discard({counter})
        else:
            waiting.put({counter: bytes([counter]) * 32})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(change, [*range(0, 40, 2), *range(1, 40, 2)]))
    expected = {counter: bytes([counter]) * 32 for counter in range(20, 40)}
    assert waiting.secrets == expected
    assert reopen(tmp_path).epoch(1).waiting.secrets == expected
    assert len(list((tmp_path / "keeper" / "epochs" / "1").glob("waiting-*.key"))) == 1


def test_threads_get_the_same_files(tmp_path: Path, keystore: Keystore) -> None:
    with ThreadPoolExecutor(8) as pool:
        epochs = list(pool.map(lambda _: keystore.epoch(1), range(64)))
        sessions = list(pool.map(lambda _: keystore.session(SID), range(64)))
        list(pool.map(lambda n: sessions[0].put("brief", f"share/{n}", bytes([n])), range(16)))
    assert len(set(map(id, epochs))) == len(set(map(id, sessions))) == 1
    again = reopen(tmp_path).session(SID)
    assert again.load() == {f"share/{n}": bytes([n]) for n in range(16)}


def test_many_threads_read_more_batches_than_are_remembered(keystore: Keystore) -> None:
    epoch = keystore.epoch(1)
    sids = [bytes([n]) * 32 for n in range(24)]
    for n, sid in enumerate(sids):
        epoch.put_batch(sid, bytes([n + 1]) * 64)

    def read(turn: int) -> bool:
        share = epoch.share(sids[turn % 24], 0)
        return share is not None and share.x == int.from_bytes(bytes([turn % 24 + 1]) * 32, "big")

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, range(600)))
