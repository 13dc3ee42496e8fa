"""Where a session's records go: short-lived and retained ones to its folder, own shares to the epoch's."""

from __future__ import annotations

from collections.abc import Sequence

from authnet_core.crypto import secp256k1
from authnet_core.protocol.dkg.effects import Shelf, Store
from authnet_core.protocol.dkg.records import SHARES
from p2p_dkg.keystore.epochs import EpochFiles
from p2p_dkg.keystore.sessions import BRIEF, EK, RETAINED, SessionFiles

_GROUPS = {Shelf.BRIEF: BRIEF, Shelf.RETAINED: RETAINED}


class SessionShelves:
    """The keystore as one session's machine sees it. Blocks on the disk."""

    def __init__(self, session: SessionFiles, epoch: EpochFiles) -> None:
        self._session, self._epoch = session, epoch

    def store(self, stores: Sequence[Store]) -> None:
        """Make records durable, in order."""
        for record in stores:
            if record.shelf is Shelf.KEPT:
                self._epoch.put_batch(self._session.sid, record.payload)
            else:
                self._session.put(_GROUPS[record.shelf], record.name, record.payload)

    def erase(self, shelf: Shelf) -> None:
        """Crypto-shred a shelf."""
        if shelf is Shelf.KEPT:
            self._epoch.drop_batch(self._session.sid)
        else:
            self._session.erase(_GROUPS[shelf])

    def load(self) -> dict[str, bytes]:
        """What an earlier life stored, as the machine wants it."""
        durable = {name: content for name, content in self._session.load().items() if name != EK}
        if (batch := self._epoch.batch(self._session.sid)) is not None:
            durable[SHARES] = batch
        return durable

    def take_encryption_key(self, counter: int, announced: bytes) -> bytes | None:
        """The secret of the key START froze, moved from the waiting ones to the session. None if not on this disk."""
        stored = self._session.get(RETAINED, EK)
        waiting = self._epoch.waiting.secrets.get(counter)
        if stored is None and waiting is not None and announced and secp256k1.pub(waiting) == announced:
            self._session.put(RETAINED, EK, waiting)
            stored = waiting
        if stored is not None and stored == waiting:
            self._epoch.waiting.discard({counter})
        return stored if stored is not None and announced and secp256k1.pub(stored) == announced else None
