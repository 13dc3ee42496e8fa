"""Ethereum transactions of a fixed fee form (EIP-1559) and the addresses they make. Pure.

Signed with libsecp256k1, as everything else of a node.
"""

from __future__ import annotations

from dataclasses import dataclass

from authnet_core.crypto.ecdsa import sign_recoverable
from authnet_core.crypto.hashing import keccak256

_KIND = b"\x02"


@dataclass(frozen=True, slots=True)
class FeeTransaction:
    """`to` is 20 bytes, or none of a deployment."""

    chain_id: int
    nonce: int
    tip: int
    max_fee: int
    gas: int
    to: bytes
    value: int
    data: bytes

    def signed(self, key: bytes) -> bytes:
        """What a node takes as a raw transaction."""
        fields: list[int | bytes] = [self.chain_id, self.nonce, self.tip, self.max_fee, self.gas]
        fields += [self.to, self.value, self.data]
        unsigned = [_item(field) for field in fields] + [_listed([])]
        signature = sign_recoverable(key, keccak256(_KIND + _listed(unsigned)))
        r, s = (int.from_bytes(part, "big") for part in (signature[:32], signature[32:64]))
        return _KIND + _listed([*unsigned, _item(signature[64] - 27), _item(r), _item(s)])


def created_address(sender: str, nonce: int) -> str:
    """Where a deployment by this transaction of `sender` puts its contract."""
    return "0x" + keccak256(_listed([_item(bytes.fromhex(sender[2:])), _item(nonce)]))[12:].hex()


def _item(value: int | bytes) -> bytes:
    """RLP of a byte string; of a number without leading zeros."""
    raw = value.to_bytes((value.bit_length() + 7) // 8, "big") if isinstance(value, int) else value
    return raw if len(raw) == 1 and raw[0] < 0x80 else _sized(0x80, raw)


def _listed(items: list[bytes]) -> bytes:
    """RLP of a list of encoded items."""
    return _sized(0xC0, b"".join(items))


def _sized(kind: int, body: bytes) -> bytes:
    if len(body) < 56:
        return bytes([kind + len(body)]) + body
    size = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes([kind + 55 + len(size)]) + size + body
