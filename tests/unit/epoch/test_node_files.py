"""Files the epoch manager reads and writes: never overwritten, never half written, never shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from authnet_core.errors import AuthnetError, Code, ConfigError
from epoch_manager import files
from epoch_manager.comet_keys import load_or_create
from epoch_manager.files import Journal

KEY = "17" * 32


def write(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def test_comet_keys_are_made_once_and_kept(tmp_path: Path) -> None:
    first = load_or_create(tmp_path)
    assert load_or_create(tmp_path) == first
    assert len(bytes.fromhex(first.consensus)) == 32
    assert len(bytes.fromhex(first.comet_id)) == 20
    for name in ("config/priv_validator_key.json", "config/node_key.json", "data/priv_validator_state.json"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
    body = json.loads((tmp_path / "config/priv_validator_key.json").read_text())
    assert body["pub_key"]["type"] == "tendermint/PubKeyEd25519"
    assert json.loads((tmp_path / "data/priv_validator_state.json").read_text())["height"] == "0"


@pytest.mark.parametrize("lost", ["data/priv_validator_state.json", "config/priv_validator_key.json"])
def test_a_signer_that_lost_one_of_its_files_is_refused(tmp_path: Path, lost: str) -> None:
    load_or_create(tmp_path)
    (tmp_path / lost).unlink()
    with pytest.raises(ConfigError, match="is missing"):
        load_or_create(tmp_path)
    assert not (tmp_path / lost).exists()


def test_comet_keys_that_others_can_read_are_refused(tmp_path: Path) -> None:
    load_or_create(tmp_path)
    (tmp_path / "config/node_key.json").chmod(0o644)
    with pytest.raises(ConfigError) as refusal:
        load_or_create(tmp_path)
    assert refusal.value.code is Code.FILE_MODE


@pytest.mark.parametrize("text", ["", "{}", '{"priv_key": {"value": "AAA"}}', '{"priv_key": 3}', "[1]"])
def test_damaged_comet_keys_are_refused(tmp_path: Path, text: str) -> None:
    load_or_create(tmp_path)
    write(tmp_path / "config/node_key.json", text)
    with pytest.raises(ConfigError, match="no CometBFT ed25519 key file"):
        load_or_create(tmp_path)


def test_the_eth_key_is_read_with_and_without_prefix(tmp_path: Path) -> None:
    assert files.load_eth_key(write(tmp_path / "a", f"0x{KEY}\n")).hex() == KEY
    assert files.load_eth_key(write(tmp_path / "b", KEY)).hex() == KEY


@pytest.mark.parametrize("text", ["", KEY[:-2], "00" * 32, KEY + "00", "zz" + KEY[2:]])
def test_a_bad_eth_key_is_refused_without_showing_it(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match=r"^ethereum\.key: ") as refusal:
        files.load_eth_key(write(tmp_path / "eth.key", text))
    assert KEY[4:20] not in str(refusal.value)


def test_an_eth_key_that_others_can_read_or_nobody_has_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as open_to_all:
        files.load_eth_key(write(tmp_path / "eth.key", KEY, 0o640))
    assert open_to_all.value.code is Code.FILE_MODE
    with pytest.raises(ConfigError, match="can not be read"):
        files.load_eth_key(tmp_path / "absent")


def test_genesis_is_written_once_and_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "genesis.json"
    assert files.settle_genesis(path, b"one")
    assert not files.settle_genesis(path, b"one")
    with pytest.raises(AuthnetError) as refusal:
        files.settle_genesis(path, b"two")
    assert refusal.value.code is Code.GENESIS_MISMATCH
    assert path.read_bytes() == b"one"
    assert [p.name for p in tmp_path.iterdir()] == ["genesis.json"]


def test_the_journal_comes_back(tmp_path: Path) -> None:
    journal = Journal(registry="0xa", first_hash="0x1", number=7, hash="0x2")
    files.store_journal(tmp_path / "j", journal)
    assert files.load_journal(tmp_path / "j", "0xa") == journal


@pytest.mark.parametrize("text", ["", "{", '{"number": "x"}', "[]"])
def test_a_damaged_journal_means_reading_anew(tmp_path: Path, text: str) -> None:
    assert files.load_journal(write(tmp_path / "j", text), "0xa") is None
    assert files.load_journal(tmp_path / "absent", "0xa") is None


def test_the_journal_of_another_registry_is_not_used(tmp_path: Path) -> None:
    files.store_journal(tmp_path / "j", Journal(registry="0xa", first_hash="", number=7, hash=""))
    assert files.load_journal(tmp_path / "j", "0xb") is None


def test_genesis_parameters_are_for_dev_networks(tmp_path: Path) -> None:
    path = write(tmp_path / "genesis_params.json", '{"pool_low": 5}')
    assert files.load_params(path, dev=True) == {"pool_low": 5}
    assert files.load_params(tmp_path / "absent", dev=False) == {}
    with pytest.raises(ConfigError) as refusal:
        files.load_params(path, dev=False)
    assert refusal.value.code is Code.NOT_DEV
    with pytest.raises(ConfigError, match=r"genesis_params\.json"):
        files.load_params(write(path, '{"pool_low": "x"}'), dev=True)
