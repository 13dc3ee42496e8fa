"""The keystore refuses what it should, and what it erased stays erased."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from authnet_core.errors import AuthnetError, Code
from p2p_dkg.keystore import store as store_module
from p2p_dkg.keystore.datakeys import DataKey
from p2p_dkg.keystore.epochs import EpochFiles
from p2p_dkg.keystore.files import generation_of
from p2p_dkg.keystore.sealing import Box
from p2p_dkg.keystore.sessions import BRIEF, EK, RETAINED, SessionFiles
from p2p_dkg.keystore.store import Keystore, SeenBlock, open_keystore

N = 2
SID = bytes(range(32))
CHAIN = "test-1"


@pytest.fixture
def passphrase(tmp_path: Path) -> Path:
    path = tmp_path / "passphrase"
    path.write_text("correct horse\n")
    path.chmod(0o600)
    return path


def open_at(tmp_path: Path, *, network: str = "test") -> Keystore:
    return open_keystore(tmp_path / "keeper", network, tmp_path / "passphrase", N)


def bound(tmp_path: Path, height: int = 1) -> Keystore:
    store = open_at(tmp_path)
    store.bind_chain(CHAIN, height)
    return store


def refusal(tmp_path: Path) -> AuthnetError:
    with pytest.raises(AuthnetError) as caught:
        open_at(tmp_path)
    return caught.value


def test_the_same_passphrase_opens_the_same_identity(tmp_path: Path, passphrase: Path) -> None:
    first = open_at(tmp_path)
    again = open_at(tmp_path)
    assert again.identity.pub == first.identity.pub
    assert again.transport_seed == first.transport_seed
    assert again.transport_seed != again.identity.reveal()


def test_a_wrong_passphrase_is_refused_by_code(tmp_path: Path, passphrase: Path) -> None:
    open_at(tmp_path)
    passphrase.write_text("correct horsf\n")
    error = refusal(tmp_path)
    assert error.code is Code.WRONG_PASSPHRASE
    assert "horse" not in str(error)
    assert "horsf" not in str(error)


@pytest.mark.parametrize("content", ["", "\n", "\r\n"])
def test_an_empty_passphrase_is_refused(tmp_path: Path, passphrase: Path, content: str) -> None:
    passphrase.write_text(content)
    assert refusal(tmp_path).code is Code.CONFIG


def test_a_missing_passphrase_names_the_setting(tmp_path: Path, passphrase: Path) -> None:
    passphrase.unlink()
    assert refusal(tmp_path).message.startswith("keeper.passphrase_file:")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o700])
def test_a_passphrase_file_others_can_read_is_refused(tmp_path: Path, passphrase: Path, mode: int) -> None:
    passphrase.chmod(mode)
    error = refusal(tmp_path)
    assert error.code is Code.FILE_MODE
    assert "passphrase" in error.message


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        (".", 0o750),
        ("node.keys", 0o640),
        ("place", 0o644),
        ("sessions", 0o755),
        ("epochs/1", 0o701),
        ("epochs/1/epoch.key", 0o666),
        (f"epochs/1/batches/{SID.hex()}", 0o644),
    ],
)
def test_wrong_modes_refuse_to_start_by_name(tmp_path: Path, passphrase: Path, name: str, mode: int) -> None:
    bound(tmp_path).epoch(1).put_batch(SID, bytes(64))
    path = tmp_path / "keeper" / name
    path.chmod(mode)
    error = refusal(tmp_path)
    assert error.code is Code.FILE_MODE
    assert ("keeper" if name == "." else f"keeper/{name}") in error.message
    path.chmod(0o700 if path.is_dir() else 0o600)
    assert open_at(tmp_path).identity.pub


def test_a_link_in_the_keystore_is_refused(tmp_path: Path, passphrase: Path) -> None:
    open_at(tmp_path)
    (tmp_path / "keeper" / "sessions" / "x").symlink_to(tmp_path)
    assert refusal(tmp_path).code is Code.FILE_MODE


@pytest.mark.parametrize("name", ["node.keys", "place"])
def test_tampering_is_noticed(tmp_path: Path, passphrase: Path, name: str) -> None:
    open_at(tmp_path)
    path = tmp_path / "keeper" / name
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)
    assert refusal(tmp_path).code is Code.KEYSTORE_DAMAGED


def test_a_lost_key_file_is_not_replaced_by_a_new_node(tmp_path: Path, passphrase: Path) -> None:
    open_at(tmp_path)
    (tmp_path / "keeper" / "node.keys").unlink()
    assert refusal(tmp_path).code is Code.KEYSTORE_DAMAGED


def test_another_networks_keystore_does_not_open(tmp_path: Path, passphrase: Path) -> None:
    open_at(tmp_path)
    with pytest.raises(AuthnetError) as caught:
        open_at(tmp_path, network="other")
    assert caught.value.code is Code.KEYSTORE_DAMAGED


def test_a_file_of_another_session_does_not_open(tmp_path: Path, passphrase: Path) -> None:
    store = bound(tmp_path)
    other = bytes(32)
    store.session(SID).put(BRIEF, "deal", b"mine")
    store.session(other).put(BRIEF, "deal", b"theirs")
    root = tmp_path / "keeper" / "sessions"
    for name in ("brief.deal", "brief.key"):
        shutil.copy(root / SID.hex() / name, root / other.hex() / name)
    with pytest.raises(AuthnetError) as caught:
        bound(tmp_path).session(other).get(BRIEF, "deal")
    assert caught.value.code is Code.KEYSTORE_DAMAGED


def test_nothing_is_on_disk_in_the_clear(tmp_path: Path, passphrase: Path) -> None:
    store = bound(tmp_path)
    store.session(SID).put(BRIEF, "deal", b"seed" * 16)
    store.session(SID).put(RETAINED, EK, b"k" * 32)
    store.epoch(1).put_batch(SID, b"s" * 64)
    store.epoch(1).waiting.put({7: b"w" * 32})
    service = store.epoch(1).service(create=True)
    assert service is not None
    secrets = [b"seed" * 2, b"k" * 16, b"s" * 16, b"w" * 16, *store.reveal()]
    for path in (p for p in (tmp_path / "keeper").rglob("*") if p.is_file()):
        content = path.read_bytes()
        assert not any(secret in content or secret.hex().encode() in content for secret in secrets), path
    assert b"k" * 32 in store.reveal()
    assert b"w" * 32 in store.reveal()


def test_what_was_stored_is_there_after_a_restart(tmp_path: Path, passphrase: Path) -> None:
    store = bound(tmp_path)
    store.session(SID).put(RETAINED, "bundle/3", b"b")
    store.session(SID).put(BRIEF, "share/3", b"s")
    store.see(SeenBlock(9, 1234, "aa"))
    again = bound(tmp_path)
    assert again.session(SID).load() == {"bundle/3": b"b", "share/3": b"s"}
    assert again.sessions() == [SID]
    assert again.seen == SeenBlock(9, 1234, "aa")


def test_a_half_written_file_is_not_read(tmp_path: Path, passphrase: Path) -> None:
    bound(tmp_path).session(SID).put(BRIEF, "deal", b"whole")
    torn = tmp_path / "keeper" / "sessions" / SID.hex() / "brief.deal.tmp"
    torn.write_bytes(b"half")
    torn.chmod(0o600)
    again = bound(tmp_path)
    assert again.session(SID).load() == {"deal": b"whole"}
    assert not torn.exists()


# -- erasing ------------------------------------------------------------------------------------------------------


def copy_ciphertexts(tmp_path: Path) -> Path:
    """What a thief of backups has: every file except the wrapped data keys."""
    copy = tmp_path / "copy"
    shutil.copytree(tmp_path / "keeper", copy, ignore=shutil.ignore_patterns("*.key"))
    return copy


def put_back(copy: Path, folder: Path) -> None:
    """Put stolen ciphertexts back among what is left on the disk."""
    for path in (p for p in copy.rglob("*") if p.is_file()):
        target = folder / path.relative_to(copy)
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not target.exists():
            shutil.copy(path, target)
            target.chmod(0o600)


@pytest.mark.parametrize(("group", "name"), [(BRIEF, "deal"), (RETAINED, EK)])
def test_an_erased_session_group_does_not_open_from_a_copy(
    tmp_path: Path, passphrase: Path, group: str, name: str
) -> None:
    store = bound(tmp_path)
    store.session(SID).put(group, name, b"secret")
    copy = copy_ciphertexts(tmp_path)
    store.session(SID).erase(group)
    put_back(copy, tmp_path / "keeper")
    assert (tmp_path / "keeper" / "sessions" / SID.hex() / f"{group}.{name}").exists()
    assert bound(tmp_path).session(SID).get(group, name) is None
    assert bound(tmp_path).session(SID).load() == {}


def test_a_new_data_key_does_not_open_old_ciphertext(tmp_path: Path) -> None:
    master = Box(os.urandom(32), "net")
    key = DataKey(master, tmp_path / "k", "k", CHAIN)
    sealed = key.load_or_create().seal("name", b"secret")
    key.erase()
    with pytest.raises(AuthnetError) as caught:
        key.load_or_create().open("name", sealed)
    assert caught.value.code is Code.KEYSTORE_DAMAGED


def test_erasing_one_group_leaves_the_other(tmp_path: Path, passphrase: Path) -> None:
    session = bound(tmp_path).session(SID)
    session.put(BRIEF, "deal", b"d")
    session.put(RETAINED, "bundle/1", b"b")
    session.erase(BRIEF)
    assert session.load() == {"bundle/1": b"b"}
    assert not session.has(BRIEF)


def test_a_data_key_file_is_overwritten_before_it_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = DataKey(Box(os.urandom(32), "net"), tmp_path / "k", "k", CHAIN)
    key.load_or_create()
    before = (tmp_path / "k").read_bytes()
    link = tmp_path / "other-name"
    os.link(tmp_path / "k", link)
    key.erase()
    assert not (tmp_path / "k").exists()
    assert link.read_bytes() != before
    assert len(link.read_bytes()) == len(before)


def test_a_used_waiting_key_does_not_open_from_a_copy(tmp_path: Path, passphrase: Path) -> None:
    epoch = bound(tmp_path).epoch(1)
    epoch.waiting.put({1: b"a" * 32, 2: b"b" * 32})
    copy = copy_ciphertexts(tmp_path)
    epoch.waiting.discard({1})
    put_back(copy, tmp_path / "keeper")
    assert bound(tmp_path).epoch(1).waiting.secrets == {2: b"b" * 32}
    assert not (tmp_path / "keeper" / "epochs" / "1" / "waiting-1.box").exists()


def test_a_crash_between_generations_loses_no_waiting_key(tmp_path: Path, passphrase: Path) -> None:
    bound(tmp_path).epoch(1).waiting.put({1: b"a" * 32})
    folder = tmp_path / "keeper" / "epochs" / "1"
    DataKey(Box(bytes(32), "x"), folder / "waiting-2.key", "n", CHAIN).load_or_create()
    epoch = bound(tmp_path).epoch(1)
    assert epoch.waiting.secrets == {1: b"a" * 32}
    epoch.waiting.put({2: b"b" * 32})
    assert bound(tmp_path).epoch(1).waiting.secrets == {1: b"a" * 32, 2: b"b" * 32}


def test_an_erased_epoch_holds_nothing(tmp_path: Path, passphrase: Path) -> None:
    epoch = bound(tmp_path).epoch(1)
    epoch.put_batch(SID, b"s" * 64)
    epoch.service(create=True)
    epoch.waiting.put({5: b"w" * 32})
    copy = copy_ciphertexts(tmp_path)
    epoch.erase()
    put_back(copy, tmp_path / "keeper")
    again = bound(tmp_path).epoch(1)
    assert again.share(SID, 0) is None
    assert again.service() is None
    assert again.waiting.secrets == {}


def test_forgetting_a_session_removes_its_folder(tmp_path: Path, passphrase: Path) -> None:
    store = bound(tmp_path)
    store.session(SID).put(BRIEF, "deal", b"d")
    store.forget_session(SID)
    assert store.sessions() == []
    assert store.session(SID).load() == {}


# -- shares -------------------------------------------------------------------------------------------------------


def test_a_share_is_found_by_session_and_position(tmp_path: Path, passphrase: Path) -> None:
    epoch = bound(tmp_path).epoch(1)
    rows = b"".join(i.to_bytes(32, "big") + (100 + i).to_bytes(32, "big") for i in range(5))
    epoch.put_batch(SID, rows)
    again: EpochFiles = bound(tmp_path).epoch(1)
    share = again.share(SID, 3)
    assert share is not None
    assert (share.x, share.nonce) == (3, 103)
    assert again.holds(SID)
    assert again.share(SID, 5) is None
    assert again.share(SID, -1) is None
    assert again.share(bytes(32), 0) is None
    assert "103" not in repr(share)


def test_a_torn_batch_is_refused(tmp_path: Path, passphrase: Path) -> None:
    epoch = bound(tmp_path).epoch(1)
    with pytest.raises(ValueError, match="64 bytes"):
        epoch.put_batch(SID, bytes(65))
    epoch.put_batch(SID, bytes(64))
    path = tmp_path / "keeper" / "epochs" / "1" / "batches" / SID.hex()
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(AuthnetError) as caught:
        bound(tmp_path).epoch(1).share(SID, 0)
    assert caught.value.code is Code.KEYSTORE_DAMAGED


# -- where it lies ------------------------------------------------------------------------------------------------


def test_birth_is_remembered_and_does_not_move(tmp_path: Path, passphrase: Path) -> None:
    bound(tmp_path, height=12)
    again = bound(tmp_path, height=40)
    assert again.place.born_height == 12


def test_a_restored_copy_is_born_anew(tmp_path: Path, passphrase: Path) -> None:
    bound(tmp_path, height=12)
    os.rename(tmp_path / "keeper", tmp_path / "old")
    shutil.copytree(tmp_path / "old", tmp_path / "keeper")
    again = open_at(tmp_path)
    assert again.place.born_height is None
    again.bind_chain(CHAIN, 40)
    assert again.place.born_height == 40


def test_a_copy_in_the_same_inodes_is_born_anew(
    tmp_path: Path, passphrase: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file system hands freed numbers out again, often in the same order; what it counts beside them differs."""
    counts = {"node.keys": 7}
    monkeypatch.setattr(store_module, "generation_of", lambda path: counts.get(path.name, 3))
    bound(tmp_path, height=12)
    assert open_at(tmp_path).place.born_height == 12
    counts["node.keys"] = 8
    assert open_at(tmp_path).place.born_height is None


