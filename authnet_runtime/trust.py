"""What is believed of members without a chain: one block that n - t of them name alike; which committee serves.

Their endpoints come from the registry, so from Ethereum. From that block on CometBFT's light client checks for itself.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import anyio
import httpx
import msgspec

from authnet_core.errors import AuthnetError, Code
from authnet_core.json_text import NOT_JSON

BEHIND = 5_000
"""Blocks below the newest: older than any state on offer, since a light client walks backwards block by block."""
_TIMEOUT_S = 10.0
_MAX_ANSWER = 1 << 20
_PLAIN = re.compile(r"https?://[A-Za-z0-9._:\[\]-]+(/[A-Za-z0-9._~/-]*)?")
"""What may stand in CometBFT's config.toml, in a list with commas. Members write what they like into the registry."""


@dataclass(frozen=True, slots=True)
class Trust:
    """A block, and who named it: base URLs for CometBFT's `rpc_servers`."""

    height: int
    hash: str
    servers: tuple[str, ...]


async def find_trust(endpoints: Sequence[str], needed: int, chain_id: str) -> Trust:
    """Ask the members' endpoints. Raises AuthnetError(UNAVAILABLE) unless `needed` name one block of `chain_id`."""
    async with httpx.AsyncClient(timeout=_TIMEOUT_S, follow_redirects=False) as http:
        servers = tuple(f"{endpoint.rstrip('/')}/comet" for endpoint in endpoints if _PLAIN.fullmatch(endpoint))
        ranges = await _ask_all(http, {server: f"{server}/status" for server in servers}, _range_of)
        if len(ranges) < needed:
            raise AuthnetError(Code.UNAVAILABLE, f"{len(ranges)} of {len(servers)} members answer, {needed} must")
        # The `needed`-th newest: what liars say of newer blocks moves it no higher than an honest member has.
        newest = sorted((latest for _, latest in ranges.values()), reverse=True)[needed - 1]
        oldest = sorted(earliest for earliest, _ in ranges.values())[needed - 1]
        height = max(oldest, newest - BEHIND, 1)
        asked = {server: f"{server}/commit?height={height}" for server in ranges}
        hashes = await _ask_all(http, asked, lambda answer: _hash_of(answer, chain_id, height))
    (name, votes), *_ = Counter(hashes.values()).most_common(1) or [("", 0)]
    if votes < needed:
        raise AuthnetError(Code.UNAVAILABLE, f"{votes} members name one block {height}, {needed} must")
    return Trust(height, name, tuple(server for server in servers if hashes.get(server) == name))


async def count_serving(endpoints: Sequence[str], epoch: int) -> int:
    """How many of an epoch's members say that it serves logins."""
    async with httpx.AsyncClient(timeout=_TIMEOUT_S, follow_redirects=False) as http:
        asked = {endpoint: f"{endpoint.rstrip('/')}/v1/node-details" for endpoint in endpoints}
        said = await _ask_all(http, asked, lambda answer: int(answer["epoch"]))
    return sum(number == epoch for number in said.values())


async def _ask_all(http: httpx.AsyncClient, urls: Mapping[str, str], read: Any) -> dict[str, Any]:
    """What `read` makes of each server's answer; without those that gave none that is any good."""
    found: dict[str, Any] = {}

    async def ask(server: str, url: str) -> None:
        try:
            async with http.stream("GET", url) as response:
                body = b""
                async for part in response.aiter_bytes():
                    body += part
                    if len(body) > _MAX_ANSWER:
                        return
            found[server] = read(msgspec.json.decode(body))
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError, KeyError, TypeError, *NOT_JSON):
            return

    async with anyio.create_task_group() as group:
        for server, url in urls.items():
            group.start_soon(ask, server, url)
    return found


def _range_of(answer: dict[str, Any]) -> tuple[int, int]:
    sync = answer["result"]["sync_info"]
    earliest, latest = int(sync["earliest_block_height"]), int(sync["latest_block_height"])
    if not 0 < earliest <= latest < 2**62:
        raise ValueError("no range")
    return earliest, latest


def _hash_of(answer: dict[str, Any], chain_id: str, height: int) -> str:
    signed = answer["result"]["signed_header"]
    header, commit = signed["header"], signed["commit"]
    name = commit["block_id"]["hash"]
    if header["chain_id"] != chain_id or int(header["height"]) != height or len(bytes.fromhex(name)) != 32:
        raise ValueError("another block")
    return str(name).upper()
