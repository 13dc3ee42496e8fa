"""Ethereum addresses of secp256k1 keys (EIP-55). Pure."""

from authnet_core.crypto.hashing import keccak256
from authnet_core.crypto.secp256k1 import decompress


def eip55_address(pub33: bytes) -> str:
    """Checksummed address of a 33-byte public key."""
    digits = keccak256(decompress(pub33))[12:].hex()
    checksum = keccak256(digits.encode("ascii")).hex()[:40]
    return "0x" + "".join(d.upper() if int(c, 16) >= 8 else d for d, c in zip(digits, checksum, strict=True))