def test_a_folder_that_was_remembered_without_generations_is_the_same(
    tmp_path: Path, passphrase: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "generation_of", lambda _: 0)
    bound(tmp_path, height=12)
    monkeypatch.setattr(store_module, "generation_of", lambda _: 5)
    assert open_at(tmp_path).place.born_height == 12
    monkeypatch.setattr(store_module, "generation_of", lambda _: 6)
    assert open_at(tmp_path).place.born_height is None, "it remembers them from the first look on"


def test_a_generation_is_of_the_inode_and_not_of_the_name(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x")
    before = (path.stat().st_ino, generation_of(path))
    os.chmod(path, 0o600)
    path.rename(tmp_path / "other")
    assert generation_of(tmp_path / "other") == before[1], "neither modes nor names change it"
    if before[1] == 0:
        pytest.skip("this file system has none")
    seen = {before}
    for _ in range(20):
        (tmp_path / "other").unlink()
        (tmp_path / "other").write_bytes(b"x")
        seen.add(((tmp_path / "other").stat().st_ino, generation_of(tmp_path / "other")))
    assert len(seen) == 21


def test_one_keystore_serves_one_chain(tmp_path: Path, passphrase: Path) -> None:
    store = bound(tmp_path)
    with pytest.raises(AuthnetError) as caught:
        store.bind_chain("test-2", 1)
    assert caught.value.code is Code.CONFIG


def test_sessions_need_a_chain(tmp_path: Path, passphrase: Path) -> None:
    with pytest.raises(RuntimeError):
        open_at(tmp_path).session(SID)


def test_no_secret_in_a_repr(tmp_path: Path, passphrase: Path) -> None:
    store = bound(tmp_path)
    session: SessionFiles = store.session(SID)
    session.put(BRIEF, "deal", b"d" * 32)
    texts = " ".join(map(repr, (store, store.identity, session, store.epoch(1), Box(b"k" * 32, "d"))))
    assert not any(secret.hex() in texts or repr(secret) in texts for secret in [*store.reveal(), b"k" * 32])
