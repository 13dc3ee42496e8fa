"""The registry contract's node lists by eth_call, no web3 needed.

getNodeSet (torusjs-wire.md section 5) gives the newest epoch whose notice is over. The chain may still be served by one
before it, so `read_epochs` follows `previous` back (getEpoch of contracts/src/Epochs.sol).
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from authnet_client.link import Link
from authnet_core.crypto.secp256k1 import compress
from authnet_core.errors import AuthnetError, Code

_SELECTOR = "d59936e9"
_GET_EPOCH = "12a02c82"
MAX_BACK = 3
"""Epochs before the newest that are looked at: more hand-overs than that are not under way at once."""
_MAX_ITEMS = 64
_WORD = 32


@dataclass(frozen=True, slots=True)
class RegisteredNode:
    index: int
    endpoint: str
    identity: str
    """33-byte point in hex."""


@dataclass(frozen=True, slots=True)
class NodeSet:
    """One epoch's members as the contract lists them."""

    epoch: int
    nodes: tuple[RegisteredNode, ...]


async def read_node_set(link: Link, rpc: str, contract: str) -> NodeSet:
    """Ask the Ethereum RPC. Raises NETWORK_DOWN, TIMEOUT or BAD_NODE_ANSWER."""
    # getNodeSet("", 0): both arguments are there for old clients and change nothing.
    raw = await _call(link, rpc, contract, f"0x{_SELECTOR}{0x40:064x}{0:064x}{0:064x}")
    try:
        return decode_node_set(raw)
    except ValueError:
        raise AuthnetError(Code.BAD_NODE_ANSWER, "the registry's answer is no node list") from None


async def read_epochs(link: Link, rpc: str, contract: str) -> list[NodeSet]:
    """The newest epoch whose notice is over and those before it, newest first. Raises as `read_node_set`."""
    newest = await read_node_set(link, rpc, contract)
    found, number = [newest], newest.epoch
    while newest.epoch > 1 and number > 0 and len(found) <= MAX_BACK:
        raw = await _call(link, rpc, contract, f"0x{_GET_EPOCH}{number:064x}")
        try:
            epoch, before = decode_epoch(raw)
        except ValueError:
            raise AuthnetError(Code.BAD_NODE_ANSWER, "the registry's answer is no epoch") from None
        if epoch.epoch != number or before >= number:
            raise AuthnetError(Code.BAD_NODE_ANSWER, "the registry's answer is another epoch")
        if epoch.epoch != newest.epoch:
            found.append(epoch)
        number = before
    return found


async def _call(link: Link, rpc: str, contract: str, data: str) -> bytes:
    request = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "eth_call",
        "params": [{"to": contract, "data": data}, "latest"],
    }
    text = await link.rpc(rpc, msgspec.json.encode(request), str)
    try:
        return bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        raise AuthnetError(Code.BAD_NODE_ANSWER, "the registry's answer is no hex") from None


def decode_epoch(raw: bytes) -> tuple[NodeSet, int]:
    """An `EpochView`: its members, and the number of the epoch before it (0 for the first). Raises ValueError."""
    at = _uint(raw, 0)
    members = at + _uint(raw, at + 12 * _WORD)
    start, nodes = members + _WORD, []
    for i in range(_count(raw, members)):
        member = start + _uint(raw, start + i * _WORD)
        node = member + _uint(raw, member + _WORD)
        x, y = _uint(raw, node), _uint(raw, node + _WORD)
        endpoint = _string(raw, node + _uint(raw, node + 7 * _WORD))
        identity = compress(x.to_bytes(32, "big") + y.to_bytes(32, "big")).hex()
        nodes.append(RegisteredNode(i + 1, endpoint, identity))
    return NodeSet(_uint(raw, at), tuple(nodes)), _uint(raw, at + 4 * _WORD)


def decode_node_set(raw: bytes) -> NodeSet:
    """(uint256 epoch, string[] endpoints, uint256[] x, uint256[] y, uint256[] indexes). Raises ValueError."""
    epoch = _uint(raw, 0)
    endpoints = _strings(raw, _uint(raw, 1 * _WORD))
    xs, ys, indexes = (_uints(raw, _uint(raw, i * _WORD)) for i in (2, 3, 4))
    if not len(endpoints) == len(xs) == len(ys) == len(indexes):
        raise ValueError("lists of different length")
    nodes = tuple(
        RegisteredNode(index, endpoint, compress(x.to_bytes(32, "big") + y.to_bytes(32, "big")).hex())
        for index, endpoint, x, y in zip(indexes, endpoints, xs, ys, strict=True)
    )
    return NodeSet(epoch, nodes)


def _uint(raw: bytes, at: int) -> int:
    if not 0 <= at <= len(raw) - _WORD:
        raise ValueError("the answer is cut short")
    return int.from_bytes(raw[at : at + _WORD], "big")


def _count(raw: bytes, at: int) -> int:
    count = _uint(raw, at)
    if count > _MAX_ITEMS:
        raise ValueError("the list is too long")
    return count


def _uints(raw: bytes, at: int) -> list[int]:
    return [_uint(raw, at + _WORD * (1 + i)) for i in range(_count(raw, at))]


def _strings(raw: bytes, at: int) -> list[str]:
    start = at + _WORD
    return [_string(raw, start + _uint(raw, start + _WORD * i)) for i in range(_count(raw, at))]


def _string(raw: bytes, at: int) -> str:
    size = _uint(raw, at)
    if size > len(raw) - at - _WORD:
        raise ValueError("the answer is cut short")
    return raw[at + _WORD : at + _WORD + size].decode()
