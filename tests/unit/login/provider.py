"""An identity provider for tests: keys of every kind, tokens good and bad, its published key set."""

from __future__ import annotations

import functools
import hashlib
import hmac
import json
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from authnet_core.crypto.jose_text import encode_part

ISSUER = "https://idp.test"
JWKS_URL = "https://idp.test/keys"


@functools.cache
def rsa_key(name: str, bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


@functools.cache
def ec_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@functools.cache
def ed_key() -> ed25519.Ed25519PrivateKey:
    return ed25519.Ed25519PrivateKey.generate()


def _number(value: int) -> str:
    return encode_part(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def rsa_jwk(name: str = "rsa-1", bits: int = 2048, **more: Any) -> dict[str, Any]:
    public = rsa_key(name, bits).public_key().public_numbers()
    return {"kty": "RSA", "kid": name, "use": "sig", "n": _number(public.n), "e": _number(public.e)} | more


def ec_jwk() -> dict[str, Any]:
    public = ec_key().public_key().public_numbers()
    return {
        "kty": "EC",
        "crv": "P-256",
        "kid": "ec-1",
        "x": encode_part(public.x.to_bytes(32, "big")),
        "y": encode_part(public.y.to_bytes(32, "big")),
    }


def ed_jwk() -> dict[str, Any]:
    raw = ed_key().public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return {"kty": "OKP", "crv": "Ed25519", "kid": "ed-1", "x": encode_part(raw)}


def key_set(*keys: dict[str, Any]) -> bytes:
    return json.dumps({"keys": list(keys) or [rsa_jwk(), ec_jwk(), ed_jwk()]}).encode()


def claims(now: float, **changes: Any) -> dict[str, Any]:
    """What a good token for alice says; a change to None leaves the claim out."""
    good = {
        "iss": ISSUER,
        "aud": "torus",
        "sub": "alice",
        "email": "alice@example.com",
        "email_verified": True,
        "iat": int(now),
        "exp": int(now) + 60,
    }
    return {name: value for name, value in (good | changes).items() if value is not None}


def sign(body: dict[str, Any] | bytes, alg: str = "RS256", *, header: dict[str, Any] | None = None) -> str:
    """Sign `body` under `alg`; `header` adds to or changes the header."""
    kid = {"ES256": "ec-1", "EdDSA": "ed-1"}.get(alg, "rsa-1")
    head = {"alg": alg, "typ": "JWT", "kid": kid} | (header or {})
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    signing_input = f"{encode_part(json.dumps(head).encode())}.{encode_part(raw)}"
    return f"{signing_input}.{encode_part(_signature(alg, signing_input.encode()))}"


def _signature(alg: str, message: bytes) -> bytes:
    digest = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}.get(alg[2:])
    if alg.startswith("RS") and digest:
        return rsa_key("rsa-1", 2048).sign(message, padding.PKCS1v15(), digest)
    if alg.startswith("PS") and digest:
        pss = padding.PSS(mgf=padding.MGF1(digest), salt_length=digest.digest_size)
        return rsa_key("rsa-1", 2048).sign(message, pss, digest)
    if alg == "ES256":
        r, s = decode_dss_signature(ec_key().sign(message, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")
    if alg == "EdDSA":
        return ed_key().sign(message)
    if alg == "HS256":  # the classic: the public key's text as the HMAC key
        pem = rsa_key("rsa-1", 2048).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return hmac.new(pem, message, hashlib.sha256).digest()
    return b"x" if alg == "none" else b""


def unsigned(body: dict[str, Any]) -> str:
    """`alg: none` with an empty third part."""
    head = encode_part(json.dumps({"alg": "none"}).encode())
    return f"{head}.{encode_part(json.dumps(body).encode())}."
