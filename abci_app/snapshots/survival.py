"""What of a state lives on in a new chain: committees, accounts, keys, batches, verifiers, convictions.

What is under way does not: sessions, hand-overs, votes and transactions are signed for the old chain's name. Heights
and times go on where they were, so nothing that names one is changed. A table that is in no list is kept; the tests
want it in one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Final

from msgspec.structs import replace

from abci_app.handover.phases import ABORTED, NEXT
from abci_app.sessions.sessions import FINAL
from abci_app.snapshots import chunks
from abci_app.state import records as r
from abci_app.state import tables
from abci_app.state.batch_records import Batch, ReshareCase
from abci_app.state.state import decode, encode
from abci_app.state.store import Snapshot
from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.exports import next_chain_id

KEPT: Final = frozenset(
    {
        b"params",
        b"validators",
        b"epoch",
        b"indices",
        b"handovers",
        b"blames",
        b"blame/",
        b"convicts/",
        b"masks/",
        b"pool/",
        b"key/",
        b"account/",
        b"verifiers",
        b"verifier/",
        b"audience/",
    }
)
DROPPED: Final = frozenset(
    {
        b"dealt/",
        b"enckey/",
        b"handover",
        b"moving",
        b"quota/",
        b"redealt/",
        b"replay/",
        b"reshare/",
        b"roots",
        b"short/",
        b"sweeps",
        b"voted/",
        b"votes/",
    }
)
"""Encryption keys too: a counter's key must not serve a session of the old chain and one of the new."""

Change = Callable[[bytes, bytes], bytes | None]
"""(key, value) to the value that lives on, None for none."""


def table_of(key: bytes) -> bytes:
    """The table of a key of the tree: up to its first slash; the three lists of sessions are one each."""
    head, slash, _ = key.partition(b"/")
    return key if head == b"sessions" else head + slash


def invalid(reason: str) -> AuthnetError:
    """The refusal of a state that can not move."""
    return AuthnetError(Code.EXPORT_INVALID, reason)


class Survivors:
    """The state as a new chain begins with it, read from a snapshot of the old one."""

    def __init__(self, state: Snapshot) -> None:
        """Raises AuthnetError(EXPORT_INVALID) when there is nothing that could live on."""
        genesis, current = state.get(tables.GENESIS), state.get(tables.CURRENT_EPOCH)
        if genesis is None or current is None:
            raise invalid("the chain has no committee yet")
        self._state, self.genesis, self._epoch = state, genesis, current.epoch
        self.changed: Mapping[bytes, Change] = {
            b"genesis": self._genesis,
            b"epoch/": self._of_epoch,
            b"batch/": self._batch,
            b"session/": self._session,
            b"keygen": self._keygen,
            b"sessions/open": self._empty,
            b"sessions/recent": self._recent,
            b"sessions/retained": self._empty,
        }

    def entries(self, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """All that travels to the new chain, in order, from the LevelDB key `start` on. Raises EXPORT_INVALID."""
        for key, value in chunks.entries(self._state, start):
            table = table_of(key[1:])
            if key[:1] == tables.REPLAY_IDS or (key[:1] == tables.VALUES and table in DROPPED):
                continue
            change = self.changed.get(table) if key[:1] == tables.VALUES else None
            kept = value if change is None else change(key[1:], value)
            if kept is not None:
                yield key, kept

    def _genesis(self, _: bytes, __: bytes) -> bytes:
        chain_id = next_chain_id(self.genesis.network_id, self.genesis.chain_id)
        return encode(replace(self.genesis, chain_id=chain_id))

    def _of_epoch(self, _: bytes, value: bytes) -> bytes | None:
        """A committee that was to come may be announced anew; one that was called off never comes back. If a conviction
        names it, it is called off: its keys are a part of the evidence."""
        epoch = decode(value, r.Epoch)
        if epoch.status != NEXT:
            return value
        return encode(replace(epoch, status=ABORTED)) if epoch.epoch in self._judged else None

    @cached_property
    def _judged(self) -> frozenset[int]:
        """Epochs whose keys were moved to when somebody was convicted."""
        count = (self._state.get(tables.BLAME_COUNT) or r.BlameCount()).count
        records = [self._state.get(tables.blame(number)) for number in range(count)]
        return frozenset(decode(b.reshare, ReshareCase).to_epoch for b in records if b is not None and b.reshare)

    def _batch(self, _: bytes, value: bytes) -> bytes | None:
        batch = decode(value, Batch)
        if batch.epoch > self._epoch:
            return None
        if not batch.is_complete:
            raise invalid(f"the keys from {batch.first_index} on are not on chain yet: try again when they are")
        return value

    def _session(self, _: bytes, value: bytes) -> bytes | None:
        return value if decode(value, r.Session).phase == FINAL else None

    def _keygen(self, _: bytes, value: bytes) -> bytes:
        return encode(replace(decode(value, r.Keygen), waiting_height=0, waiting_ms=0))

    def _empty(self, _: bytes, __: bytes) -> bytes:
        return encode(r.SessionList())

    def _recent(self, _: bytes, value: bytes) -> bytes:
        sessions = [self._state.get(tables.session(sid)) for sid in decode(value, r.SessionList).sids]
        return encode(r.SessionList(tuple(s.sid for s in sessions if s is not None and s.phase == FINAL)))
