"""A backup opens in full or not at all, and a node that comes back from one signs and deals nothing twice."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from authnet.backup import archive, contents, restoring
from authnet.backup.archive import Entry, Summary
from authnet_core.crypto.secp256k1 import Q
from authnet_core.errors import AuthnetError, Code
from authnet_runtime.config import NodeConfig, load_node
from authnet_runtime.node_folder import NodeSettings, create
from epoch_manager.comet_keys import load_or_create
from p2p_dkg.keystore import files
from p2p_dkg.keystore.sessions import BRIEF
from p2p_dkg.keystore.store import Keystore, SeenBlock, open_keystore

CHAIN = "test-1"
SIDS = [bytes([place]) * 32 for place in range(1, 5)]
SETTINGS = NodeSettings(
    network_id="test",
    dev=True,
    eth_rpc="http://127.0.0.1:1",
    registry="0x00",
    eth_chain_id=1,
    p2p="127.0.0.1:1",
    api="127.0.0.1:1",
    endpoint="http://127.0.0.1:1",
    comet="127.0.0.1:1",
    metrics="127.0.0.1:1",
)


def rows(count: int, first: int = 1) -> bytes:
    return b"".join((first + at).to_bytes(32, "big") + (7).to_bytes(32, "big") for at in range(count))


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A short path: a node's folder holds unix sockets, and pytest's own is long."""
    with tempfile.TemporaryDirectory(prefix="authnet-") as folder:
        yield Path(folder)


@pytest.fixture
def node(tmp_path: Path) -> NodeConfig:
    """A node that has lived: shares of two epochs, a session under way, a receipt log, a signer that signed."""
    folder = tmp_path / "node"
    create(folder, SETTINGS)
    text = (folder / "node.toml").read_text()
    (folder / "node.toml").write_text(text.replace('file = "passphrase"', 'file = "passphrase"\nscrypt_n = 2'))
    load_or_create(folder / "cometbft")
    state = folder / "cometbft/data/priv_validator_state.json"
    state.write_text(json.dumps({"height": "77", "round": 0, "step": 3}))
    (folder / "genesis.json").write_text(json.dumps({"chain_id": CHAIN}))
    config = load_node(folder / "node.toml")
    keystore = opened(config)
    for epoch in (1, 2):
        for place, sid in enumerate(SIDS[2 * epoch - 2 : 2 * epoch]):
            keystore.epoch(epoch).put_batch(sid, rows(3 + place))
        keystore.epoch(epoch).service(create=True)
        keystore.epoch(epoch).waiting.put({5: b"w" * 32})
    keystore.session(SIDS[3]).put(BRIEF, "deal", b"seed")
    keystore.see(SeenBlock(40, 1, "00"))
    files.write_durably(folder / "keeper/login/log", b"receipts")
    return config


def opened(config: NodeConfig, height: int = 9) -> Keystore:
    keystore = open_keystore(config.dir / "keeper", "test", config.passphrase_file, 2)
    keystore.bind_chain(CHAIN, height)
    return keystore


def passphrase(config: NodeConfig) -> bytes:
    return files.read_passphrase(config.passphrase_file)


def save(config: NodeConfig, out: Path) -> Path:
    summary = Summary(schema=1, made_ms=1, network_id="test", identity=opened(config).identity.pub.hex(), entries=0)
    archive.write(out, passphrase(config), 2, contents.collect(config), summary)
    return out


@pytest.fixture
def saved(node: NodeConfig, tmp_path: Path) -> Path:
    return save(node, tmp_path / "backup")


@pytest.fixture
def restored(node: NodeConfig, saved: Path, tmp_path: Path) -> NodeConfig:
    restoring.restore(saved, tmp_path / "again", passphrase(node), 500)
    return load_node(tmp_path / "again" / "node.toml")


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def code_of(run: object, *arguments: object) -> Code:
    with pytest.raises(AuthnetError) as refusal:
        run(*arguments)  # type: ignore[operator]
    return refusal.value.code


