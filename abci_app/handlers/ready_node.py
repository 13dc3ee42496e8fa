"""READY_NODE: a member of the next committee shows by a recent app hash that its chain is up.

The hash proves no more than that somebody told the member: of the ready ones t' may be lying. It also names the
member's epoch service key.
"""

from __future__ import annotations

from msgspec.structs import replace

from abci_app.handover import roots
from abci_app.rules.events import Event
from abci_app.rules.members import get_party
from abci_app.rules.transactions import Tx
from abci_app.sessions.sessions import with_item
from abci_app.state import records as r
from abci_app.state import records_handover as rh
from abci_app.state import tables
from abci_app.state.state import State
from authnet_core.crypto.secp256k1 import is_point
from authnet_core.errors import Code, Rejected
from authnet_core.wire.authnet_pb2 import ReadyNode


def check(state: State, tx: Tx) -> None:
    """Raise Rejected unless the hash is one of the newest roots and the service key this member's only one."""
    message: ReadyNode = tx.message
    epoch, member = get_party(state, tx.signer, tx.epoch)
    if message.epoch != tx.epoch:
        raise Rejected(Code.MALFORMED, "the body names another epoch")
    if not is_point(message.service_key):
        raise Rejected(Code.MALFORMED, "the service key is no point of secp256k1")
    if state.need(tables.HANDOVER).ready_nodes[member - 1] is not None:
        raise Rejected(Code.ALREADY_DONE, "this member's chain is up already")
    keys = state.get(tables.enckeys(epoch.epoch, member))
    if keys is not None and keys.service_key != message.service_key:
        raise Rejected(Code.ALREADY_DONE, "the service key of this epoch is announced already")
    if len(message.app_hash) != 32 or not roots.is_root(state, message.height, message.app_hash):
        raise Rejected(Code.APP_HASH_UNKNOWN, f"not the app hash after block {message.height}, or too old")


def apply(state: State, tx: Tx) -> tuple[bytes, list[Event]]:
    """Count the node, and keep its service key unless an ENCKEY brought it."""
    message: ReadyNode = tx.message
    epoch, member = get_party(state, tx.signer, tx.epoch)
    handover, slot = state.need(tables.HANDOVER), tables.enckeys(epoch.epoch, member)
    node = rh.ReadyNode(message.height, message.app_hash)
    state.put(tables.HANDOVER, replace(handover, ready_nodes=with_item(handover.ready_nodes, member, node)))
    if state.get(slot) is None:
        state.put(slot, r.EncKeys(message.service_key, handover.next_counter, ()))
    return b"", []
