"""ECIES as torus.js speaks it: ephemeral secp256k1, SHA-512, AES-256-CBC, HMAC-SHA256.

(encryption key || MAC key) = SHA-512(x of the shared point, full 32 bytes); the MAC covers iv || ephemeral
key (65 bytes) || ciphertext. Draws randomness only when the caller gives none.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from authnet_core.crypto.secp256k1 import Q, compress, decompress, ecdh_x, pub


@dataclass(frozen=True, slots=True)
class Ecies:
    """One sealed message. Nothing in it is secret."""

    iv: bytes
    ephem_public_key: bytes  # 65 bytes, 04 || x || y
    mac: bytes
    ciphertext: bytes


def encrypt(pub33: bytes, plaintext: bytes, *, ephemeral: bytes | None = None, iv: bytes | None = None) -> Ecies:
    """Seal to `pub33`. `ephemeral` and `iv` are for fixed vectors: whoever gives them uses them once."""
    ephemeral = ephemeral or (1 + secrets.randbelow(Q - 1)).to_bytes(32, "big")
    iv = iv or secrets.token_bytes(16)
    encryption_key, mac_key = _keys(ecdh_x(ephemeral, pub33))
    ephem_public_key = b"\x04" + decompress(pub(ephemeral))
    padder = PKCS7(128).padder()
    cipher = Cipher(algorithms.AES(encryption_key), modes.CBC(iv)).encryptor()
    ciphertext = cipher.update(padder.update(plaintext) + padder.finalize()) + cipher.finalize()
    return Ecies(iv, ephem_public_key, _mac(mac_key, iv, ephem_public_key, ciphertext), ciphertext)


def decrypt(secret: bytes, sealed: Ecies) -> bytes:
    """Open, or ValueError. Some senders strip leading zeros of the shared x: full form first."""
    if len(sealed.iv) != 16 or len(sealed.ephem_public_key) != 65 or sealed.ephem_public_key[0] != 4:
        raise ValueError("not an ECIES message")
    if not sealed.ciphertext or len(sealed.ciphertext) % 16:
        raise ValueError("not an ECIES message")
    shared = ecdh_x(secret, compress(sealed.ephem_public_key[1:]))
    for candidate in dict.fromkeys((shared, shared.lstrip(b"\x00"))):
        encryption_key, mac_key = _keys(candidate)
        expected = _mac(mac_key, sealed.iv, sealed.ephem_public_key, sealed.ciphertext)
        if hmac.compare_digest(expected, sealed.mac):
            return _open(encryption_key, sealed)
    raise ValueError("the MAC does not match")


def _keys(shared: bytes) -> tuple[bytes, bytes]:
    digest = hashlib.sha512(shared).digest()
    return digest[:32], digest[32:]


def _mac(key: bytes, iv: bytes, ephem_public_key: bytes, ciphertext: bytes) -> bytes:
    return hmac.digest(key, iv + ephem_public_key + ciphertext, "sha256")


def _open(key: bytes, sealed: Ecies) -> bytes:
    cipher = Cipher(algorithms.AES(key), modes.CBC(sealed.iv)).decryptor()
    unpadder = PKCS7(128).unpadder()
    return unpadder.update(cipher.update(sealed.ciphertext) + cipher.finalize()) + unpadder.finalize()
