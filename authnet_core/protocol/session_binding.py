"""Session-bound tokens: the value a client asks its identity provider to sign (retrieval.md section 3).

The provider puts it into the token's `nonce`, so the token is worth nothing without the session key T.
"""

from __future__ import annotations

import hashlib

from authnet_core.crypto.jose_text import encode_part

_TAG = b"authnet/session/v1"


def session_nonce(network_id: str, verifier: str, temp_pub: bytes) -> str:
    """base64url(SHA256(tag || len8(network) || network || len8(verifier) || verifier || T compressed))."""
    if len(temp_pub) != 33:
        raise ValueError("T must be a compressed point of 33 bytes")
    digest = hashlib.sha256(_TAG)
    for part in (network_id, verifier):
        encoded = part.encode()
        digest.update(len(encoded).to_bytes(8, "big") + encoded)
    digest.update(temp_pub)
    return encode_part(digest.digest())
