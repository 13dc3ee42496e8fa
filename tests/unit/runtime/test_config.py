"""node.toml: what is read, and that every mistake is named by its dotted key."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authnet_core.errors import ConfigError
from authnet_runtime.config import load_node, parse_node

GOOD = """
[node]
network_id = "testnet"
[ethereum]
rpc = "http://127.0.0.1:8545"
registry = "0x0000000000000000000000000000000000000001"
chain_id = 31337
[p2p]
listen = "/ip4/127.0.0.1/tcp/8799"
[api]
listen = "127.0.0.1:8798"
endpoint = "http://127.0.0.1:8798"
[cometbft]
p2p = "127.0.0.1:8800"
"""


def test_a_short_file_gives_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "node.toml").write_text(GOOD)
    config = load_node(tmp_path / "node.toml")
    assert (config.toml.api.rate_per_s, config.toml.api.burst) == (50.0, 300)
    assert config.read_sock == tmp_path / "run" / "read.sock"


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("chain_id = 31337", 'chain_id = "x"', "ethereum.chain_id"),
        ('network_id = "testnet"', "", "node"),
        ('p2p = "127.0.0.1:8800"', 'p2p = "127.0.0.1"', "cometbft.p2p"),
        ('p2p = "127.0.0.1:8800"', 'p2p = "127.0.0.1:8800"\ntypo = 1', "cometbft"),
        ('endpoint = "http://127.0.0.1:8798"', 'endpoint = "ftp://x"', "api.endpoint"),
        ('endpoint = "http://127.0.0.1:8798"', 'endpoint = "http://x"\nburst = 0', "api.rate_per_s"),
        ("[cometbft]", "[keeper]\nscrypt_n = 65536\n[cometbft]", "keeper.scrypt_n"),
        ("[cometbft]", "[keeper]\nscrypt_n = 1000\n[cometbft]", "keeper.scrypt_n"),
        ("[cometbft]", '[metrics]\nlisten = "1:99999"\n[cometbft]', "metrics.listen"),
    ],
)
def test_a_mistake_is_named(old: str, new: str, key: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_node(GOOD.replace(old, new), Path("/n"))
    assert refused.value.message.startswith(key), refused.value.message


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        load_node(tmp_path / "node.toml")


def test_a_path_too_long_for_sockets_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"node\.dir"):
        parse_node(GOOD, Path("/" + "x" * 100))


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parse_node(text, Path("/n"))
    except ConfigError:
        return
