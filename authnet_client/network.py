"""network.json: what a client trusts before it has spoken to anybody (interfaces.md section 3)."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import httpx
import msgspec

from authnet_core.errors import AuthnetError, Code
from authnet_core.json_text import NOT_JSON

_MAX_FILE = 65_536


class Network(msgspec.Struct, frozen=True):
    """Names the network and the registry contract that lists its nodes.

    Come by it as you come by software: from a file you trust. From a URL it is taken for test networks only.
    """

    network_id: str
    chain_id: str
    genesis_hash: str = ""
    registry: str = ""
    eth_rpc: str = ""
    front: str = ""
    dev: bool = False

    @staticmethod
    def parse(text: bytes) -> Network:
        """Raises CONFIG when this is no network.json."""
        try:
            network = msgspec.json.decode(text, type=Network)
        except NOT_JSON as error:
            raise AuthnetError(Code.CONFIG, f"network.json: {error}") from None
        if not network.network_id or not network.chain_id:
            raise AuthnetError(Code.CONFIG, "network.json: network_id and chain_id are needed")
        if not network.front and not (network.registry and network.eth_rpc):
            raise AuthnetError(Code.CONFIG, "network.json: eth_rpc and registry are needed to find the nodes")
        if not network.dev and not (network.registry and network.eth_rpc):
            raise AuthnetError(Code.CONFIG, "network.json: eth_rpc and registry are needed outside of dev")
        return network

    @staticmethod
    def from_file(path: Path | str) -> Network:
        """Raises CONFIG when the file can not be read or is no network.json."""
        try:
            with Path(path).open("rb") as file:
                return Network.parse(file.read(_MAX_FILE))
        except OSError as error:
            raise AuthnetError(Code.CONFIG, f"{path}: {error.strerror}") from None

    @staticmethod
    def from_url(url: str) -> Network:
        """For test networks: whoever answers at `url` decides whom the client trusts, so `dev` must be true."""
        if urlsplit(url).path in ("", "/"):
            url = f"{url.rstrip('/')}/network.json"
        try:
            response = httpx.get(url, timeout=10.0, trust_env=False)
            response.raise_for_status()
        except httpx.HTTPError:
            raise AuthnetError(Code.NETWORK_DOWN, f"{url} does not answer") from None
        network = Network.parse(response.content[:_MAX_FILE])
        if not network.dev:
            raise AuthnetError(Code.FORBIDDEN, "a network that is not dev is not trusted from a URL: use a file")
        return network
