"""Receipts: a node's signed word that it has seen a token's hash committed to one session key T.

Text and signature as existing clients carry them (torusjs-wire.md 2.3, retrieval.md section 2): fields
joined by 0x1c, signed by the node's identity key over keccak256 of the text. Pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from authnet_core.crypto.hashing import keccak256
from authnet_core.errors import DecodeError

PREFIX = "mug00"
SEPARATOR = "\x1c"
MAX_TEXT = 512
STALE_MS = 30_000
"""A keeper whose newest block is older gives no receipt, and no share for one."""
MIN_SERVE_DELAY_MS = STALE_MS + 1_000
"""From a switch to the new committee's time, at least: a keeper that still speaks has seen the switch by then, with a
second for clocks that differ. Else it could go on as the former committee, in the time of the next one."""

_HASH = re.compile(r"[0-9a-f]{64}")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,14}")
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True, slots=True)
class Receipt:
    """What one node says: this hash belongs to this T, since this second."""

    token_hash: bytes
    temp_pub: bytes
    """T, 64 bytes x || y."""
    verifier: str
    time_s: int
    network_id: str
    epoch: int
    node_index: int

    @property
    def text(self) -> str:
        """The signed text."""
        return SEPARATOR.join(
            (
                PREFIX,
                self.token_hash.hex(),
                self.temp_pub[:32].hex(),
                self.temp_pub[32:].hex(),
                self.verifier,
                str(self.time_s),
                self.network_id,
                str(self.epoch),
                str(self.node_index),
            )
        )

    @property
    def digest(self) -> bytes:
        """What the identity key signs."""
        return keccak256(self.text.encode())


@dataclass(frozen=True, slots=True)
class SignedReceipt:
    """A receipt on its way: text and signature r || s || v, nothing checked yet."""

    text: str
    signature: bytes

    def to_wire(self) -> dict[str, str]:
        return {"data": self.text, "signature": self.signature.hex()}

    @staticmethod
    def from_wire(item: Any) -> SignedReceipt:
        """Read `{data, signature}` as a client echoes it. Raises DecodeError."""
        if not isinstance(item, dict):
            raise DecodeError("a receipt must be an object")
        text, signature = item.get("data"), item.get("signature")
        if not isinstance(text, str) or not isinstance(signature, str) or len(text) > MAX_TEXT:
            raise DecodeError("a receipt needs the texts data and signature")
        if not re.fullmatch(r"[0-9a-f]{130}", signature):
            raise DecodeError("a receipt's signature must be 65 bytes in lowercase hex")
        return SignedReceipt(text, bytes.fromhex(signature))


def parse(text: str) -> Receipt:
    """Read a receipt's text; only the exact text that `Receipt.text` writes is accepted."""
    fields = text.split(SEPARATOR) if len(text) <= MAX_TEXT else []
    if len(fields) != 9 or fields[0] != PREFIX:
        raise DecodeError("not a receipt")
    if not all(_HASH.fullmatch(f) for f in fields[1:4]):
        raise DecodeError("a receipt's hash and key must be 32 bytes in lowercase hex")
    if not all(_NUMBER.fullmatch(f) for f in (fields[5], fields[7], fields[8])):
        raise DecodeError("a receipt's time, epoch and index must be decimal")
    if not all(_NAME.fullmatch(f) for f in (fields[4], fields[6])):
        raise DecodeError("a receipt's verifier or network is no name")
    return Receipt(
        token_hash=bytes.fromhex(fields[1]),
        temp_pub=bytes.fromhex(fields[2] + fields[3]),
        verifier=fields[4],
        time_s=int(fields[5]),
        network_id=fields[6],
        epoch=int(fields[7]),
        node_index=int(fields[8]),
    )
