"""How far a localnet that is starting has come: one question per stage, asked of the processes themselves.

`up` is done when a user can log in: epoch 1 stands, verifiers are known, keys are in the pool, every door is open.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from authnet_core.crypto.hashing import keccak256
from authnet_core.errors import AuthnetError
from authnet_runtime.rpc_once import query_once
from localnet import ethereum
from localnet.discovery import ask_chain
from localnet.idp import VERIFIERS
from localnet.places import Places

REGISTERED = "0x" + keccak256(b"MemberRegistered(uint64,address)").hex()


@dataclass(frozen=True, slots=True)
class Stage:
    """`look` returns (how many, of how many)."""

    name: str
    title: str
    look: Callable[[Places], tuple[int, int]]

    def text(self, seen: int, wanted: int) -> str:
        """One line of progress; a count of one thing is no news."""
        if wanted > 1:
            return f"{self.title}: {seen}/{wanted}"
        return f"{self.title}: {seen}" if seen > 1 else self.title


def registered(places: Places, epoch: int = 1) -> tuple[int, int]:
    """How many members of `epoch` the contract has."""
    seats = len(places.committee(epoch))
    try:
        address = places.registry()["address"]
        topics = [REGISTERED, f"0x{epoch:064x}"]
        where = {"address": address, "fromBlock": "0x0", "toBlock": "latest", "topics": topics}
        return len(ethereum.call(places.eth_rpc, "eth_getLogs", where)), seats
    except (OSError, ValueError):
        return 0, seats


def genesis(places: Places) -> tuple[int, int]:
    return sum((places.node_dir(i) / "genesis.json").exists() for i in places.indexes), len(places.indexes)


def chain(places: Places) -> tuple[int, int]:
    heights = 0
    for index in places.indexes:
        try:
            heights += query_once(places.node_dir(index) / "run" / "read.sock", "/status", timeout=1.0)["height"] > 0
        except AuthnetError:
            continue
    return heights, len(places.indexes)


def committee(places: Places) -> tuple[int, int]:
    epoch = _ask(places, "/epoch/current")
    return int(isinstance(epoch, dict) and epoch.get("epoch", 0) >= 1), 1


def verifiers(places: Places) -> tuple[int, int]:
    known = _ask(places, "/verifiers")
    return len(known) if isinstance(known, list) else 0, len(VERIFIERS)


def keys(places: Places) -> tuple[int, int]:
    pool = _ask(places, "/pool")
    return (int(pool["free"]) if isinstance(pool, dict) else 0), 1


def doors(places: Places) -> tuple[int, int]:
    return sum(is_open(places, index) for index in places.indexes), len(places.indexes)


def is_open(places: Places, index: int) -> bool:
    """Whether the node's public door says it is ready."""
    connection = HTTPConnection("127.0.0.1", places.ports(index).api, timeout=1.0)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


STAGES = (
    Stage("registered", "nodes register at the contract", registered),
    Stage("genesis", "each node derives the genesis", genesis),
    Stage("chain", "blocks", chain),
    Stage("committee", "the nodes observe epoch 1", committee),
    Stage("verifiers", "identity providers on chain", verifiers),
    Stage("keys", "the nodes make the first keys together", keys),
    Stage("doors", "public doors open", doors),
)


class Progress:
    """Lines of run/progress.jsonl, which `up` follows."""

    def __init__(self, path: Path) -> None:
        self._path, self._begun = path, time.monotonic()
        path.write_text("")

    def say(self, stage: str, state: str, text: str = "") -> None:
        """`state`: doing, done, failed."""
        line = {"stage": stage, "state": state, "text": text, "ms": int((time.monotonic() - self._begun) * 1000)}
        with self._path.open("a") as file:
            file.write(json.dumps(line) + "\n")


def _ask(places: Places, path: str) -> object:
    try:
        found: object = ask_chain(places, path)
    except AuthnetError:
        return None
    return found
