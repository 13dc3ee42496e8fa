"""What each of the last blocks changed: so that two nodes whose states part can name the block and the keys.

Of this node alone and under no hash, written in the block's own batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import msgspec

from abci_app.state import tables

if TYPE_CHECKING:
    from abci_app.state.store import Store

KEPT: Final = 1_000
"""Heights."""
PAGE: Final = 64
MAX_KEYS: Final = 10_000
"""Of one block that are named one by one; a digest covers all."""
_DIGEST = 8


class Page(msgspec.Struct, frozen=True, array_like=True):
    """One block: its app hash, a digest over all its changes, and (LevelDB key, digest of its value or b"") of each."""

    app_hash: bytes
    digest: bytes
    changes: tuple[tuple[bytes, bytes], ...]


_encoder, _decoder = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder(Page)


def entries(
    height: int, app_hash: bytes, values: Mapping[bytes, bytes | None], bulk: Mapping[bytes, bytes | None]
) -> dict[bytes, bytes | None]:
    """What to write beside a block, and what to forget."""
    named = {tables.value(key): value for key, value in values.items()} | dict(bulk)
    changes = sorted((key, b"" if value is None else sha256(value).digest()[:_DIGEST]) for key, value in named.items())
    whole = sha256(b"".join(len(key).to_bytes(4, "big") + key + digest for key, digest in changes)).digest()
    page = Page(app_hash, whole, tuple(changes[:MAX_KEYS]))
    written: dict[bytes, bytes | None] = {tables.journal(height): _encoder.encode(page)}
    if height > KEPT:
        written[tables.journal(height - KEPT)] = None
    return written


def read(store: Store, first: int) -> list[dict[str, Any]]:
    """Blocks from height `first` on, at most PAGE of them or few bytes, as JSON."""
    found: list[dict[str, Any]] = []
    state, named = store.hold(), 0
    try:
        for key, raw in state.between(tables.journal(first), tables.journal(first + PAGE)):
            page = _decoder.decode(raw)
            if found and (named := named + len(page.changes)) > MAX_KEYS:
                break
            found.append(
                {
                    "height": int.from_bytes(key[1:], "big"),
                    "app_hash": page.app_hash.hex(),
                    "digest": page.digest.hex(),
                    "changes": [[change.hex(), digest.hex()] for change, digest in page.changes],
                }
            )
    finally:
        state.close()
    return found
