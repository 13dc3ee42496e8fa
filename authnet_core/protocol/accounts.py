"""Accounts: how a login at a verifier becomes the 32 bytes the chain knows (chain.md section 2).

No e-mail, sub or name is ever in a transaction or in state.
"""

from __future__ import annotations

import hashlib

from authnet_core.errors import AuthnetError, Code

_TAG = b"authnet/account/v1"
MAX_ID_BYTES = 512
CASE_RULES = ("exact", "ascii-lower")


def canonical_id(case_rule: str, verifier_id: str) -> str:
    """Return `verifier_id` as the verifier's record says it is compared.

    Outer ASCII white space goes; `ascii-lower` maps A-Z only, so that no Unicode table ever
    decides whose key it is. Raises AuthnetError(BAD_PARAMS) for an empty or oversize id.
    """
    if case_rule not in CASE_RULES:
        raise AuthnetError(Code.BAD_PARAMS, f"case rule {case_rule!r} is unknown")
    text = verifier_id.strip(" \t\r\n\f\v")
    if case_rule == "ascii-lower":
        text = "".join(chr(ord(c) + 32) if "A" <= c <= "Z" else c for c in text)
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise AuthnetError(Code.BAD_PARAMS, "verifier id is not valid Unicode") from None
    if not text or size > MAX_ID_BYTES:
        raise AuthnetError(Code.BAD_PARAMS, f"verifier id must have 1 to {MAX_ID_BYTES} bytes")
    return text


def account_id(network_id: str, verifier: str, canonical: str, extension: str = "") -> bytes:
    """SHA256(tag || len8(x) || x for network id, verifier, canonical id [, extension]): 32 bytes."""
    digest = hashlib.sha256(_TAG)
    for part in (network_id, verifier, canonical, *((extension,) if extension else ())):
        encoded = part.encode()
        digest.update(len(encoded).to_bytes(8, "big") + encoded)
    return digest.digest()
