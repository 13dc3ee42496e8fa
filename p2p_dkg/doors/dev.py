"""What a development network lets its owner see: this node's shares, and every live secret for the leak test.

Refused by name everywhere else, whatever the caller.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from anyio import to_thread

from authnet_core.protocol.views import KeyView
from authnet_runtime.chain import ChainReader
from authnet_runtime.rpc import Connection
from p2p_dkg.doors.api import read_params
from p2p_dkg.doors.state import KeeperState
from p2p_dkg.keystore.files import read_passphrase
from p2p_dkg.keystore.shares import ShareShelf
from p2p_dkg.keystore.store import Keystore
from p2p_dkg.ports import KeyShare

MAX_KEYS = 2000
MAX_SECRETS = 6000
"""Hex strings that fit one answer; the rest is asked for with `from`."""


class SharesParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of `dev_shares`."""

    first: int = msgspec.field(default=0, name="from")
    limit: int = MAX_KEYS
    epoch: int = 0
    """Whose shares; 0 for the epoch in charge."""


class SecretsParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of `dev_secrets`."""

    first: int = msgspec.field(default=0, name="from")


class DevDoor:
    """Two methods of ops.sock."""

    def __init__(
        self, chain: ChainReader, keystore: Keystore, shares: ShareShelf, state: KeeperState, passphrase_file: Path
    ) -> None:
        self._chain, self._keystore, self._shares, self._state = chain, keystore, shares, state
        self._passphrase_file = passphrase_file

    async def shares(self, params: dict[str, Any], _: Connection) -> Any:
        """This node's shares of the keys from an index on, as a member of an epoch: {index, x, share, nonce}."""
        self._state.require_dev()
        asked = read_params(params, SharesParams)
        epoch, own = self._state.place(asked.epoch)
        limit = max(1, min(asked.limit, MAX_KEYS))
        keys = await self._chain.query(f"/keys/{max(asked.first, 0)}/{limit}", list[KeyView]) or []
        found = [(key, await self._shares.share_of(epoch, key)) for key in keys]
        return [_line(key, share, own) for key, share in found if share is not None]

    async def secrets(self, params: dict[str, Any], _: Connection) -> Any:
        """Every live secret of this node in hex, a page at a time: {secrets, next} with next 0 at the end."""
        self._state.require_dev()
        first = read_params(params, SecretsParams).first
        passphrase = read_passphrase(self._passphrase_file)
        found = [passphrase, *await to_thread.run_sync(self._keystore.reveal)]
        page = found[first : first + MAX_SECRETS]
        following = first + len(page)
        return {"secrets": [s.hex() for s in page], "next": following if following < len(found) else 0}


def _line(key: KeyView, share: KeyShare, own: int) -> dict[str, Any]:
    nonce = None if share.nonce is None else share.nonce.to_bytes(32, "big").hex()
    return {"index": key.index, "x": own, "share": share.x.to_bytes(32, "big").hex(), "nonce": nonce}