def test_identity_transport_shares_and_keys_come_back(node: NodeConfig, restored: NodeConfig) -> None:
    before, after = opened(node), opened(restored, 600)
    assert after.identity.pub == before.identity.pub
    assert after.transport_seed == before.transport_seed
    assert load_or_create(restored.dir / "cometbft") == load_or_create(node.dir / "cometbft")
    for epoch in (1, 2):
        assert after.epoch(epoch).held == before.epoch(epoch).held
        for sid in before.epoch(epoch).held:
            assert after.epoch(epoch).batch(sid) == before.epoch(epoch).batch(sid)
        old, new = before.epoch(epoch).service(), after.epoch(epoch).service()
        assert old is not None
        assert new is not None
        assert old.pub == new.pub
    assert (restored.eth_key.read_text(), restored.toml) == (node.eth_key.read_text(), node.toml)
    assert all(p.stat().st_mode & 0o077 == 0 for p in (restored.dir / "keeper").rglob("*"))


def test_a_restored_node_signs_no_height_twice(restored: NodeConfig) -> None:
    """CometBFT refuses to sign a lower height, and at the same one a lower round: no round is above this one."""
    state = json.loads((restored.dir / "cometbft/data/priv_validator_state.json").read_text())
    assert state == {"height": "500", "round": 2**31 - 1, "step": 3}


def test_a_restored_node_deals_and_answers_nothing_anew(node: NodeConfig, restored: NodeConfig) -> None:
    """No session, no announced key, no receipt comes back, and the keystore knows that it is new here."""
    # It fetches all blocks again, from the first one on: sessions opened up to where it came back are still not joined.
    keystore = opened(restored, 1)
    assert (keystore.place.born_height, opened(node).place.born_height) == (500, 9)
    assert keystore.born_ms > opened(node).born_ms
    assert keystore.sessions() == []
    assert [keystore.epoch(epoch).waiting.secrets for epoch in (1, 2)] == [{}, {}]
    assert not list((restored.dir / "keeper/login").iterdir())
    assert keystore.seen is None


def test_nothing_in_the_file_is_readable_without_the_passphrase(node: NodeConfig, saved: Path) -> None:
    content = saved.read_bytes()
    secrets = [*opened(node).reveal(), node.eth_key.read_bytes().strip(), passphrase(node), b"registry"]
    for secret in secrets:
        assert secret not in content
        assert secret.hex().encode() not in content
    assert saved.stat().st_mode & 0o077 == 0
    for wrong in (b"", b"other", passphrase(node) + b"x"):
        assert code_of(restoring.drill, saved, wrong) is Code.WRONG_PASSPHRASE


def test_the_passphrase_is_in_no_backup(node: NodeConfig, saved: Path) -> None:
    found = [entry for entry in archive.read(saved, passphrase(node)) if isinstance(entry, Entry)]
    assert all(passphrase(node) not in entry.content for entry in found)
    left_out = ("passphrase", "place", "seen", "waiting", "sessions", "login", "priv_validator_state", "abci")
    assert not [entry.path for entry in found if any(word in entry.path for word in left_out)]


def test_a_drill_opens_every_share_and_changes_nothing(node: NodeConfig, saved: Path) -> None:
    before = tree(node.dir)
    found = restoring.drill(saved, passphrase(node))
    assert (found.epochs, found.erased, found.chain_id) == ({1: 7, 2: 7}, [], CHAIN)
    assert found.identity == opened(node).identity.pub.hex()
    assert tree(node.dir) == before


def test_a_drill_finds_shares_that_are_none(node: NodeConfig, tmp_path: Path) -> None:
    for bad in (bytes(64), Q.to_bytes(32, "big") + bytes(32), (1).to_bytes(32, "big") + Q.to_bytes(32, "big")):
        opened(node).epoch(2).put_batch(SIDS[3], rows(2) + bad)
        assert code_of(restoring.drill, save(node, tmp_path / "bad"), passphrase(node)) is Code.BACKUP_INVALID


