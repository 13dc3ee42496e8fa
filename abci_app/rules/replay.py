"""Replay protection: what was executed is remembered until it could not be executed any more.

Ids hang in ordered lists per expiry height outside of the tree; a running hash per list is in the tree, so a
block costs a tree update per expiry height it touches, however many transactions it has.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from abci_app.state import records as r
from abci_app.state import tables
from abci_app.state.state import State

_EMPTY = r.Bucket(0, bytes(32))


def close_block(state: State, expiries: Sequence[int]) -> tuple[int, ...]:
    """Fold this block's ids into the running hashes; return the lists that were dropped.

    Lists that expired are dropped only in a block that remembers something: dropping changes the app hash,
    and an idle chain must come to rest.
    """
    if not state.remembered:
        return ()
    for expiry, ids in state.remembered.items():
        bucket = state.get(tables.bucket(expiry)) or _EMPTY
        digest = bucket.digest
        for place, replay_id in enumerate(ids, start=bucket.count):
            digest = sha256(digest + replay_id).digest()
            state.put_bulk(tables.replay_id(expiry, place), replay_id)
        state.put(tables.bucket(expiry), r.Bucket(bucket.count + len(ids), digest))
    dropped = tuple(expiry for expiry in expiries if expiry < state.block.height)
    for expiry in dropped:
        bucket = state.need(tables.bucket(expiry))
        for place in range(bucket.count):
            state.bulk_changes[tables.replay_id(expiry, place)] = None
        state.delete(tables.bucket(expiry))
    return dropped
