"""A new node's folder: settings that the processes accept, secrets that nobody else reads, nothing overwritten."""

import json
import stat
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from authnet.supervisor import comet_config
from authnet_core.errors import ConfigError
from authnet_runtime.config import load_node
from authnet_runtime.node_folder import NodeSettings, create
from epoch_manager.comet_keys import CometKeys
from epoch_manager.registrar import OwnEntry
from localnet import folders
from localnet.lifecycle import choose, taken_ports
from localnet.places import Places, load

SETTINGS = NodeSettings(
    network_id="local-test",
    dev=True,
    eth_rpc="http://127.0.0.1:8789",
    registry="0x" + "11" * 20,
    eth_chain_id=31_337,
    p2p="127.0.0.1:8799",
    api="127.0.0.1:8798",
    endpoint="http://127.0.0.1:8798",
    comet="127.0.0.1:8800",
    metrics="127.0.0.1:8801",
    binary="/opt/cometbft",
)


def test_the_settings_are_accepted_and_secrets_closed(tmp_path: Path) -> None:
    create(tmp_path, SETTINGS)
    config = load_node(tmp_path / "node.toml")
    assert config.toml.ethereum.registry == SETTINGS.registry
    assert config.toml.p2p.listen == "/ip4/127.0.0.1/tcp/8799"
    for secret in ("passphrase", "eth.key"):
        assert stat.S_IMODE((tmp_path / secret).stat().st_mode) == 0o600
    for folder in ("run", "keeper", "logs"):
        assert stat.S_IMODE((tmp_path / folder).stat().st_mode) == 0o700


def test_making_it_again_changes_nothing(tmp_path: Path) -> None:
    create(tmp_path, SETTINGS)
    (tmp_path / "node.toml").write_text((tmp_path / "node.toml").read_text() + "# mine\n")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    create(tmp_path, SETTINGS)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before


def test_cometbfts_configuration_follows_node_toml_and_the_committee(tmp_path: Path) -> None:
    create(tmp_path, SETTINGS)
    config = tmp_path / "cometbft" / "config"
    config.mkdir(parents=True)
    peers = [f"{'ab' * 20}@127.0.0.1:8810", f"{'cd' * 20}@127.0.0.1:8820"]
    (config / comet_config.PEERS_FILE).write_text("\n".join(peers) + "\n")
    toml = {"cometbft": {"p2p": "127.0.0.1:8800", "timeout_propose_ms": 777}}
    comet_config.write(tmp_path, toml)
    text = (config / "config.toml").read_text()
    assert f'persistent_peers = "{",".join(peers)}"' in text
    assert f'unconditional_peer_ids = "{"ab" * 20},{"cd" * 20}"' in text
    assert 'timeout_propose = "777ms"' in text
    assert "create_empty_blocks = false" in text
    assert 'pprof_laddr = ""' in text
    assert 'laddr = "unix://run/comet.sock"' in text


@pytest.mark.parametrize(("peers", "pause"), [(4, 30), (8, 40), (14, 70)])
def test_the_more_peers_the_less_often_each_is_looked_at(peers: int, pause: int) -> None:
    text = comet_config.render("node1", {"cometbft": {"p2p": "a:1"}}, [f"{j:040x}@a:1" for j in range(peers)])
    assert f'peer_gossip_sleep_duration = "{pause}ms"' in text


def test_every_port_of_a_network_is_its_own() -> None:
    for nodes in (5, 6, 9):
        assert len(Places(Path("/x"), nodes, 8788, "n").all_ports()) == 2 + 4 * nodes
    assert Places(Path("/x"), 9, 8788, "n").ports(9).api == 8878


def test_a_proxied_network_announces_its_proxies_and_listens_behind_them(tmp_path: Path) -> None:
    places = Places(tmp_path, 5, 18_000, "n", proxied=True)
    assert len(places.all_ports()) == 2 + 6 * 5
    places.save()
    assert load(tmp_path) == places
    create(tmp_path / "node2", folders.settings(places, 2))
    toml = load_node(tmp_path / "node2" / "node.toml").toml
    assert (toml.p2p.listen, toml.p2p.announce) == ("/ip4/127.0.0.1/tcp/18021", "/ip4/127.0.0.1/tcp/18024")
    assert (toml.cometbft.p2p, toml.cometbft.announce) == ("127.0.0.1:18022", "127.0.0.1:18025")
    assert OwnEntry.of(load_node(tmp_path / "node2" / "node.toml"), CometKeys("", "")).comet_addr == "127.0.0.1:18025"
    written = comet_config.render("node2", {"cometbft": {"p2p": "a:1", "announce": "b:2"}}, [])
    assert 'laddr = "tcp://a:1"' in written
    assert 'external_address = "b:2"' in written


def test_an_address_to_announce_is_checked_by_name(tmp_path: Path) -> None:
    create(tmp_path, replace(SETTINGS, comet_announce="nowhere"))
    with pytest.raises(ConfigError, match=r"cometbft\.announce"):
        load_node(tmp_path / "node.toml")


def test_a_network_without_proxies_does_not_get_them_later(tmp_path: Path) -> None:
    choose(tmp_path, 5, 18_000).save()
    with pytest.raises(ConfigError, match="--proxied"):
        choose(tmp_path, None, None, proxied=True)


def test_a_folder_that_has_a_network_keeps_it(tmp_path: Path) -> None:
    made = choose(tmp_path, 6, 18_000)
    made.save()
    assert choose(tmp_path, None, None) == load(tmp_path) == made
    for nodes, port in ((5, None), (None, 18_200)):
        with pytest.raises(Exception, match="has"):
            choose(tmp_path, nodes, port)


def test_free_ports_are_not_called_taken(tmp_path: Path) -> None:
    places = Places(tmp_path, 5, 31_000, "n")
    assert all("31" in line for line in taken_ports(places))


def test_a_state_is_asked_for_only_when_wanted_and_trusted(tmp_path: Path) -> None:
    config = tmp_path / "cometbft" / "config"
    config.mkdir(parents=True)
    toml = {"cometbft": {"p2p": "127.0.0.1:1", "state_sync": True}}
    comet_config.write(tmp_path, toml)
    assert "statesync" not in (config / "config.toml").read_text()
    trust = {"height": 7, "hash": "AB" * 32, "servers": ["http://a/comet", "http://b/comet"]}
    (config / comet_config.TRUST_FILE).write_text(json.dumps(trust))
    comet_config.write(tmp_path, {"cometbft": {"p2p": "127.0.0.1:1"}})
    assert "statesync" not in (config / "config.toml").read_text()
    comet_config.write(tmp_path, toml)
    written = tomllib.loads((config / "config.toml").read_text())
    assert written["statesync"]["rpc_servers"] == "http://a/comet,http://b/comet"
    assert (written["statesync"]["trust_height"], written["statesync"]["trust_hash"]) == (7, "AB" * 32)