def test_a_drill_finds_shares_under_another_key(node: NodeConfig, tmp_path: Path) -> None:
    batches = node.dir / "keeper/epochs/1/batches"
    shutil.copy(batches / SIDS[0].hex(), batches / SIDS[1].hex())
    code = code_of(restoring.drill, save(node, tmp_path / "bad"), passphrase(node))
    assert code is Code.KEYSTORE_DAMAGED


def test_a_drill_is_held_against_the_chain(node: NodeConfig, saved: Path) -> None:
    found = restoring.drill(saved, passphrase(node))
    good = [{"id": sid.hex(), "count": 3 + place, "holders": [1, 2]} for place, sid in enumerate(SIDS[:2])]
    assert restoring.compare(found, 1, good, 1) == ([], [])
    assert restoring.compare(found, 1, good[:1], 1) == ([SIDS[1].hex()], [])
    assert restoring.compare(found, 1, [good[0], {**good[1], "count": 9}], 1) == ([SIDS[1].hex()], [])
    since = {"id": "ab" * 32, "count": 1, "holders": [1]}
    assert restoring.compare(found, 1, [*good, since], 1) == ([], ["ab" * 32])
    assert restoring.compare(found, 1, [*good, since], 2) == ([], [])


def test_an_erased_epoch_leaves_its_mark_and_no_key(node: NodeConfig, tmp_path: Path) -> None:
    opened(node).epoch(1).erase()
    path = save(node, tmp_path / "backup")
    found = restoring.drill(path, passphrase(node))
    assert (found.epochs, found.erased) == ({2: 7}, [1])
    restoring.restore(path, tmp_path / "again", passphrase(node), 5)
    keystore = opened(load_node(tmp_path / "again" / "node.toml"))
    assert keystore.epoch(1).is_erased
    with pytest.raises(RuntimeError):
        keystore.epoch(1).put_batch(SIDS[0], rows(1))


