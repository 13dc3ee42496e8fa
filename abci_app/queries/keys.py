"""Queries about keys, the accounts that have them and the batches that they lie in."""

from __future__ import annotations

from abci_app.queries import present, present_batches
from abci_app.queries.parts import Absent, Found, parse_hex, parse_number, parse_page
from abci_app.reshare import masks
from abci_app.reshare.batches import get_batch
from abci_app.sessions.sessions import SECP256K1
from abci_app.state import batch_records as b
from abci_app.state import tables
from abci_app.state.store import Snapshot
from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol import views as v

MAX_KEYS = 2_000
MAX_BATCHES = 500


def _current(snapshot: Snapshot) -> int:
    current = snapshot.get(tables.CURRENT_EPOCH)
    return 0 if current is None else current.epoch


def first_index_of(snapshot: Snapshot, index: int) -> int | None:
    """Where the batch starts that holds key `index`, or the last one before it."""
    found = snapshot.last_before(tables.SESSION_STARTS, tables.session_start(index))
    return None if found is None else int.from_bytes(found[1:], "big")


def batch_of(snapshot: Snapshot, epoch: int, index: int) -> b.Batch | None:
    """The batch of an epoch that holds key `index`."""
    first = first_index_of(snapshot, index)
    batch = None if first is None else get_batch(snapshot, epoch, first)
    return batch if batch is not None and index < batch.end else None


class _Keys:
    """Views of keys in ascending order: each batch is read once."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot, self._epoch = snapshot, _current(snapshot)
        self._batch: b.Batch | None = None
        self._masks = b.Masks()

    def view(self, index: int, pair: bytes | None) -> v.KeyView | None:
        """None if there is no such key. `pair`: Y || N of a key that may be unassigned."""
        key = self._snapshot.get(tables.key(index))
        batch = self._find(index)
        if key is not None:
            return present.assigned_key_view(index, key, batch)
        if pair is None or batch is None:
            return None
        return present.unassigned_key_view(index, pair, batch, masks.is_mask(self._masks, index))

    def _find(self, index: int) -> b.Batch | None:
        if self._batch is None or not self._batch.first_index <= index < self._batch.end:
            self._batch = batch_of(self._snapshot, self._epoch, index)
            if self._batch is not None:
                self._masks = masks.get_masks(self._snapshot, self._batch.first_index)
        return self._batch


def _key_view(snapshot: Snapshot, index: int) -> v.KeyView:
    view = _Keys(snapshot).view(index, snapshot.bulk(tables.pool_key(index)))
    if view is None:
        raise Absent(Code.NOT_FOUND, f"no key {index}", tables.key(index).key)
    return view


def find_account(snapshot: Snapshot, arguments: list[str]) -> Found:
    """`/account/{id}[?curve=secp256k1]`."""
    name, _, question = arguments[0].partition("?")
    account_id = parse_hex(name, 32, "account id")
    curve = question.removeprefix("curve=") if question else SECP256K1
    if curve != SECP256K1:
        raise AuthnetError(Code.UNSUPPORTED_CURVE, "accounts have keys on secp256k1 only")
    slot = tables.account(account_id)
    account = snapshot.get(slot)
    if account is None:
        raise Absent(Code.ACCOUNT_NOT_FOUND, "the account has no key yet", slot.key)
    keys, indices = _Keys(snapshot), [index for of, index in account.keys if of == curve]
    views = tuple(view for index in indices if (view := keys.view(index, None)) is not None)
    found = v.AccountView(account_id=account_id.hex(), keys=views)
    return Found(found, (slot.key, *(tables.key(index).key for index in indices)))


def find_key(snapshot: Snapshot, arguments: list[str]) -> Found:
    """`/key/{index}`."""
    index = parse_number(arguments[0], "key index")
    return Found(_key_view(snapshot, index), (tables.key(index).key,))


def find_by_pub(snapshot: Snapshot, arguments: list[str]) -> Found:
    """`/key/by-pub/{Y}`."""
    raw = snapshot.bulk(tables.key_by_pub(parse_hex(arguments[0], 33, "Y")))
    if raw is None:
        raise AuthnetError(Code.NOT_FOUND, "no key has this public key")
    return Found(_key_view(snapshot, int.from_bytes(raw, "big")))


def find_keys(snapshot: Snapshot, arguments: list[str]) -> Found:
    """`/keys/{first}/{limit}`."""
    first, limit = parse_page(arguments, MAX_KEYS)
    keys = _Keys(snapshot)
    bounds = tables.pool_key(first), tables.pool_key(first + limit)
    views = [keys.view(int.from_bytes(raw[1:], "big"), pair) for raw, pair in snapshot.between(*bounds)]
    return Found([view for view in views if view is not None])


def find_batch(snapshot: Snapshot, arguments: list[str]) -> Found:
    """`/batch/{epoch}/{index}`: the batch of that epoch that holds the key."""
    epoch, index = parse_number(arguments[0], "epoch"), parse_number(arguments[1], "key index")
    batch = batch_of(snapshot, epoch, index)
    if batch is None:
        first = first_index_of(snapshot, index) or 0
        raise Absent(Code.NOT_FOUND, f"epoch {epoch} has no key {index}", tables.batch(epoch, first).key)
    return Found(present_batches.batch_view(batch), (tables.batch(epoch, batch.first_index).key,))


def find_batches(snapshot: Snapshot, arguments: list[str]) -> Found:
    """`/batches/{epoch}/{first}/{limit}`: batches of that epoch in order, from the one that holds key `first` on."""
    epoch, (first, limit) = parse_number(arguments[0], "epoch"), parse_page(arguments[1:], MAX_BATCHES)
    found: list[b.Batch] = []
    start = first_index_of(snapshot, first) or 0
    for raw, _ in snapshot.between(tables.session_start(start), tables.session_start(2**64 - 1)):
        batch = get_batch(snapshot, epoch, int.from_bytes(raw[1:], "big"))
        if batch is not None and batch.end > first:
            found.append(batch)
        if len(found) == limit:
            break
    views = [present_batches.batch_view(batch) for batch in found]
    return Found(views, tuple(tables.batch(epoch, batch.first_index).key for batch in found))
