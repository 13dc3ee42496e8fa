"""The file of an exported state: a header in JSON, then the chunks it names. Signatures are in the header.

`authnet-export-1` LF, the header's length (8 bytes), the header, then each chunk with its length (4 bytes) in front.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from abci_app.snapshots import chunks
from abci_app.snapshots.survival import invalid
from authnet_core.crypto.ecdsa import verify
from authnet_core.json_text import NOT_JSON
from authnet_core.protocol.exports import export_hash, statement

MAGIC = b"authnet-export-1\n"
_MAX_HEADER = 16 << 20


class Header(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an exported state is of. Hashes and keys in lowercase hex."""

    network_id: str
    chain_id: str
    """Of the chain that it comes from."""
    height: int
    time_ms: int
    app_hash: str
    chunks: tuple[str, ...]
    signatures: dict[str, str] = {}
    """Identity key to signature over the statement."""

    @property
    def hash(self) -> bytes:
        """The name of the state: everything but the signatures. Raises AuthnetError(EXPORT_INVALID)."""
        try:
            named = b"".join(bytes.fromhex(chunk) for chunk in self.chunks)
            app_hash = bytes.fromhex(self.app_hash)
        except ValueError:
            raise invalid("the header's hashes are no hex") from None
        sized = len(named) == len(self.chunks) * chunks.HASH and len(app_hash) == chunks.HASH
        if not (sized and 0 < self.height < 2**62 and 0 <= self.time_ms < 2**62):
            raise invalid("the header contradicts itself")
        return export_hash(self.network_id, self.chain_id, self.height, self.time_ms, app_hash, named)

    @property
    def statement(self) -> bytes:
        """What members sign."""
        return statement(self.chain_id, self.height, bytes.fromhex(self.app_hash), self.hash)

    def signers(self, identities: Iterable[bytes]) -> list[bytes]:
        """Those of `identities` whose signature is here and good."""
        digest = self.statement
        found = ((identity, self.signatures.get(identity.hex(), "")) for identity in identities)
        return [identity for identity, text in found if verify(identity, digest, _unhex(text))]


def _unhex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""


def write(path: Path, header: Header, made: Iterable[bytes]) -> None:
    """Write the file, whole or not at all. Raises OSError."""
    fresh = path.with_name(f".{path.name}.new")
    try:
        with fresh.open("wb") as file:
            raw = msgspec.json.encode(header)
            file.write(MAGIC + len(raw).to_bytes(8, "big") + raw)
            for chunk in made:
                file.write(len(chunk).to_bytes(4, "big") + chunk)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def read_header(path: Path) -> Header:
    """The header of a file. Raises AuthnetError(EXPORT_INVALID), OSError."""
    with path.open("rb") as file:
        return _header(file)


def _header(file: BinaryIO) -> Header:
    if file.read(len(MAGIC)) != MAGIC:
        raise invalid("this is no exported state")
    size = int.from_bytes(file.read(8), "big")
    if size > _MAX_HEADER:
        raise invalid("the header is too long")
    try:
        return msgspec.json.decode(file.read(size), type=Header)
    except NOT_JSON:
        raise invalid("the header can not be read") from None


def read_chunks(path: Path) -> Iterator[bytes]:
    """The chunks, each compared with the header. Raises AuthnetError(EXPORT_INVALID), OSError."""
    with path.open("rb") as file:
        for place, name in enumerate(_header(file).chunks):
            size = int.from_bytes(file.read(4), "big")
            chunk = file.read(size) if size <= chunks.MAX_CHUNK else b""
            if len(chunk) != size or chunks.chunk_hash(chunk).hex() != name:
                raise invalid(f"chunk {place} is damaged")
            yield chunk
        if file.read(1):
            raise invalid("there is more than the header names")


def read_entries(path: Path) -> Iterator[list[tuple[bytes, bytes]]]:
    """The entries, chunk by chunk, in order. Raises AuthnetError(EXPORT_INVALID or SNAPSHOT_INVALID), OSError."""
    count, last = len(read_header(path).chunks), b""
    for place, chunk in enumerate(read_chunks(path), start=1):
        found = chunks.read(chunk, last, is_last=place == count)
        yield found
        last = found[-1][0]