def test_an_epoch_that_is_erased_meanwhile_is_left_out(
    node: NodeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = contents.read_file

    def erase_first(path: Path) -> bytes | None:
        content = read(path)
        if path.name == "epoch.key" and path.parent.name == "1":
            opened(node).epoch(1).erase()
        return content

    monkeypatch.setattr(contents, "read_file", erase_first)
    found = restoring.drill(save(node, tmp_path / "backup"), passphrase(node))
    assert (found.epochs, found.erased) == ({2: 7}, [1])


def test_a_file_that_was_changed_or_cut_is_refused(node: NodeConfig, saved: Path, tmp_path: Path) -> None:
    good = saved.read_bytes()
    spoilt = tmp_path / "spoilt"
    places = [*range(0, len(good), max(1, len(good) // 60)), len(good) - 1]
    for at in places:
        for content in (good[:at], good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :]):
            spoilt.write_bytes(content)
            code = code_of(restoring.restore, spoilt, tmp_path / "no", passphrase(node), 5)
            assert code in (Code.BACKUP_INVALID, Code.WRONG_PASSPHRASE), at
    spoilt.write_bytes(good + b"\x00")
    assert code_of(restoring.drill, spoilt, passphrase(node)) is Code.BACKUP_INVALID
    assert not (tmp_path / "no").exists()
    assert not list(tmp_path.glob(".*"))


def test_records_can_not_be_left_out_or_swapped(node: NodeConfig, saved: Path, tmp_path: Path) -> None:
    good, head = saved.read_bytes(), len(archive.MAGIC) + 36
    records, at = list[bytes](), head
    while at < len(good):
        size = 4 + int.from_bytes(good[at : at + 4], "big")
        records.append(good[at : at + size])
        at += size
    cases = [records[:-1], records[1:], records[:3] + records[4:], [records[1], records[0], *records[2:]]]
    for case in cases:
        (tmp_path / "cut").write_bytes(good[:head] + b"".join(case))
        assert code_of(restoring.drill, tmp_path / "cut", passphrase(node)) is Code.BACKUP_INVALID


@pytest.mark.parametrize(
    "path",
    [
        "",
        "../evil",
        "/etc/passwd",
        "run/x",
        "keeper/place",
        "keeper/epochs/../../x",
        "keeper/epochs/01/service",
        "keeper/epochs/1/waiting-1.key",
        "keeper/epochs/1/batches/../../../x",
        "cometbft/data/priv_validator_state.json",
    ],
)
def test_a_backup_writes_nowhere_else(path: str, node: NodeConfig, tmp_path: Path) -> None:
    """Somebody who knows the passphrase made it."""
    summary = Summary(schema=1, made_ms=1, network_id="test", identity="", entries=0)
    settings = Entry("node.toml", (node.dir / "node.toml").read_bytes())
    archive.write(tmp_path / "evil", passphrase(node), 2, [settings, Entry(path, b"x")], summary)
    assert code_of(restoring.restore, tmp_path / "evil", tmp_path / "no", passphrase(node), 5) is Code.BACKUP_INVALID
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize("place", ["/{}/elsewhere", "../elsewhere"])
def test_a_passphrase_that_lies_elsewhere_is_not_written(place: str, node: NodeConfig, tmp_path: Path) -> None:
    text = (node.dir / "node.toml").read_text()
    elsewhere = place.format(tmp_path)
    secret = passphrase(node)
    path = save(node, tmp_path / "backup")
    entries = [e for e in archive.read(path, secret) if isinstance(e, Entry)]
    moved = text.replace('passphrase_file = "passphrase"', f'passphrase_file = "{elsewhere}"').encode()
    entries = [Entry(e.path, moved) if e.path == "node.toml" else e for e in entries]
    summary = Summary(schema=1, made_ms=1, network_id="test", identity=opened(node).identity.pub.hex(), entries=0)
    archive.write(path, secret, 2, entries, summary)
    restoring.restore(path, tmp_path / "again", secret, 5)
    assert not (tmp_path / "elsewhere").exists()


def test_a_folder_that_is_used_is_never_restored_into(node: NodeConfig, saved: Path) -> None:
    before = tree(node.dir)
    assert code_of(restoring.restore, saved, node.dir, passphrase(node), 5) is Code.CONFIG
    assert tree(node.dir) == before


def test_a_full_disk_leaves_the_backup_before(
    node: NodeConfig, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = saved.read_bytes()
    for step in range(12):
        calls = iter(range(step))

        def put(file: object, sealed: bytes, left: Iterator[int] = calls) -> None:
            if next(left, None) is None:
                raise OSError(28, "No space left on device")

        monkeypatch.setattr(archive, "_put", put)
        with pytest.raises(OSError, match="No space"):
            save(node, saved)
        assert saved.read_bytes() == before
        assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("step", range(12))
def test_a_crash_while_restoring_leaves_no_half_node(
    step: int, node: NodeConfig, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What dies in the midst leaves a folder that is not the node's; the next attempt takes it away."""
    left = iter(range(step))

    def write(path: Path, content: bytes) -> None:
        if next(left, None) is None:
            raise SystemExit
        files.write_durably(path, content)

    with monkeypatch.context() as patched:
        patched.setattr(restoring, "write_durably", write)
        # As a killed process would, it tidies nothing.
        patched.setattr(restoring.shutil, "rmtree", lambda *_, **__: None)
        with pytest.raises(SystemExit):
            restoring.restore(saved, tmp_path / "again", passphrase(node), 5)
    assert not (tmp_path / "again").exists()
    restoring.restore(saved, tmp_path / "again", passphrase(node), 5)
    assert restoring.drill(saved, passphrase(node)).epochs == {1: 7, 2: 7}
    assert not (tmp_path / ".again.restoring").exists()


def test_nothing_is_signed_up_to_where_anybody_is() -> None:
    assert restoring.highest([90, 100, 95]) == 100 + restoring.MARGIN
    assert code_of(restoring.highest, []) is Code.UNAVAILABLE
    assert code_of(restoring.highest, [100, 2_000]) is Code.CONFIG
    assert code_of(restoring.restore, Path("x"), Path(os.devnull).parent / "none", b"", 0) is Code.CONFIG
