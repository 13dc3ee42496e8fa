"""The file of a backup: sealed entries under a key of the passphrase, in order and with an end.

`authnet-backup-1` LF, scrypt's n (4 bytes), salt (16), check (16), then records: length (4 bytes), AES-256-GCM box.
Each box's associated data names its place, the last one how many there are: none can be left out, swapped or added.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from authnet_core.errors import AuthnetError, Code
from authnet_core.json_text import NOT_JSON
from p2p_dkg.keystore.sealing import Box, passphrase_key

MAGIC = b"authnet-backup-1\n"
DOMAIN = "authnet/backup/v1"
_SALT, _CHECK = 16, 16
_MAX_N, _MAX_RECORD = 2**15, 512 << 20


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """One file of the node, by its path below the node's folder."""

    path: str
    content: bytes


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """The last record: what the backup is of."""

    schema: int
    made_ms: int
    network_id: str
    identity: str
    entries: int


def invalid(reason: str) -> AuthnetError:
    """The refusal of a file that is no whole backup."""
    return AuthnetError(Code.BACKUP_INVALID, reason)


def write(path: Path, passphrase: bytes, scrypt_n: int, entries: Iterable[Entry], summary: Summary) -> int:
    """Write the backup, whole or not at all: number of entries. Raises OSError; then what was there stays."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            count = _write_all(file, passphrase, scrypt_n, entries, summary)
            file.flush()
            os.fsync(file.fileno())
        fresh.rename(path)
    finally:
        fresh.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(folder)
    os.close(folder)
    return count


def _write_all(file: BinaryIO, passphrase: bytes, n: int, entries: Iterable[Entry], summary: Summary) -> int:
    salt = os.urandom(_SALT)
    key, check = passphrase_key(passphrase, salt, n)
    file.write(MAGIC + n.to_bytes(4, "big") + salt + check)
    box, count = Box(key, DOMAIN), 0
    for entry in entries:
        _put(file, box.seal(f"entry/{count}", msgspec.msgpack.encode(entry)))
        count += 1
    last = msgspec.structs.replace(summary, entries=count)
    _put(file, box.seal(f"end/{count}", msgspec.json.encode(last)))
    return count


def _put(file: BinaryIO, sealed: bytes) -> None:
    file.write(len(sealed).to_bytes(4, "big"))
    file.write(sealed)


def read(path: Path, passphrase: bytes) -> Iterator[Entry | Summary]:
    """The entries, then the summary. Raises AuthnetError: WRONG_PASSPHRASE, BACKUP_INVALID; OSError.

    An entry is not to be used before the summary has come: until then the file may be cut short.
    """
    with path.open("rb") as file:
        box = _open(file, passphrase)
        count = 0
        while True:
            sealed, is_last = _take(file)
            if is_last:
                yield _summary(box, sealed, count)
                return
            yield _entry(box, sealed, count)
            count += 1


def _open(file: BinaryIO, passphrase: bytes) -> Box:
    if file.read(len(MAGIC)) != MAGIC:
        raise invalid("this is no backup of a node")
    n = int.from_bytes(file.read(4), "big")
    salt, check = file.read(_SALT), file.read(_CHECK)
    if not 2 <= n <= _MAX_N or n & (n - 1) or len(check) != _CHECK:
        raise invalid("the backup's head is damaged")
    key, got = passphrase_key(passphrase, salt, n)
    if not hmac.compare_digest(got, check):
        raise AuthnetError(Code.WRONG_PASSPHRASE, "the passphrase does not open the backup")
    return Box(key, DOMAIN)


def _take(file: BinaryIO) -> tuple[bytes, bool]:
    head = file.read(4)
    size = int.from_bytes(head, "big")
    sealed = file.read(size) if len(head) == 4 and size <= _MAX_RECORD else b""
    if not sealed or len(sealed) != size:
        raise invalid("the backup is cut short")
    at = file.tell()
    is_last = not file.read(1)
    file.seek(at)
    return sealed, is_last


def _unseal(box: Box, name: str, sealed: bytes) -> bytes:
    try:
        return box.open(name, sealed)
    except AuthnetError:
        raise invalid("the backup is damaged or cut short") from None


def _entry(box: Box, sealed: bytes, place: int) -> Entry:
    try:
        return msgspec.msgpack.decode(_unseal(box, f"entry/{place}", sealed), type=Entry)
    except NOT_JSON:
        raise invalid("an entry of the backup can not be read") from None


def _summary(box: Box, sealed: bytes, count: int) -> Summary:
    try:
        summary = msgspec.json.decode(_unseal(box, f"end/{count}", sealed), type=Summary)
    except NOT_JSON:
        raise invalid("the backup's end can not be read") from None
    if summary.schema != 1 or summary.entries != count:
        raise invalid("the backup is not of this version")
    return summary
