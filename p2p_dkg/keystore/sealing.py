"""AES-256-GCM boxes and the passphrase's key (scrypt, RFC 7914). No files.

The associated data names the chain (or network) and the file, so that a file copied to another name, node
or chain does not open.
"""

from __future__ import annotations

import hashlib
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from p2p_dkg.keystore.files import damaged

KEY_BYTES = 32
_VERSION = b"\x01"
_NONCE_BYTES = 12
_SCRYPT_R = 8
_CHECK_BYTES = 16


class Box:
    """One AES-256-GCM key and the domain its files belong to."""

    __slots__ = ("_aead", "_domain", "_key")

    def __init__(self, key: bytes, domain: str) -> None:
        self._key = key
        self._aead = AESGCM(key)
        self._domain = domain

    def __repr__(self) -> str:
        return f"Box({self._domain!r})"

    @property
    def key(self) -> bytes:
        """The raw key, for wrapping and for the leak test of a development network."""
        return self._key

    def _context(self, name: str) -> bytes:
        parts = (b"authnet/keystore/v1", self._domain.encode(), name.encode())
        return b"".join(len(part).to_bytes(8, "big") + part for part in parts)

    def seal(self, name: str, plaintext: bytes) -> bytes:
        """Encrypt `plaintext` as the content of the file `name`."""
        nonce = os.urandom(_NONCE_BYTES)
        return _VERSION + nonce + self._aead.encrypt(nonce, plaintext, self._context(name))

    def open(self, name: str, sealed: bytes) -> bytes:
        """Decrypt the content of the file `name`. Raises AuthnetError(KEYSTORE_DAMAGED)."""
        if sealed[:1] != _VERSION or len(sealed) < 1 + _NONCE_BYTES + 16:
            raise damaged(name)
        nonce, body = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        try:
            return self._aead.decrypt(nonce, body, self._context(name))
        except InvalidTag:
            raise damaged(name) from None


def passphrase_key(passphrase: bytes, salt: bytes, n: int) -> tuple[bytes, bytes]:
    """Derive (wrapping key, check value) from the passphrase. The check tells a wrong one from damage."""
    derived = hashlib.scrypt(
        passphrase,
        salt=salt,
        n=n,
        r=_SCRYPT_R,
        p=1,
        maxmem=128 * n * _SCRYPT_R + (1 << 20),
        dklen=KEY_BYTES + _CHECK_BYTES,
    )
    return derived[:KEY_BYTES], derived[KEY_BYTES:]
