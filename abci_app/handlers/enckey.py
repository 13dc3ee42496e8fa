"""ENCKEY: a member announces encryption keys for the counters of coming sessions (dkg.md section 2).

A later one replaces keys of counters that have not started. A member's first one of an epoch also announces
its service key, unless its READY_NODE did. Members of the next committee announce keys for resharings, by the same
counters as for the sessions after them.
"""

from __future__ import annotations

from functools import lru_cache

from abci_app.handover.readiness import get_next_counter
from abci_app.rules.events import Event
from abci_app.rules.members import get_party
from abci_app.rules.quotas import charge, require_enckey
from abci_app.rules.transactions import Tx
from abci_app.state import records as r
from abci_app.state import tables
from abci_app.state.state import State
from authnet_core.crypto import pok
from authnet_core.crypto.secp256k1 import is_point
from authnet_core.errors import Code, Rejected
from authnet_core.protocol.dkg.strings import enckey_context
from authnet_core.wire.authnet_pb2 import EncKey

MAX_KEYS = 32
_verify = lru_cache(maxsize=2_048)(pok.verify)


def check(state: State, tx: Tx) -> None:
    """Raise Rejected unless the keys are new, provably the signer's and for counters within reach."""
    message: EncKey = tx.message
    epoch, member = get_party(state, tx.signer, tx.epoch)
    if not 1 <= len(message.keys) <= MAX_KEYS:
        raise Rejected(Code.MALFORMED, f"between 1 and {MAX_KEYS} keys")
    _check_service_key(state.get(tables.enckeys(epoch.epoch, member)), message.service_key)
    _check_counters(state, epoch.epoch, member, message)
    require_enckey(state, epoch.epoch, member)
    chain_id = state.need(tables.GENESIS).chain_id
    for counter, entry in enumerate(message.keys, start=message.first_counter):
        context = enckey_context(chain_id, epoch.epoch, counter, member)
        if not _verify(entry.key, context, entry.pok):
            raise Rejected(Code.BAD_PROOF, f"proof of knowledge for counter {counter} does not verify")


def _check_service_key(known: r.EncKeys | None, service_key: bytes) -> None:
    if known is None and not is_point(service_key):
        raise Rejected(Code.MALFORMED, "the first ENCKEY of an epoch announces the service key")
    if known is not None and service_key not in (b"", known.service_key):
        raise Rejected(Code.ALREADY_DONE, "the service key of this epoch is announced already")


def _check_counters(state: State, epoch: int, member: int, message: EncKey) -> None:
    started = get_next_counter(state, epoch)
    ahead = state.need(tables.PARAMS).enckey_ahead
    last = message.first_counter + len(message.keys) - 1
    if last < started:
        raise Rejected(Code.BAD_COUNTER, f"counters below {started} have started")
    if last >= started + ahead + MAX_KEYS:
        raise Rejected(Code.BAD_COUNTER, f"counters end below {started + ahead + MAX_KEYS}")
    known = state.get(tables.enckeys(epoch, member))
    if known is None or not known.keys or known.last < started:
        return
    if message.first_counter > known.last + 1:
        raise Rejected(Code.BAD_COUNTER, f"counters go on at {known.last + 1} or below")
    # A gap would move the later keys to counters that their proofs are not for.
    if last + 1 < known.first:
        raise Rejected(Code.BAD_COUNTER, f"counters reach to {known.first - 1} or above")


def apply(state: State, tx: Tx) -> tuple[bytes, list[Event]]:
    """Keep the announced keys, without those whose counters have started."""
    message: EncKey = tx.message
    epoch, member = get_party(state, tx.signer, tx.epoch)
    slot = tables.enckeys(epoch.epoch, member)
    started = get_next_counter(state, epoch.epoch)
    known = state.get(slot)
    first, keys = message.first_counter, [entry.key for entry in message.keys]
    merged: dict[int, bytes] = {}
    if known is not None:
        merged = dict(enumerate(known.keys, start=known.first))
    merged.update(enumerate(keys, start=first))
    live = sorted(counter for counter in merged if counter >= started)
    service_key = known.service_key if known is not None else message.service_key
    state.put(slot, r.EncKeys(service_key, live[0], tuple(merged[counter] for counter in live)))
    charge(state, epoch.epoch, member, enckeys=1)
    return b"", []
