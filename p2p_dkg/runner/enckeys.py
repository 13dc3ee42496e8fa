"""ENCKEY: this node's encryption keys for coming sessions, announced ahead with proofs of knowledge.

Secrets are on disk before their keys leave. The first ENCKEY of an epoch announces the epoch's service key too.
"""

from __future__ import annotations

import os

from anyio import to_thread

from authnet_core.crypto import pok, secp256k1
from authnet_core.crypto.secp256k1 import Q
from authnet_core.protocol.dkg.strings import enckey_context
from authnet_core.protocol.views import EncKeysView, EncKeyView
from authnet_core.wire import authnet_pb2 as pb
from authnet_runtime.chain import ChainReader
from p2p_dkg.keystore.epochs import EpochFiles
from p2p_dkg.runner.submit import TxDesk

AHEAD = 32
LOW = 8
RETRY_BLOCKS = 4


def draw_secret() -> bytes:
    """A uniform scalar other than zero."""
    return (int.from_bytes(os.urandom(48), "big") % (Q - 1) + 1).to_bytes(32, "big")


def make_entry(chain_id: str, epoch: int, member: int, counter: int, secret: bytes) -> pb.EncKeyEntry:
    """One announced key with its proof of knowledge."""
    context = enckey_context(chain_id, epoch, counter, member)
    return pb.EncKeyEntry(key=secp256k1.pub(secret), pok=pok.prove(secret, context, os.urandom(32)))


class EncKeyPoster:
    """Keeps enough announced keys waiting, for one epoch."""

    def __init__(self, chain: ChainReader, desk: TxDesk, files: EpochFiles, chain_id: str, member: int) -> None:
        self._chain, self._desk, self._files = chain, desk, files
        self._chain_id, self._member = chain_id, member
        self._not_before = 0
        self._replace = False
        self._fresh: dict[int, bytes] = {}
        self.is_settled = False
        """Whether the chain showed enough keys at the last look."""

    def replace_all(self) -> None:
        """After a restore: what is announced may be known to this disk no more."""
        self._replace, self._fresh, self.is_settled = True, {}, False

    async def check(self, height: int) -> None:
        """Post if fewer than 8 usable keys wait, or the disk does not have what the chain names."""
        if height < self._not_before:
            return
        view = await self._chain.query(f"/enckeys/{self._files.epoch}", EncKeysView)
        own = None if view is None else next((m for m in view.members if m.index == self._member), None)
        if view is None or own is None:
            return
        first = self._first_to_post(view.next_counter, own)
        self.is_settled = first is None
        if first is None:
            return
        self._not_before = height + RETRY_BLOCKS
        entries, service = await to_thread.run_sync(self._prepare, first)
        fields = pb.EncKey(first_counter=first, keys=entries, service_key=b"" if own.service_key else service)
        ticket = await self._desk.try_send(self._files.epoch, "enckey", fields)
        if ticket is not None and ticket.code is None:
            self._replace = False

    def _first_to_post(self, next_counter: int, own: EncKeyView) -> int | None:
        waiting = self._files.waiting.secrets
        announced = range(max(own.first, next_counter), own.last + 1)
        if self._replace:
            return next_counter
        if (missing := next((c for c in announced if c not in waiting), None)) is not None:
            return missing
        if len(announced) < LOW or not own.service_key:
            return max(next_counter, own.last + 1)
        return None

    def _prepare(self, first: int) -> tuple[list[pb.EncKeyEntry], bytes]:
        """Draw and store secrets for 32 counters; what the disk has already is used again."""
        service = self._files.service(create=True)
        waiting = self._files.waiting
        stored = waiting.secrets
        # A replacement is drawn once: an attempt that seemed lost may still come on chain.
        known = self._fresh if self._replace else stored
        secrets = {c: known.get(c) or draw_secret() for c in range(first, first + AHEAD)}
        if self._replace:
            self._fresh = secrets
        waiting.put({c: s for c, s in secrets.items() if stored.get(c) != s})
        entries = [make_entry(self._chain_id, self._files.epoch, self._member, c, s) for c, s in secrets.items()]
        return entries, b"" if service is None else service.pub
