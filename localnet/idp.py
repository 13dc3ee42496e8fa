"""A local identity provider: signs RS256 and ES256 tokens for whoever is named, good ones and bad ones.

Bad tokens are its purpose as much as good ones: wrong signature, `alg: none`, HS256 keyed with the public key,
claims set at will. Keys live in DIR/idp; the two newest generations are in the JWKS.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from authnet_core.errors import AuthnetError, Code

ALGORITHMS = ("RS256", "ES256", "none", "HS256-pub")
LIFETIME_S = 120
KEPT_GENERATIONS = 2


@dataclass(frozen=True, slots=True)
class Client:
    """A verifier this provider issues tokens for: audiences per mode, and which claim is the id."""

    two_round: str
    bound: str
    id_claim: str


VERIFIERS = {
    "mock-google": Client(two_round="torus", bound="authnet", id_claim="email"),
    "mock-apple": Client(two_round="apple-torus", bound="apple-authnet", id_claim="sub"),
}


@dataclass(frozen=True, slots=True)
class TokenWish:
    """What the caller of /dev/token or `localnet token` asks for."""

    verifier: str
    verifier_id: str
    exp_in: int = LIFETIME_S
    bad: bool = False
    nonce: str = ""
    aud: str = ""
    alg: str = "RS256"
    kid: str = ""
    claims: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Generation:
    """One RSA and one P-256 key."""

    rsa: RSAKey
    ec: ECKey


class Provider:
    """Keys on disk, tokens on demand."""

    def __init__(self, folder: Path, issuer: str) -> None:
        self.folder, self.issuer = folder, issuer
        self.generations: list[Generation] = []
        self.is_out = False
        """Whether the JWKS is not served, as at a provider's outage."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if (folder / "key.pem").exists():
            self._load()
        else:
            self.rotate()

    def rotate(self) -> list[str]:
        """Sign with new keys from now on; the former ones stay in the JWKS. Returns the key ids in it."""
        fresh = Generation(
            _named(RSAKey, rsa.generate_private_key(public_exponent=65537, key_size=2048)),
            _named(ECKey, ec.generate_private_key(ec.SECP256R1())),
        )
        self.generations = [fresh, *self.generations][:KEPT_GENERATIONS]
        for age in reversed(range(len(self.generations))):
            suffix = f".{age}" if age else ""
            _write(self.folder / f"key.pem{suffix}", self.generations[age].rsa)
            _write(self.folder / f"ec.pem{suffix}", self.generations[age].ec)
        return [str(key["kid"]) for key in self.jwks()["keys"]]

    def _load(self) -> None:
        for age in range(KEPT_GENERATIONS):
            suffix = f".{age}" if age else ""
            if (self.folder / f"key.pem{suffix}").exists():
                rsa_key = _read(self.folder / f"key.pem{suffix}")
                ec_key = _read(self.folder / f"ec.pem{suffix}")
                self.generations.append(Generation(_named(RSAKey, rsa_key), _named(ECKey, ec_key)))

    def jwks(self) -> dict[str, Any]:
        """Public keys, newest first, each with its algorithm."""
        keys = []
        for generation in self.generations:
            for key, alg in ((generation.rsa, "RS256"), (generation.ec, "ES256")):
                keys.append(key.as_dict(private=False, use="sig", alg=alg))
        return {"keys": keys}

    def configuration(self) -> dict[str, Any]:
        """The OpenID Connect discovery document."""
        return {
            "issuer": self.issuer,
            "jwks_uri": f"{self.issuer}/.well-known/jwks.json",
            "authorization_endpoint": f"{self.issuer}/authorize",
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256", "ES256"],
        }

    def token(self, wish: TokenWish) -> str:
        """A token as wished. Raises AuthnetError for an unknown verifier or algorithm."""
        if (client := VERIFIERS.get(wish.verifier)) is None:
            raise AuthnetError(Code.VERIFIER_UNKNOWN, f"this provider serves {', '.join(VERIFIERS)}")
        if wish.alg not in ALGORITHMS:
            raise AuthnetError(Code.BAD_PARAMS, f"alg is one of {', '.join(ALGORITHMS)}")
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "aud": wish.aud or (client.bound if wish.nonce else client.two_round),
            "sub": wish.verifier_id,
            "email": wish.verifier_id,
            "email_verified": True,
            "iat": now,
            "exp": now + wish.exp_in,
            # Two tokens of one second must differ: the network takes each token text once.
            "jti": secrets.token_hex(8),
        }
        if wish.nonce:
            claims["nonce"] = wish.nonce
        return self._signed(wish, {key: value for key, value in (claims | wish.claims).items() if value is not None})

    def _signed(self, wish: TokenWish, claims: dict[str, Any]) -> str:
        newest = self.generations[0]
        if wish.alg == "none":
            return _segments({"alg": "none", "typ": "JWT"}, claims) + "."
        if wish.alg == "HS256-pub":
            head = _segments({"alg": "HS256", "typ": "JWT", "kid": wish.kid or newest.rsa.kid}, claims)
            mac = hmac.digest(newest.rsa.as_pem(private=False), head.encode(), hashlib.sha256)
            return f"{head}.{_b64(mac)}"
        key: RSAKey | ECKey = newest.rsa if wish.alg == "RS256" else newest.ec
        header = {"alg": wish.alg, "typ": "JWT", "kid": wish.kid or str(key.kid)}
        if wish.bad:
            key = _stranger(wish.alg)
        return jwt.encode(header, claims, key, algorithms=[wish.alg])


def _stranger(alg: str) -> RSAKey | ECKey:
    """A key that nobody published."""
    if alg == "RS256":
        return RSAKey.import_key(rsa.generate_private_key(public_exponent=65537, key_size=2048))
    return ECKey.import_key(ec.generate_private_key(ec.SECP256R1()))


def _named(kind: Any, private: Any) -> Any:
    key = kind.import_key(private)
    key.ensure_kid()
    return key


def _write(path: Path, key: RSAKey | ECKey) -> None:
    fresh = path.with_name(path.name + ".new")
    with os.fdopen(os.open(fresh, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb") as file:
        file.write(key.as_pem(private=True))
    fresh.replace(path)


def _read(path: Path) -> Any:
    return serialization.load_pem_private_key(path.read_bytes(), password=None)


def _segments(header: dict[str, Any], claims: dict[str, Any]) -> str:
    return ".".join(_b64(json.dumps(part, separators=(",", ":")).encode()) for part in (header, claims))


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def parse_claims(settings: list[str]) -> dict[str, Any]:
    """`claim=JSON` settings; a value that is no JSON is taken as text. Raises AuthnetError."""
    claims: dict[str, Any] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not name or not equals:
            raise AuthnetError(Code.BAD_PARAMS, "--set wants claim=JSON")
        try:
            claims[name] = json.loads(value)
        except ValueError:
            claims[name] = value
    return claims
