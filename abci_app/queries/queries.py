"""Queries: a path and a height to a view, and on demand the proofs of the records behind it.

Served by ABCI Query and by read.sock alike, from snapshots, so an answer is of one height whatever is being
written meanwhile. Anything malformed is a code and a sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from abci_app.queries import epochs as queries_epochs
from abci_app.queries import keys as queries_keys
from abci_app.queries import present
from abci_app.queries import reshares as queries_reshares
from abci_app.queries.parts import Absent, Found, parse_hex, parse_number, parse_page
from abci_app.sessions.sessions import SECP256K1
from abci_app.state import records as r
from abci_app.state import tables
from abci_app.state.store import Snapshot, Store
from authnet_core.crypto import smt
from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol import views as v

MAX_SESSIONS = 500
MAX_BLAME = 20
_MAX_PATH = 512


@dataclass(frozen=True, slots=True)
class Answer:
    """`proofs` verify against `app_hash`, which is in the header of `height` + 1."""

    height: int
    app_hash: bytes
    view: Any
    refusal: AuthnetError | None = None
    proofs: list[smt.Presence | smt.Absence] = field(default_factory=list)


def _status(snapshot: Snapshot, arguments: list[str]) -> Found:
    genesis = snapshot.get(tables.GENESIS)
    if genesis is None:
        raise AuthnetError(Code.UNAVAILABLE, "the chain has no block yet")
    return Found(present.status_view(snapshot, genesis), (tables.GENESIS.key,))


def _params(snapshot: Snapshot, arguments: list[str]) -> Found:
    params = snapshot.get(tables.PARAMS) or r.Params()
    return Found(v.ParamsView(values=msgspec.structs.asdict(params)), (tables.PARAMS.key,))


def _listed(snapshot: Snapshot, sids: Sequence[bytes]) -> list[r.Session]:
    return [session for sid in sids if (session := snapshot.get(tables.session(sid))) is not None]


def _sessions(snapshot: Snapshot, arguments: list[str]) -> Found:
    height = snapshot.meta.height
    opened, recent = (
        _listed(snapshot, (snapshot.get(place) or r.SessionList()).sids)
        for place in (tables.OPEN_SESSIONS, tables.RECENT_SESSIONS)
    )
    view = v.SessionsView(
        open=tuple(present.session_view(session, height) for session in opened),
        recent=tuple(present.session_view(session, height) for session in recent),
    )
    return Found(view, (tables.OPEN_SESSIONS.key, tables.RECENT_SESSIONS.key))


def _retained(snapshot: Snapshot, arguments: list[str]) -> Found:
    """All of them: more than some thousands do not fit an answer, so readers page."""
    sessions = _listed(snapshot, (snapshot.get(tables.RETAINED_SESSIONS) or r.SessionList()).sids)
    return Found([present.retained_view(s) for s in sessions], (tables.RETAINED_SESSIONS.key,))


def _retained_page(snapshot: Snapshot, arguments: list[str]) -> Found:
    first, limit = parse_page(arguments, MAX_SESSIONS)
    sids = (snapshot.get(tables.RETAINED_SESSIONS) or r.SessionList()).sids[first : first + limit]
    return Found([present.retained_view(s) for s in _listed(snapshot, sids)], (tables.RETAINED_SESSIONS.key,))


def _retained_count(snapshot: Snapshot, arguments: list[str]) -> Found:
    if arguments != ["count"]:
        raise AuthnetError(Code.UNKNOWN_PATH, "no such path")
    sids = (snapshot.get(tables.RETAINED_SESSIONS) or r.SessionList()).sids
    return Found(len(sids), (tables.RETAINED_SESSIONS.key,))


def _blame_range(snapshot: Snapshot, first: int, limit: int) -> Found:
    records = [snapshot.get(tables.blame(number)) for number in range(first, first + limit)]
    found = [present.blame_view(snapshot, record, False) for record in records if record is not None]
    return Found(found, (tables.BLAME_COUNT.key,))


def _blame_newest(snapshot: Snapshot, arguments: list[str]) -> Found:
    """The newest convictions, oldest first, without their evidence."""
    count = (snapshot.get(tables.BLAME_COUNT) or r.BlameCount()).count
    return _blame_range(snapshot, max(0, count - MAX_BLAME), MAX_BLAME)


def _blame_page(snapshot: Snapshot, arguments: list[str]) -> Found:
    return _blame_range(snapshot, *parse_page(arguments, MAX_BLAME))


def _blame(snapshot: Snapshot, arguments: list[str]) -> Found:
    slot = tables.blame(parse_number(arguments[0], "number"))
    record = snapshot.get(slot)
    if record is None:
        raise Absent(Code.NOT_FOUND, "no such conviction", slot.key)
    return Found(present.blame_view(snapshot, record, True), (slot.key,))


def _session(snapshot: Snapshot, arguments: list[str]) -> Found:
    slot = tables.session(parse_hex(arguments[0], 32, "sid"))
    session = snapshot.get(slot)
    if session is None:
        raise Absent(Code.UNKNOWN_SESSION, "no such session", slot.key)
    return Found(present.session_view(session, snapshot.meta.height), (slot.key,))


def _pool(snapshot: Snapshot, arguments: list[str]) -> Found:
    return Found(present.pool_view(snapshot, SECP256K1), (tables.pool(SECP256K1).key,))


def _verifiers(snapshot: Snapshot, arguments: list[str]) -> Found:
    names = (snapshot.get(tables.VERIFIER_NAMES) or r.Names()).names
    found = [record for name in names if (record := snapshot.get(tables.verifier(name))) is not None]
    return Found([present.verifier_view(record) for record in found], (tables.VERIFIER_NAMES.key,))


def _verifier(snapshot: Snapshot, arguments: list[str]) -> Found:
    slot = tables.verifier(arguments[0])
    record = snapshot.get(slot)
    if record is None:
        raise Absent(Code.VERIFIER_UNKNOWN, "no such verifier", slot.key)
    return Found(present.verifier_view(record), (slot.key,))


Resolver = Callable[[Snapshot, list[str]], Found]
_ROUTES: Mapping[tuple[str, int], Resolver] = {
    ("status", 0): _status,
    ("params", 0): _params,
    ("epoch", 1): queries_epochs.find_epoch,
    ("enckeys", 0): queries_epochs.find_enckeys,
    ("enckeys", 1): queries_epochs.find_enckeys,
    ("handover", 0): queries_epochs.find_handover,
    ("handovers", 0): queries_epochs.find_ended,
    ("sessions", 0): _sessions,
    ("session", 1): _session,
    ("pool", 0): _pool,
    ("verifiers", 0): _verifiers,
    ("verifier", 1): _verifier,
    ("account", 1): queries_keys.find_account,
    ("key", 1): queries_keys.find_key,
    ("keys", 2): queries_keys.find_keys,
    ("batch", 2): queries_keys.find_batch,
    ("batches", 3): queries_keys.find_batches,
    ("reshares", 0): queries_reshares.find_open,
    ("reshare", 1): queries_reshares.find_reshare,
    ("blame", 0): _blame_newest,
    ("blame", 1): _blame,
    ("blame", 2): _blame_page,
}
_NESTED: Mapping[tuple[str, str, int], Resolver] = {
    ("key", "by-pub", 1): queries_keys.find_by_pub,
    ("reshares", "retained", 2): queries_reshares.find_retained,
    ("sessions", "retained", 0): _retained,
    ("sessions", "retained", 1): _retained_count,
    ("sessions", "retained", 2): _retained_page,
}


def _resolve(path: str) -> tuple[Resolver, list[str]]:
    if len(path) > _MAX_PATH or not path.isascii() or not path.startswith("/"):
        raise AuthnetError(Code.UNKNOWN_PATH, "a path starts with / and is short ASCII")
    head, *rest = path[1:].split("/")
    if rest and (nested := _NESTED.get((head, rest[0], len(rest) - 1))) is not None:
        return nested, rest[1:]
    resolver = _ROUTES.get((head, len(rest)))
    if resolver is None:
        raise AuthnetError(Code.UNKNOWN_PATH, "no such path")
    return resolver, rest


def _snapshot(store: Store, height: int, prove: bool) -> tuple[Snapshot, int]:
    """The state to read and the height to call it by.

    The newest state's hash is in a header that may not exist yet. When its last blocks changed nothing, the
    same state is provable as of the block before.
    """
    newest = store.newest()
    if height == 0:
        current = newest.meta.height
        settled = prove and newest.meta.root_height < current
        return newest, current - 1 if settled else current
    kept = store.at(height)
    if kept is not None:
        return kept, height
    if newest.meta.root_height <= height <= newest.meta.height:
        return newest, height
    raise AuthnetError(Code.HEIGHT_UNAVAILABLE, f"the state of height {height} is not kept")


def answer(store: Store, path: str, height: int = 0, prove: bool = False) -> Answer:
    """Answer a query. Raises AuthnetError when there is nothing to answer from; absence is in `refusal`."""
    resolver, arguments = _resolve(path)
    snapshot, at = _snapshot(store, height, prove)
    app_hash = snapshot.meta.app_hash
    try:
        found = resolver(snapshot, arguments)
    except Absent as absent:
        proofs = [snapshot.prove(absent.key)] if prove else []
        return Answer(at, app_hash, None, absent.refusal, proofs)
    proofs = [snapshot.prove(key) for key in found.keys] if prove else []
    return Answer(at, app_hash, found.view, None, proofs)
