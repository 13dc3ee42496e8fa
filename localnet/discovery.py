"""What outsiders may ask a localnet for: its node list as torus.js reads it, and its trust root."""

from __future__ import annotations

import hashlib
import json
import time
from typing import Any

from authnet_core.errors import AuthnetError, Code
from authnet_runtime.rpc_once import query_once
from localnet.places import Places

CACHE_S = 1.0
ASK_TIMEOUT_S = 1.0


def ask_chain(places: Places, path: str) -> Any:
    """The chain's answer from the first node that gives one. Raises its refusal, or AuthnetError(NETWORK_DOWN)."""
    refusals = []
    for index in places.indexes:
        sock = places.node_dir(index) / "run" / "read.sock"
        if sock.exists():
            try:
                return query_once(sock, path, timeout=ASK_TIMEOUT_S)
            except AuthnetError as error:
                refusals.append(error)
    for refusal in refusals:
        if refusal.code not in (Code.UNAVAILABLE, Code.TIMEOUT):
            raise refusal
    raise AuthnetError(Code.NETWORK_DOWN, "no node of the local network answers")


def key_count(pool: dict[str, Any]) -> int:
    """No key index is above it. Below it some are missing while a session's keys come on chain chunk by chunk."""
    return sum(int(pool[which]) for which in ("free", "assigned", "masks", "under_way"))


def serving(places: Places) -> dict[str, Any]:
    """The committee that serves now: the former one until the current one's interval has begun, by the clock."""
    current: dict[str, Any] = ask_chain(places, "/epoch/current")
    if time.time() * 1000 >= current["serving_from_ms"]:
        return current
    former: dict[str, Any] = ask_chain(places, "/epoch/serving")
    return former


def network_json(places: Places) -> dict[str, Any]:
    """The SDK's trust root; empty strings for what does not exist yet."""
    path = next((p for i in places.indexes if (p := places.node_dir(i) / "genesis.json").exists()), None)
    genesis = path.read_bytes() if path else b""
    registry = places.registry() if places.registry_file.exists() else {}
    return {
        "network_id": places.network_id,
        # The first chain's, unless the network went on from an export (`authnet chain import`).
        "chain_id": json.loads(genesis)["chain_id"] if genesis else f"{places.network_id}-1",
        "genesis_hash": hashlib.sha256(genesis).hexdigest() if genesis else "",
        "registry": registry.get("address", ""),
        "eth_rpc": places.eth_rpc,
        "eth_chain_id": registry.get("chain_id", 0),
        "front": places.front,
        "dev": True,
    }


def write_network_file(places: Places) -> None:
    """DIR/network.json, for clients on this machine."""
    (places.dir / "network.json").write_text(json.dumps(network_json(places), indent=1) + "\n")


class Discovery:
    """The node list, read from the chain and kept for a moment."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._kept: dict[str, Any] = {}
        self._until = 0.0

    def node_details(self) -> dict[str, Any]:
        """Blocking. Raises AuthnetError(NETWORK_DOWN) when no node was ever reachable."""
        if time.monotonic() < self._until:
            return self._kept
        try:
            self._kept = details(serving(self._places))
        except AuthnetError:
            # The list is still right while nodes are down; clients must see who is missing.
            if not self._kept:
                raise
        self._until = time.monotonic() + CACHE_S
        return self._kept


def details(epoch: dict[str, Any]) -> dict[str, Any]:
    """An EpochView as fetch-node-details reads it."""
    members = epoch["members"]
    endpoints = [f"{member['endpoint'].rstrip('/')}/sss/jrpc" for member in members]
    return {
        "nodeDetails": {
            "currentEpoch": str(epoch["epoch"]),
            "torusNodeEndpoints": endpoints,
            "torusNodeSSSEndpoints": endpoints,
            "torusNodeRSSEndpoints": [],
            "torusNodeTSSEndpoints": [],
            "torusNodePub": [_coordinates(member["service_key"] or member["identity"]) for member in members],
            "torusIndexes": [member["index"] for member in members],
        },
        "success": True,
    }


def _coordinates(compressed: str) -> dict[str, str]:
    from coincurve import PublicKey

    x, y = PublicKey(bytes.fromhex(compressed)).point()
    return {"X": f"{x:064x}", "Y": f"{y:064x}"}
