"""ASSIGN: bind the next free key to an account, once.

Two nodes that ask for the same account at once get the same key: the second is refused with ACCOUNT_HAS_KEY and
its caller reads the first's result. Look-ups leave a fifth of the pool, and half of the quota, to logins.
"""

from __future__ import annotations

from abci_app.rules.events import Event, event
from abci_app.rules.members import get_party
from abci_app.rules.quotas import charge, require_assign
from abci_app.rules.transactions import Tx
from abci_app.sessions.pool import compute_reserve, get_pool, take
from abci_app.sessions.sessions import SECP256K1
from abci_app.state import records as r
from abci_app.state import tables
from abci_app.state.state import State
from authnet_core.errors import Code, Rejected
from authnet_core.wire.authnet_pb2 import CURVE_SECP256K1, PURPOSE_LOGIN, PURPOSE_LOOKUP, Assign

_NO_ACCOUNT = r.Account(())


def check(state: State, tx: Tx) -> None:
    """Raise Rejected unless the account needs its next key, the pool has one and the signer's quota too."""
    message: Assign = tx.message
    epoch, member = get_party(state, tx.signer, tx.epoch)
    if len(message.account_id) != 32:
        raise Rejected(Code.MALFORMED, "an account id has 32 bytes")
    if message.purpose not in (PURPOSE_LOOKUP, PURPOSE_LOGIN):
        raise Rejected(Code.MALFORMED, "the purpose is look-up or login")
    if message.curve != CURVE_SECP256K1:
        raise Rejected(Code.UNSUPPORTED_CURVE, "keys are assigned on secp256k1 only")
    _check_verifier(state, message.verifier)
    _check_number(state, message)
    _check_pool(state, message.purpose == PURPOSE_LOOKUP)
    require_assign(state, epoch.epoch, member, message.purpose == PURPOSE_LOOKUP)


def _check_verifier(state: State, name: str) -> None:
    verifier = state.get(tables.verifier(name))
    if verifier is None or verifier.removed:
        raise Rejected(Code.VERIFIER_UNKNOWN, "no such verifier")


def _check_number(state: State, message: Assign) -> None:
    account = state.get(tables.account(message.account_id)) or _NO_ACCOUNT
    held = sum(1 for curve, _ in account.keys if curve == SECP256K1)
    if held > message.number:
        raise Rejected(Code.ACCOUNT_HAS_KEY, f"the account has {held} keys of the curve")
    if held < message.number:
        raise Rejected(Code.BAD_COUNTER, f"the account has only {held} keys of the curve")
    # Every answer about an account lists its keys: without a bound one member could make it too big to read.
    limit = state.need(tables.PARAMS).account_keys
    if held >= limit:
        raise Rejected(Code.ACCOUNT_HAS_KEY, f"an account has at most {limit} keys of a curve")


def _check_pool(state: State, is_lookup: bool) -> None:
    pool = get_pool(state, SECP256K1)
    if not pool.batches:
        raise Rejected(Code.POOL_EMPTY, "no free key; more are being made")
    if is_lookup and pool.free <= compute_reserve(state.need(tables.PARAMS), pool):
        raise Rejected(Code.POOL_RESERVED, "the last free keys are kept for logins")


def apply(state: State, tx: Tx) -> tuple[bytes, list[Event]]:
    """Take the key, write it into the tree, charge the signer. The result's data is the index."""
    message: Assign = tx.message
    epoch, member = get_party(state, tx.signer, tx.epoch)
    index, batch = take(state, SECP256K1)
    pair = state.bulk(tables.pool_key(index))
    if pair is None:
        raise LookupError(f"key {index} is free but not stored")
    key = r.Key(
        curve=SECP256K1,
        y=pair[:33],
        n=pair[33:],
        sid=batch.sid,
        position=index - batch.first_index,
        epoch=batch.epoch,
        account=message.account_id,
        assigned_ms=state.block.time_ms,
    )
    state.put(tables.key(index), key)
    account = state.get(tables.account(message.account_id)) or _NO_ACCOUNT
    state.put(tables.account(message.account_id), r.Account((*account.keys, (SECP256K1, index))))
    charge(state, epoch.epoch, member, used=1, lookups=int(message.purpose == PURPOSE_LOOKUP))
    assigned = event("assigned", account_id=message.account_id.hex(), index=index, curve=SECP256K1, member=member)
    return index.to_bytes(8, "big"), [assigned]
