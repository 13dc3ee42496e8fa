"""One key's share by its chain record: sid and position name the file and the row."""

from __future__ import annotations

from authnet_core.protocol.views import KeyView
from p2p_dkg.keystore.store import Keystore
from p2p_dkg.ports import KeyShare


class ShareShelf:
    """Read access to this node's key shares."""

    def __init__(self, keystore: Keystore) -> None:
        self._keystore = keystore

    def share_of(self, key: KeyView) -> KeyShare | None:
        """This node's share of `key`, None if it does not hold the session's batch; no nonce once upgraded."""
        share = self._keystore.epoch(key.epoch).share(bytes.fromhex(key.sid), key.position)
        if share is not None and key.upgraded:
            return KeyShare(share.x, None)
        return share
