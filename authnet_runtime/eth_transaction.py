"""Ethereum transactions of a fixed fee form (EIP-1559) and the addresses they make. Pure.

Signed with libsecp256k1, as everything else of a node: eth_account would load two pairing libraries to do the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import rlp

from authnet_core.crypto.ecdsa import sign_recoverable
from authnet_core.crypto.hashing import keccak256

_KIND = b"\x02"
_NO_ACCESS_LIST: tuple[object, ...] = ()


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
        fees: list[object] = [self.chain_id, self.nonce, self.tip, self.max_fee, self.gas]
        unsigned = [*fees, self.to, self.value, self.data, _NO_ACCESS_LIST]
        signature = sign_recoverable(key, keccak256(_KIND + rlp.encode(unsigned)))
        r, s = (int.from_bytes(part, "big") for part in (signature[:32], signature[32:64]))
        return bytes(_KIND + rlp.encode([*unsigned, signature[64] - 27, r, s]))


def created_address(sender: str, nonce: int) -> str:
    """Where a deployment by this transaction of `sender` puts its contract."""
    return "0x" + keccak256(rlp.encode([bytes.fromhex(sender[2:]), nonce]))[12:].hex()
