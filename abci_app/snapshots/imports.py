"""A new chain that begins with an old one's state: what genesis names must be the file, signed and whole.

Everything is checked before the first block: the file's hash, each chunk, the bulk beside the tree, n - t signatures
of the committee that the state itself says was in charge, and that this genesis has the same members.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from abci_app.snapshots import chunks, coverage, export_file
from abci_app.snapshots.export_file import Header
from abci_app.snapshots.survival import invalid
from abci_app.state import tables
from abci_app.state.store import Snapshot, Store
from authnet_core.errors import AuthnetError
from authnet_core.protocol.committee import Committee
from authnet_core.protocol.exports import next_chain_id

if TYPE_CHECKING:
    from abci_app.abci.application import InitialState

FILE = "genesis.export"
"""Beside genesis.json."""


def stage(store: Store, initial: InitialState, path: Path) -> bytes:
    """Put the file's state into the store; the app hash that the chain begins with. Raises AuthnetError.

    The file's header may lack signatures that genesis has, or have others: genesis' own count.
    """
    imported = initial.app_state.imported
    if imported is None:
        raise invalid("genesis names no export")
    try:
        header = export_file.read_header(path)
        _check_header(header, imported, initial)
        store.begin_staging()
        _stage_chunks(store, path)
        root = _check_state(store, initial)
    except OSError:
        raise invalid(f"{path.name} can not be read") from None
    except AuthnetError as refusal:
        store.drop_staged()
        raise invalid(refusal.message) from None
    return root


def _check_header(header: Header, imported: Header, initial: InitialState) -> None:
    if header.hash != imported.hash:
        raise invalid(f"{FILE} is not the export that genesis names")
    if initial.chain_id != next_chain_id(header.network_id, header.chain_id):
        raise invalid(f"after {header.chain_id} comes {next_chain_id(header.network_id, header.chain_id)}")
    if initial.initial_height != header.height + 1:
        raise invalid(f"the first block must be {header.height + 1}")
    if initial.time_ms < header.time_ms:
        raise invalid("genesis time is before the old chain's last block")


def _stage_chunks(store: Store, path: Path) -> None:
    for found in export_file.read_entries(path):
        store.stage(*chunks.split(found))
    coverage.settle(store)


def _check_state(store: Store, initial: InitialState) -> bytes:
    staged = store.staged()
    try:
        _check_genesis(staged, initial)
        _check_committee(staged, initial)
        return staged.meta.app_hash
    except (msgspec.MsgspecError, RecursionError):
        raise invalid("a record of the state can not be read") from None
    finally:
        staged.close()


def _check_genesis(staged: Snapshot, initial: InitialState) -> None:
    was, now = staged.get(tables.GENESIS), initial.app_state
    told = (initial.chain_id, now.network_id, now.eth_chain_id, now.registry, now.dev)
    if was is None or told != (was.chain_id, was.network_id, was.eth_chain_id, was.registry, was.dev):
        raise invalid("genesis and the exported state name different networks")
    if now.params:
        raise invalid("parameters come with the exported state")


def _check_committee(staged: Snapshot, initial: InitialState) -> None:
    """The committee in charge stays in charge, and n - t of it have signed."""
    current = staged.get(tables.CURRENT_EPOCH)
    epoch = None if current is None else staged.get(tables.epoch(current.epoch))
    if epoch is None or staged.get(tables.VALIDATORS) != initial.validators:
        raise invalid("genesis' validators are not those of the exported state")
    identities = [member.identity for member in epoch.members]
    if tuple(identity.hex() for identity in identities) != initial.app_state.observers:
        raise invalid("genesis' observers are not the committee of the exported state")
    imported, quorum = initial.app_state.imported, Committee.of(epoch.n).quorum
    signed = len(set(imported.signers(identities))) if imported is not None else 0
    if signed < quorum:
        raise invalid(f"{signed} members have signed the export, {quorum} must")
