"""After a switch: sampled keys are opened in the exponent under random k-subsets of the new committee.

Asks the nodes' ops.sock for their shares, which only a development network answers.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from authnet_core.crypto import shamir
from authnet_core.crypto.secp256k1 import pub, scalar_bytes
from authnet_core.errors import AuthnetError
from authnet_runtime.rpc_once import call_once
from localnet.discovery import ask_chain, key_count
from localnet.places import Places

SAMPLE = 12
_ASK_S = 20.0


@dataclass(frozen=True, slots=True)
class Opened:
    """`keys` were tried; each under a random k-subset of its `holders`. `wrong` lists those that do not open."""

    keys: int
    subsets: list[list[int]]
    wrong: list[int]

    def __str__(self) -> str:
        if self.wrong:
            return f"keys {self.wrong} DO NOT OPEN"
        return f"{self.keys} sampled keys open under random {len(self.subsets[0]) if self.subsets else 0}-subsets"


def open_sampled(places: Places, epoch: int, sample: int = SAMPLE) -> Opened:
    """Draw keys among all of the network and open each. Raises AuthnetError if nodes do not answer."""
    committee = ask_chain(places, f"/epoch/{epoch}")
    draw = random.SystemRandom()
    pool = ask_chain(places, "/pool")
    made = key_count(pool) - int(pool["under_way"])
    chosen = sorted(draw.sample(range(made), min(sample, made)))
    subsets, wrong = [], []
    for index in chosen:
        key = next(iter(ask_chain(places, f"/keys/{index}/1")), None)
        if key is None or key["mask"]:
            continue  # not on chain yet, or one that nobody can be given
        shares = _shares(places, epoch, index)
        if len(shares) < committee["k"]:
            wrong.append(index)
            continue
        parties = sorted(draw.sample(sorted(shares), committee["k"]))
        subsets.append(parties)
        secret = shamir.interpolate_at_zero({j: shares[j] for j in parties})
        if pub(scalar_bytes(secret)).hex() != key["Y"]:
            wrong.append(index)
    return Opened(len(subsets), subsets, wrong)


def _shares(places: Places, epoch: int, index: int) -> dict[int, int]:
    """party -> share of one key, from each node that has it."""
    found: dict[int, int] = {}
    for party, node in enumerate(places.committee(epoch), start=1):
        sock = places.node_dir(node) / "run" / "ops.sock"
        try:
            lines: list[dict[str, Any]] = call_once(sock, "dev_shares", {"from": index, "limit": 1}, timeout=_ASK_S)
        except AuthnetError:
            continue
        if lines and lines[0]["index"] == index:
            found[party] = int(lines[0]["share"], 16)
    return found
