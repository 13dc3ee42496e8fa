"""KEYS: an aligned run of a final session's keys, proven against the root that n-t members signed.

Any member may post; the first one wins. From here on the keys can be assigned.
"""

from __future__ import annotations

from functools import lru_cache

from msgspec.structs import replace

from abci_app.reshare import batches, masks
from abci_app.rules.events import Event, event
from abci_app.rules.transactions import Tx
from abci_app.sessions.pool import add_free
from abci_app.sessions.sessions import FINAL, get_session, is_held_by_all, require_phase
from abci_app.state import tables
from abci_app.state.state import State
from authnet_core.crypto import merkle
from authnet_core.errors import Code, Rejected
from authnet_core.protocol.dkg.messages import CHUNK_KEYS, KEY_PAIR
from authnet_core.wire.authnet_pb2 import Keys


@lru_cache(maxsize=32)
def _is_proven(root: bytes, keys: bytes, chunk: int, total: int, path: tuple[bytes, ...]) -> bool:
    leaves = [keys[at : at + KEY_PAIR] for at in range(0, len(keys), KEY_PAIR)]
    return merkle.verify_chunk(root, leaves, chunk, total, path, CHUNK_KEYS)


def check(state: State, tx: Tx) -> None:
    """Raise Rejected unless the chunk is missing and its path leads to the session's root."""
    message: Keys = tx.message
    _, session, _ = get_session(state, tx.signer, message.sid)
    require_phase(session, FINAL)
    if message.chunk >= -(-session.count // CHUNK_KEYS):
        raise Rejected(Code.MALFORMED, "the session has no such chunk")
    if session.chunks >> message.chunk & 1:
        raise Rejected(Code.ALREADY_DONE, "this chunk is on chain already")
    expected = min(CHUNK_KEYS, session.count - message.chunk * CHUNK_KEYS)
    if len(message.keys) != expected * KEY_PAIR:
        raise Rejected(Code.MALFORMED, f"this chunk has {expected} keys of {KEY_PAIR} bytes")
    if not _is_proven(session.root, message.keys, message.chunk, session.count, tuple(message.path)):
        raise Rejected(Code.ROOT_MISMATCH, "the keys do not lead to the session's root")


def apply(state: State, tx: Tx) -> tuple[bytes, list[Event]]:
    """Store the keys below the root and make them free, but for a few that are kept as masks."""
    message: Keys = tx.message
    _, session, _ = get_session(state, tx.signer, message.sid)
    session = replace(session, chunks=session.chunks | 1 << message.chunk)
    state.put(tables.session(session.sid), session)
    first = session.first_index + message.chunk * CHUNK_KEYS
    count = len(message.keys) // KEY_PAIR
    if message.path:
        # So that whoever is handed this chunk with a snapshot can check it without the others.
        state.put_bulk(tables.key_path(first), b"".join(message.path))
    for offset in range(count):
        pair = message.keys[offset * KEY_PAIR : (offset + 1) * KEY_PAIR]
        state.put_bulk(tables.pool_key(first + offset), pair)
        state.put_bulk(tables.key_by_pub(pair[:33]), (first + offset).to_bytes(8, "big"))
    batch = batches.add_keys(state, session.epoch, session.first_index, count)
    kept = masks.set_aside(state, batch, first, count)
    add_free(state, batch, is_held_by_all(session), first, count, kept)
    done = event(
        "key_final",
        sid=session.sid.hex(),
        curve=session.curve,
        chunk=message.chunk,
        first_index=first,
        count=count,
    )
    return b"", [done]
