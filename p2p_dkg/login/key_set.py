"""A provider's published keys (JWKS, RFC 7517), parsed once, and the signature check against one of them.

Pure. Only public RSA, EC and Ed25519 keys are ever taken, so an HMAC under a public key has no key here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from authnet_core.crypto.jose_text import (
    TokenText,
    check_ed25519_signature,
    check_rsa_signature,
    read_object,
)
from authnet_core.errors import AuthnetError, Code

MAX_KEYS = 64
MIN_RSA_BITS, MAX_RSA_BITS = 2_048, 8_192
_FAMILIES = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), "RSA"),
    "ES256": "P-256",
    "ES384": "P-384",
    "ES512": "P-521",
    "EdDSA": "Ed25519",
}
ALGORITHMS = frozenset(_FAMILIES)
TWO_ROUND_ALGORITHMS = frozenset(a for a in ALGORITHMS if not a.startswith("ES"))
"""An ECDSA signature (r, s) has the twin (r, n - s): a second text of the same token."""

_NEEDED = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}
_KEY_TYPES: dict[str, type[RSAKey | ECKey | OKPKey]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}


def _registry(algorithm: str) -> jws.JWSRegistry:
    registry = jws.JWSRegistry(algorithms=[algorithm], strict_check_header=False)
    registry.max_header_length = 2_048
    return registry


_REGISTRIES = {algorithm: _registry(algorithm) for algorithm in ALGORITHMS}


@dataclass(frozen=True, slots=True)
class TokenKey:
    """One public key of a provider."""

    kid: str
    family: str
    """RSA, P-256, P-384, P-521 or Ed25519."""
    algorithm: str
    """The one algorithm the provider allows for it, empty if it names none."""
    key: RSAKey | ECKey | OKPKey
    modulus: int = 0

    def fits(self, algorithm: str) -> bool:
        return _FAMILIES.get(algorithm) == self.family and self.algorithm in ("", algorithm)


@dataclass(frozen=True, slots=True)
class KeySet:
    """All usable keys of one provider."""

    keys: tuple[TokenKey, ...] = ()

    def find(self, kid: str | None, algorithm: str) -> TokenKey | None:
        """The one key for a token's `kid` and algorithm. Without a `kid`, or with one used twice, never a guess."""
        fitting = [k for k in self.keys if k.fits(algorithm) and kid in (None, k.kid)]
        return fitting[0] if len(fitting) == 1 else None


def read_key_set(raw: bytes) -> KeySet:
    """Read a JWKS document. A key we can not use is left out; a document that is none raises AuthnetError."""
    listed = read_object(raw).get("keys")
    if not isinstance(listed, list) or len(listed) > MAX_KEYS:
        raise AuthnetError(Code.MALFORMED, f"a JWKS must hold a list of at most {MAX_KEYS} keys")
    found = tuple(key for key in map(_read_key, listed) if key is not None)
    if not found:  # an outage that answers 200 must not take the last good set away
        raise AuthnetError(Code.MALFORMED, "the JWKS holds no key that can be used")
    return KeySet(found)


def check_signature(token: TokenText, key: TokenKey, algorithm: str) -> None:
    """The token was signed by `key`, and its signature has its one form. Raises TOKEN_SIGNATURE."""
    if key.family == "RSA":
        check_rsa_signature(token.signature, key.modulus)
    elif key.family == "Ed25519":
        check_ed25519_signature(token.signature)
    try:
        jws.deserialize_compact(token.text, key.key, [algorithm], _REGISTRIES[algorithm])
    except (JoseError, ValueError, TypeError):
        raise AuthnetError(Code.TOKEN_SIGNATURE, "the token's signature does not verify") from None


def _read_key(entry: Any) -> TokenKey | None:
    if not isinstance(entry, dict) or not _meant_for_signing(entry):
        return None
    kty, kid, algorithm = entry.get("kty"), entry.get("kid", ""), entry.get("alg", "")
    if not isinstance(kty, str) or not isinstance(kid, str) or not isinstance(algorithm, str):
        return None
    needed = _NEEDED.get(kty, ("",))
    if not all(isinstance(entry.get(name), str) for name in needed) or "d" in entry:
        return None
    public = {"kty": kty} | {name: entry[name] for name in needed}
    try:
        key = _KEY_TYPES[kty].import_key(public)
        raw = key.public_key
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    if isinstance(raw, RSAPublicKey):
        numbers = raw.public_numbers()
        # An even exponent would give every signature s the twin n - s; a huge one makes each check dear.
        sound = MIN_RSA_BITS <= raw.key_size <= MAX_RSA_BITS and 3 <= numbers.e < 2**32 and numbers.e % 2
        return TokenKey(kid, "RSA", algorithm, key, numbers.n) if sound else None
    family = str(entry["crv"])
    return TokenKey(kid, family, algorithm, key) if family in _FAMILIES.values() else None


def _meant_for_signing(entry: dict[str, Any]) -> bool:
    operations = entry.get("key_ops", ["verify"])
    return entry.get("use", "sig") == "sig" and isinstance(operations, list) and "verify" in operations
