"""What n - t members sign when a chain's state moves to a new chain, and how the new chain is called. Pure."""

from __future__ import annotations

from authnet_core.crypto.hashing import tagged_hash
from authnet_core.errors import AuthnetError, Code

_MOST_DIGITS = 9


def next_chain_id(network_id: str, chain_id: str) -> str:
    """`network-3` after `network-2`: accounts and keys hang on the network's name alone. Raises EXPORT_INVALID."""
    revision = chain_id.removeprefix(f"{network_id}-")
    if not (revision.isascii() and revision.isdigit() and len(revision) <= _MOST_DIGITS and chain_id != revision):
        raise AuthnetError(Code.EXPORT_INVALID, "the chain is not called after its network")
    return f"{network_id}-{int(revision) + 1}"


def export_hash(network_id: str, chain_id: str, height: int, time_ms: int, app_hash: bytes, chunks: bytes) -> bytes:
    """The name of an exported state. `chunks`: SHA256 of each chunk, 32 bytes each, in order."""
    names = (network_id.encode(), chain_id.encode())
    return tagged_hash("authnet/export/v1", *names, height, time_ms, app_hash, chunks)


def statement(chain_id: str, height: int, app_hash: bytes, exported: bytes) -> bytes:
    """The digest a member signs with its identity key: at `height` of `chain_id` the state was `app_hash`, and
    `exported` is what a new chain begins with."""
    return tagged_hash("authnet/export-statement/v1", chain_id.encode(), height, app_hash, exported)
