"""The receipt log: which session key T a token's hash belongs to, on disk before any receipt leaves.

LevelDB; commits that come together share one sync, made in a worker thread. An entry is never changed and
never evicted: it goes when the oldest token that any verifier allows has expired, and a full log refuses.
A log that was lost, restored or moved can not prove what it has signed: it counts as born anew, and
`complete_since_s` says so (docs/protocol/login.md).
"""

from __future__ import annotations

import secrets
import shutil
from pathlib import Path

import msgspec
import plyvel
import trio

from authnet_core.errors import AuthnetError, Code

DEFAULT_CAPACITY = 1_000_000
_BORN, _PROOF, _QUIET, _HORIZON = b"m/born", b"m/proof", b"m/quiet", b"m/horizon"
_PRUNE_CHUNK = 5_000
_encoder = msgspec.msgpack.Encoder()


class Bound(msgspec.Struct, frozen=True, array_like=True):
    """What a token hash is bound to, for good."""

    temp_pub: bytes
    """T, 33 bytes."""
    verifier: str
    given_s: int
    epoch: int


class ReceiptLog:
    """Open one per node, at the keeper's first start, in a folder of its own. Not for two processes."""

    def __init__(self, folder: Path, *, now_s: float, capacity: int = DEFAULT_CAPACITY) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._capacity = capacity
        self._db = _open(folder / "receipts")
        self._decode = msgspec.msgpack.Decoder(Bound).decode
        self._unsynced: dict[bytes, Bound] = {}
        self._writing = trio.Lock()
        self._count = sum(1 for _ in self._db.iterator(prefix=b"h", include_value=False))
        self._prove_identity(folder / "receipts" / "witness", int(now_s))
        self.complete_since_s = self._get_time(_BORN)
        """Every receipt given from this second on is in the log."""
        self.quiet_until_s = self._get_time(_QUIET)
        """Until this second the network had no committee, so no receipt can have been given."""
        self.horizon_s = self._get_time(_HORIZON)
        """Entries before this second may be gone: a token that may be older is not served in two rounds."""

    def __len__(self) -> int:
        return self._count

    def note_quiet(self, until_s: int) -> None:
        """A block of this time knew no committee."""
        if until_s > self.quiet_until_s:
            self._put_time(_QUIET, until_s)
            self.quiet_until_s = until_s

    def distrust(self, now_s: float) -> None:
        """Say that the log may miss receipts given before now: after a restore, by the operator or the keystore."""
        self._put_time(_BORN, int(now_s) + 1)
        self.complete_since_s = int(now_s) + 1

    def find(self, token_hash: bytes) -> Bound | None:
        """What this hash is bound to on disk."""
        if token_hash in self._unsynced:
            return None
        return self._stored(token_hash)

    async def bind(self, token_hash: bytes, wanted: Bound) -> Bound:
        """Bind the hash, or find it bound to the same T. Returns when that is on disk.

        Raises DUPLICATE_TOKEN for another T or verifier, RECEIPT_LOG_FULL, UNAVAILABLE when the disk fails.
        Nothing is awaited between look and take, so of two T's that race exactly one wins.
        """
        known = self._unsynced.get(token_hash) or self._stored(token_hash)
        if known is None:
            if self._count >= self._capacity:
                raise AuthnetError(Code.RECEIPT_LOG_FULL, "this node remembers as many tokens as it can")
            self._count += 1
            self._unsynced[token_hash] = known = wanted
        if (known.temp_pub, known.verifier) != (wanted.temp_pub, wanted.verifier):
            raise AuthnetError(Code.DUPLICATE_TOKEN, "Duplicate token found")
        if token_hash in self._unsynced:
            await self._sync(token_hash)
        return known

    async def prune(self, before_s: int) -> int:
        """Forget the entries given before this second; returns how many."""
        if before_s <= self.horizon_s:
            return 0
        async with self._writing:
            gone = await trio.to_thread.run_sync(self._prune, before_s)
        self._count -= gone
        self.horizon_s = before_s
        return gone

    def close(self) -> None:
        self._db.close()

    async def _sync(self, token_hash: bytes) -> None:
        async with self._writing:
            if token_hash not in self._unsynced:  # whoever had the lock before has written it
                return
            batch = dict(self._unsynced)
            # A caller that goes away leaves the outcome known. If the disk fails the hashes stay bound in
            # memory: the same T may try again, another T may not.
            with trio.CancelScope(shield=True):
                try:
                    await trio.to_thread.run_sync(self._write, batch)
                except (plyvel.Error, OSError):
                    raise AuthnetError(Code.UNAVAILABLE, "the receipt log can not be written") from None
            for written in batch:
                del self._unsynced[written]

    def _write(self, batch: dict[bytes, Bound]) -> None:
        with self._db.write_batch(sync=True) as writes:
            for token_hash, bound in batch.items():
                writes.put(b"h" + token_hash, _encoder.encode(bound))
                writes.put(b"t" + bound.given_s.to_bytes(8, "big") + token_hash, b"")

    def _prune(self, before_s: int) -> int:
        gone = 0
        stop = b"t" + before_s.to_bytes(8, "big")
        while True:
            old = [key for key, _ in zip(self._keys(b"t", stop), range(_PRUNE_CHUNK), strict=False)]
            with self._db.write_batch(sync=True) as writes:
                writes.put(_HORIZON, before_s.to_bytes(8, "big"))
                for key in old:
                    writes.delete(key)
                    writes.delete(b"h" + key[9:])
            gone += len(old)
            if len(old) < _PRUNE_CHUNK:
                return gone

    def _keys(self, start: bytes, stop: bytes) -> plyvel.RawIterator:
        return self._db.iterator(start=start, stop=stop, include_value=False)

    def _stored(self, token_hash: bytes) -> Bound | None:
        raw = self._db.get(b"h" + token_hash)
        return None if raw is None else self._decode(raw)

    def _get_time(self, name: bytes) -> int:
        return int.from_bytes(self._db.get(name, b""), "big")

    def _put_time(self, name: bytes, second: int) -> None:
        self._db.put(name, max(second, 0).to_bytes(8, "big"), sync=True)

    def _prove_identity(self, witness: Path, now_s: int) -> None:
        """Born anew unless the log is the very files this keeper has made."""
        proof = self._db.get(_PROOF)
        if proof is not None and proof == _look_at(witness):
            return
        witness.unlink(missing_ok=True)
        witness.write_bytes(secrets.token_hex(16).encode())
        with self._db.write_batch(sync=True) as writes:
            writes.put(_PROOF, _look_at(witness))
            writes.put(_BORN, (now_s + 1).to_bytes(8, "big"))


def _look_at(witness: Path) -> bytes:
    """The witness file as the kernel knows it. No restore or copy can give a file back its ctime."""
    try:
        text, seen, folder = witness.read_bytes(), witness.stat(), witness.parent.parent.stat()
    except OSError:
        return b""
    return b"%s %d %d %d" % (text, seen.st_ino, seen.st_ctime_ns, folder.st_ino)


def _open(path: Path) -> plyvel.DB:
    try:
        return _open_db(path)
    except plyvel.CorruptionError:
        # What is left proves nothing any more; it is kept once for the operator, and a new log begins.
        damaged = path.with_suffix(".damaged")
        shutil.rmtree(damaged, ignore_errors=True)
        path.rename(damaged)
        return _open_db(path)


def _open_db(path: Path) -> plyvel.DB:
    return plyvel.DB(str(path), create_if_missing=True, paranoid_checks=True, bloom_filter_bits=10)
