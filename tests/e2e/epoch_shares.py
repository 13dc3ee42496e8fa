"""The shares that the members of one committee have on their disks, and what they open: k of them, fewer, and mixed
with those of another committee."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

from authnet_core.crypto import secp256k1, shamir
from authnet_core.protocol.views import BatchView, EpochView, KeyView
from localnet.places import load
from p2p_dkg.keystore.store import Keystore
from tests.e2e.keeper_files import opened_copy
from tests.e2e.net import Net

PAGE = 500
KEY_PAGE = 2_000
DRAWS = 20
"""Of subsets and mixes, where there are more than one wants to try."""


@dataclass(frozen=True)
class EpochShares:
    """What one committee's disks hold. `rows`: party -> key index -> (share, nonce)."""

    epoch: int
    k: int
    rows: Mapping[int, Mapping[int, tuple[int, int]]]

    def of(self, index: int) -> dict[int, int]:
        """party -> share of a key."""
        return {party: held[index][0] for party, held in self.rows.items() if index in held}

    def nonces(self, index: int) -> set[int]:
        return {held[index][1] for held in self.rows.values() if index in held}


def nodes_of(net: Net, epoch: int) -> tuple[int, ...]:
    """An epoch's nodes in party order."""
    places = load(net.dir)
    assert places is not None
    return places.committee(epoch)


def some_node(net: Net) -> int:
    """One that runs: the first of the committee in charge."""
    return nodes_of(net, net.status().epoch)[0]


def batches_of(net: Net, epoch: int) -> list[BatchView]:
    """Every batch of keys as an epoch's committee holds it."""
    found: list[BatchView] = []
    node = some_node(net)
    while True:
        first = found[-1].first_index + found[-1].count if found else 0
        page = net.query(node, f"/batches/{epoch}/{first}/{PAGE}", list[BatchView])
        found += page
        if len(page) < PAGE:
            return found


def all_keys(net: Net) -> list[KeyView]:
    """Every key on chain, as it is now."""
    found: list[KeyView] = []
    node = some_node(net)
    while True:
        page = net.query(node, f"/keys/{len(found)}/{KEY_PAGE}", list[KeyView])
        found += page
        if len(page) < KEY_PAGE:
            return found


def read_shares(net: Net, epoch: int) -> EpochShares:
    """Off the disks of the epoch's members, with their passphrases."""
    batches = batches_of(net, epoch)
    rows = {}
    for party, node in enumerate(nodes_of(net, epoch), start=1):
        with opened_copy(net, node) as store:
            rows[party] = _rows(store, epoch, batches)
    view = net.query(some_node(net), f"/epoch/{epoch}", EpochView)
    return EpochShares(epoch, view.k, rows)


def _rows(store: Keystore, epoch: int, batches: Iterable[BatchView]) -> dict[int, tuple[int, int]]:
    files = store.epoch(epoch)
    found = {}
    for batch in batches:
        raw = files.batch(bytes.fromhex(batch.id)) or b""
        for at in range(0, len(raw), 64):
            pair = int.from_bytes(raw[at : at + 32], "big"), int.from_bytes(raw[at + 32 : at + 64], "big")
            found[batch.first_index + at // 64] = pair
    return found


_lagrange = cache(shamir.lagrange)


def opened(points: Mapping[int, int], parties: Iterable[int]) -> int:
    """What these parties' shares give together."""
    return sum(c * points[j] for j, c in _lagrange(tuple(parties)).items()) % secp256k1.Q


def check_key(key: KeyView, shares: EpochShares, draw: random.Random) -> int:
    """k shares open it, whichever; k-1 do not; all hold the one nonce of N. Returns its secret."""
    where, points = f"key {key.index} in epoch {shares.epoch}", shares.of(key.index)
    assert len(points) >= shares.k, f"{where}: fewer than k members hold it"
    found = {opened(points, some) for some in _subsets(points, shares.k, draw)}
    assert len(found) == 1, f"{where}: the k-subsets do not agree"
    secret = found.pop()
    assert secp256k1.pub(secret).hex() == key.Y, f"{where}: k shares do not open Y"
    for few in _subsets(points, shares.k - 1, draw):
        assert opened(points, few) != secret, f"{where}: {few} open it alone"
    nonces = shares.nonces(key.index)
    assert len(nonces) == 1, f"{where}: the members hold different nonces"
    assert secp256k1.pub(nonces.pop()).hex() == key.N, f"{where}: N is not nonce*G"
    return secret


def check_no_mix_opens(index: int, secret: int, old: EpochShares, new: EpochShares, draw: random.Random) -> int:
    """However many of each committee's, from k shares on: together they give something else. Returns how many."""
    tried = 0
    ours, theirs = old.of(index), new.of(index)
    for size in range(min(old.k, new.k), max(old.k, new.k) + 1):
        for count in range(1, size):
            if count >= old.k or size - count >= new.k:
                continue  # those would do without the others
            for _ in range(4):
                mixed = draw.sample(sorted(ours), count)
                free = sorted(theirs.keys() - set(mixed))  # two points at one place are no polynomial's
                if len(free) < size - count:
                    continue
                added = draw.sample(free, size - count)
                points = {j: ours[j] for j in mixed} | {m: theirs[m] for m in added}
                assert opened(points, sorted(points)) != secret, f"key {index}: old {mixed} and new {added} open it"
                tried += 1
    assert tried, "no mix was tried"
    return tried


def check_all(keys: Iterable[KeyView], shares: EpochShares, former: EpochShares | None = None, seed: int = 5) -> int:
    """Every key of a committee, and that its shares do not go with those of a former one. Returns how many keys."""
    draw, count = random.Random(seed), 0
    for key in keys:
        secret = check_key(key, shares, draw)
        if former is not None and former.of(key.index):
            check_no_mix_opens(key.index, secret, former, shares, draw)
        count += 1
    return count


def _subsets(points: Mapping[int, int], size: int, draw: random.Random) -> Iterable[tuple[int, ...]]:
    """All of them, or so many at random where there are too many."""
    parties = sorted(points)
    if len(parties) <= 6:
        return itertools.combinations(parties, size)
    return [tuple(sorted(draw.sample(parties, size))) for _ in range(DRAWS)]
