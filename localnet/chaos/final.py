"""The whole truth at the end of a run: every key of the network opened from its shares, every hash compared.

Reads the nodes' shares over their operators' sockets, which only a development network allows.
"""

from __future__ import annotations

from typing import Any

from authnet_core.crypto import shamir
from authnet_core.errors import AuthnetError
from authnet_core.protocol.accounts import account_id
from authnet_core.protocol.committee import Committee
from authnet_runtime.rpc_once import call_once, query_once
from localnet import hashes
from localnet.chaos.lights import Light
from localnet.chaos.record import Record
from localnet.chaos.schedule import Kind
from localnet.chaos.tokens import VERIFIER
from localnet.discovery import ask_chain
from localnet.places import Places

PAGE = 1000
BLAMES = 20
LONG_S = 30.0


def convictions(places: Places) -> list[dict[str, Any]]:
    """All that the chain has convicted so far. Blocking. Raises AuthnetError."""
    found: list[dict[str, Any]] = []
    while page := ask_chain(places, f"/blame/{len(found)}/{BLAMES}"):
        found += page
    return found


def check_hand_over(places: Places, record: Record, epoch: int) -> None:
    """The newest hand-over is the one that was begun, and it ended with a switch. Blocking."""
    try:
        newest = (ask_chain(places, "/handovers") or [{"epoch": 0, "outcome": "none", "reason": ""}])[0]
    except AuthnetError as error:
        newest = {"epoch": epoch, "outcome": error.code.value, "reason": error.message}
    told = f"epoch {epoch} was announced; epoch {newest['epoch']}: {newest['outcome']} {newest['reason']}"
    record.check(Light.HAND_OVER, (newest["epoch"], newest["outcome"]) == (epoch, "switched"), told)


def check(places: Places, record: Record, convicted: int) -> dict[str, int]:
    """Blocking. Returns how much was looked at. Raises AuthnetError when a node does not answer.

    `convicted`: how many convictions there were before.
    """
    keys = _keys(places)
    shares = {index: _shares(places, index) for index in places.indexes}
    for key in keys:
        _check_key(places, record, key, shares)
    _check_owners(record, keys)
    _check_accounts(places, record)
    blamed = convictions(places)[convicted:]
    _check_blame(record, blamed)
    looked_at = {"convictions": len(blamed), "keys": len(keys), "accounts": len(record.accounts)}
    return looked_at | {"heights": _check_hashes(places, record)}


def _check_blame(record: Record, blamed: list[dict[str, Any]]) -> None:
    liars = {fault.node for episode in record.episodes for fault in episode.step.faults if fault.kind is Kind.LIAR}
    record.check(Light.BLAME, True, "")
    for one in blamed:
        record.check(Light.BLAME, one["convict"] in liars, f"node {one['convict']} is convicted: {one['reason']}")


def _keys(places: Places) -> list[dict[str, Any]]:
    read = places.node_dir(1) / "run" / "read.sock"
    found: list[dict[str, Any]] = []
    while True:
        page = query_once(read, f"/keys/{len(found)}/{PAGE}", timeout=LONG_S)
        found += page
        if len(page) < PAGE:
            return found


def _shares(places: Places, index: int) -> dict[int, int]:
    """key index -> this node's share."""
    ops, first = places.node_dir(index) / "run" / "ops.sock", 0
    found: dict[int, int] = {}
    while page := call_once(ops, "dev_shares", {"from": first, "limit": PAGE}, timeout=LONG_S):
        found |= {int(row["index"]): int(row["share"], 16) for row in page}
        if len(page) < PAGE:
            break
        first = int(page[-1]["index"]) + 1
    return found


def _check_key(places: Places, record: Record, key: dict[str, Any], shares: dict[int, dict[int, int]]) -> None:
    """Some k shares open it, and every other holder's share is on the same polynomial."""
    index, size = int(key["index"]), Committee.of(places.nodes)
    held = {j: shares[j][index] for j in key["holders"] if index in shares[j]}
    lost = sorted(set(key["holders"]) - set(held))
    record.check(Light.KEYS, not lost, f"key {index}: nodes {lost} said they hold it and do not")
    opened = shamir.find_subset(held, size.k, bytes.fromhex(key["Y"]))
    if record.check(Light.KEYS, opened is not None, f"key {index}: its shares do not open it") and opened is not None:
        wrong = shamir.misfits(held, opened)
        record.check(Light.KEYS, not wrong, f"key {index}: the shares of nodes {wrong} do not fit")


def _check_owners(record: Record, keys: list[dict[str, Any]]) -> None:
    points = {key["Y"] for key in keys}
    record.check(Light.OWNERS, len(points) == len(keys), "two keys are the same")
    owners = [key["account_id"] for key in keys if not key["free"]]
    record.check(Light.OWNERS, len(set(owners)) == len(owners), "an account has two keys")


def _check_accounts(places: Places, record: Record) -> None:
    """Every node's chain says of every user what users were told."""
    for account in record.accounts.values():
        name = account_id(places.network_id, VERIFIER, account.user).hex()
        for index in places.indexes:
            read = places.node_dir(index) / "run" / "read.sock"
            try:
                found = query_once(read, f"/account/{name}?curve=secp256k1", timeout=LONG_S)
            except AuthnetError as refusal:
                found = {"keys": [], "code": refusal.code.value}
            points = [key["Y"] for key in (found or {"keys": []})["keys"]]
            record.check(Light.KEYS, points == [account.Y], f"node {index} has no or another key for {account.user}")


def _check_hashes(places: Places, record: Record) -> int:
    """All headers of all nodes, since the first block."""
    newest = min(
        int(query_once(places.node_dir(i) / "run" / "read.sock", "/status", timeout=LONG_S)["height"])
        for i in places.indexes
    )
    lists = {i: hashes.app_hashes(places.node_dir(i) / "run" / "comet.sock", 1, newest - 1) for i in places.indexes}
    first = lists[1]
    for index, rows in lists.items():
        differ = next((a["height"] for a, b in zip(first, rows, strict=False) if a != b), 0)
        same = not differ and len(rows) == len(first)
        record.check(Light.HASHES, same, f"app hashes of nodes 1 and {index} differ at height {differ}")
    return len(first)
